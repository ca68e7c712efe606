"""Apple's Core ML, in onnxruntime for macOS."""

from __future__ import annotations

from typing import Final

from brainseg_runtime.inference.providers.provider import Provider

COREML: Final = Provider(
    name="coreml",
    execution_provider="CoreMLExecutionProvider",
    install="use macOS, where onnxruntime brings it",
    engines=("onnxruntime",),
)
