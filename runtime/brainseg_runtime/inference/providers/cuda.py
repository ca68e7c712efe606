"""NVIDIA's CUDA, in onnxruntime-gpu."""

from __future__ import annotations

from typing import Final

from brainseg_runtime.inference.providers.provider import Provider

CUDA: Final = Provider(
    name="cuda",
    execution_provider="CUDAExecutionProvider",
    install="replace onnxruntime with onnxruntime-gpu: pip uninstall onnxruntime, then pip install onnxruntime-gpu",
    engines=("onnxruntime-gpu",),
    auto_rank=2,
    parity_limit=1e-3,  # it multiplies in TF32
)
