"""Every way to get from a batch of raw slices to its masks that is timed: PyTorch's, and the runtime's.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brainseg_runtime import Segmenter
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.inference.processor import inspect_processor
from brainseg_runtime.inference.providers import find_provider
from brainseg_runtime.inference.providers.openvino import OPENVINO
from brainseg_runtime.inference.sessions import USUAL, session_options
from brainseg_train.learning.device import computes_bf16
from brainseg_train.models import build
from brainseg_train.models.pipeline import InferencePipeline

if TYPE_CHECKING:
    from pathlib import Path

Segment: TypeAlias = Callable[[NDArray[np.uint8]], object]
"""Takes (N, H, W, 3) uint8; returns masks and probabilities of (N, H, W)."""

REFERENCE = "PyTorch eager fp32"


@dataclass(frozen=True)
class Runtime:
    """A provider and a variant of the runtime."""

    provider: str
    variant: str


PYTORCH = (REFERENCE, "PyTorch bf16 channels_last", "torch.compile fp32")
RUNTIMES = {
    "onnxruntime fp32": Runtime("cpu", "fp32"),
    "onnxruntime int8": Runtime("cpu", "int8"),
    "OpenVINO fp32": Runtime("openvino", "fp32"),
    "OpenVINO int8": Runtime("openvino", "int8"),
    "CUDA fp32": Runtime("cuda", "fp32"),
    "TensorRT fp32": Runtime("tensorrt", "fp32"),
}
OPENVINO_BF16 = "OpenVINO bf16"
WAYS = (*PYTORCH, *RUNTIMES, OPENVINO_BF16)


def why_not(way: str, bundle: Path) -> str | None:
    """Why a way is not available here; None if it can."""
    if way == "PyTorch bf16 channels_last" and not computes_bf16(torch.device("cpu")):
        return "this processor does not compute in bf16"
    if way == OPENVINO_BF16:
        status = find_provider("openvino").status()
        able = {"avx512_bf16", "amx_bf16"}.intersection(inspect_processor().features)
        return status.reason if not status.available else None if able else "this processor does not compute in bf16"
    runtime = RUNTIMES.get(way)
    if runtime is None:
        return None
    status = find_provider(runtime.provider).status()
    if not status.available:
        return f"provider {runtime.provider}: {status.reason}"
    if runtime.variant not in open_bundle(bundle).manifest.variants:
        return f"{bundle.name} has no variant {runtime.variant}"
    return None


def start(way: str, network: str, bundle: Path, *, threads: int) -> Segment:
    """Load a way, ready to be called."""
    if way in RUNTIMES:
        runtime = RUNTIMES[way]
        segmenter = Segmenter.load(bundle, provider=runtime.provider, variant=runtime.variant, threads=threads)
        return segmenter.predict_batch
    if way == OPENVINO_BF16:
        return _openvino_bf16((bundle / "model.onnx").read_bytes(), threads)
    torch.set_num_threads(threads)
    pipeline = InferencePipeline(_pytorch_network(way, network)).eval()
    if way != "torch.compile fp32":
        return partial(_through_pytorch, pipeline)
    torch.compiler.reset()  # after eight compilations of one function PyTorch goes back to eager, with a mere warning
    return partial(_through_pytorch, torch.compile(pipeline))


def _openvino_bf16(model: bytes, threads: int) -> Segment:
    """OpenVINO in the arithmetic that it takes by itself on such processors, which the runtime never lets it."""
    processor = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1"}
    options = session_options(OPENVINO, threads, fixed=USUAL)
    options.add_provider_for_devices(OPENVINO.devices(), {"load_config": json.dumps({"CPU": processor})})
    session = onnxruntime.InferenceSession(model, options)

    def segment(images: NDArray[np.uint8]) -> object:
        return [session.run(["mask", "probability"], {"image": image[None]}) for image in images]

    return segment


def _through_pytorch(pipeline: Callable[[Tensor], tuple[Tensor, Tensor]], images: NDArray[np.uint8]) -> object:
    with torch.inference_mode():
        mask, probability = pipeline(torch.from_numpy(images))
    return mask.numpy(), probability.numpy()


def _pytorch_network(way: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    network = build(name).eval()
    if way == "PyTorch bf16 channels_last":
        return _Bf16(network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    return network


class _Bf16(nn.Module):
    """A network in bf16 and channels_last, between float32 pixels and float32 logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float32 to (N, 1, H, W) float32."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits: Tensor = self.network(image.contiguous(memory_format=torch.channels_last))
        return logits.float()
