"""Microsoft's DirectML, in onnxruntime-directml for Windows."""

from __future__ import annotations

from typing import Final

from brainseg_runtime.inference.providers.provider import Provider

DIRECTML: Final = Provider(
    name="directml",
    execution_provider="DmlExecutionProvider",
    install="use Windows and replace onnxruntime with onnxruntime-directml",
    engines=("onnxruntime-directml",),
)
