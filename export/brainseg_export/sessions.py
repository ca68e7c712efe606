"""Graphs opened in onnxruntime for measuring: the provider is named, never guessed, and so are the threads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from brainseg_export.errors import ExportError

_QUIET: Final = 3  # errors only: what a session warns about is asserted elsewhere


@dataclass(frozen=True, kw_only=True)
class Session:
    """A graph that runs on one provider."""

    provider: str
    raw: Any

    def __call__(self, image_nhwc: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Mask (N, H, W) uint8 and probability (N, H, W) float32 of a batch (N, H, W, 3) uint8."""
        mask, probability = self.run(("mask", "probability"), image_nhwc)
        return mask, probability

    def run(self, names: Sequence[str], image_nhwc: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Any of the graph's outputs by name."""
        return list(self.raw.run(list(names), {"image": image_nhwc}))


def open_session(data: bytes, provider: str, *, threads: int = 1) -> Session:
    """Open a graph.

    Args:
        data: A serialised model.
        provider: `cpu` or `openvino`.
        threads: Threads within an operator.

    Returns:
        The session.

    Raises:
        ExportError: The provider is not here, or would not run the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    if provider == "openvino":
        import onnxruntime_ep_openvino as plugin

        name = plugin.get_ep_name()
        devices = _devices(name)
        if not devices:
            onnxruntime.register_execution_provider_library(name, plugin.get_library_path())
            devices = _devices(name)
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1"}
        options.add_provider_for_devices(devices[:1], {"load_config": json.dumps({"CPU": config})})
        return Session(provider=provider, raw=onnxruntime.InferenceSession(data, options))
    if provider != "cpu":
        raise ExportError("no such provider here", expected="cpu or openvino", got=provider)
    return Session(
        provider=provider, raw=onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    )


def _devices(name: str) -> list[Any]:
    """The processor as a plug-in's device."""
    kind = onnxruntime.OrtHardwareDeviceType.CPU
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == name and device.device.type == kind]
