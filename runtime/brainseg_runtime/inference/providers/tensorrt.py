"""NVIDIA's TensorRT, in onnxruntime-gpu."""

from __future__ import annotations

from typing import Final

from brainseg_runtime.inference.providers.provider import Provider

TENSORRT: Final = Provider(
    name="tensorrt",
    execution_provider="TensorrtExecutionProvider",
    install="replace onnxruntime with onnxruntime-gpu and install TensorRT",
    engines=("onnxruntime-gpu",),
    auto_rank=3,
)
