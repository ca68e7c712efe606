"""Onnxruntime's own kernels for processors: always available, and what `auto` takes where nothing else fits."""

from __future__ import annotations

from typing import Final

from brainseg_runtime.inference.providers.provider import CPU_EXECUTION, Provider

CPU: Final = Provider(
    name="cpu",
    execution_provider=CPU_EXECUTION,
    engines=("onnxruntime",),
    runs_everything=True,
    parity_limit=1e-5,
)
