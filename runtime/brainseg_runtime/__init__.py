"""Brain-tumour segmentation of MRI slices on a workstation: numpy and onnxruntime, nothing else.

    from brainseg_runtime import Segmenter

    segmenter = Segmenter.load("models/resunet", digest="...")
    result = segmenter.predict(image)  # (H, W, 3) uint8 -> .mask (H, W) uint8, .probability (H, W) float32

Importing has no side effects. A name is imported when it is first asked for, so that a command answers an interrupt
before numpy is there; onnxruntime is loaded with the first model.
"""

from __future__ import annotations

import importlib

from brainseg_runtime.version import __version__

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer than this whole package's
if TYPE_CHECKING:
    from brainseg_runtime.contract import Limits
    from brainseg_runtime.errors import (
        ArgumentError,
        BrainsegError,
        BundleError,
        BundleMissingError,
        BundleSchemaError,
        BundleTamperedError,
        BundleTooLargeError,
        CancelledError,
        ContractError,
        DataError,
        DatasetError,
        DigestMismatchError,
        FileWriteError,
        ImageError,
        InferenceError,
        InputError,
        MissingExtraError,
        ProviderError,
        SignatureError,
        WorkerError,
    )
    from brainseg_runtime.segmentation.postprocessing import PostProcessing
    from brainseg_runtime.segmentation.results import Prediction, Provenance, SegmenterInfo, Timing, VolumePrediction
    from brainseg_runtime.segmenter import Segmenter

__all__ = [
    "ArgumentError",
    "BrainsegError",
    "BundleError",
    "BundleMissingError",
    "BundleSchemaError",
    "BundleTamperedError",
    "BundleTooLargeError",
    "CancelledError",
    "ContractError",
    "DataError",
    "DatasetError",
    "DigestMismatchError",
    "FileWriteError",
    "ImageError",
    "InferenceError",
    "InputError",
    "Limits",
    "MissingExtraError",
    "PostProcessing",
    "Prediction",
    "Provenance",
    "ProviderError",
    "Segmenter",
    "SegmenterInfo",
    "SignatureError",
    "Timing",
    "VolumePrediction",
    "WorkerError",
    "__version__",
]

_HOMES = {
    "Limits": "contract",
    "PostProcessing": "segmentation.postprocessing",
    "Prediction": "segmentation.results",
    "Provenance": "segmentation.results",
    "Segmenter": "segmenter",
    "SegmenterInfo": "segmentation.results",
    "Timing": "segmentation.results",
    "VolumePrediction": "segmentation.results",
}
"""The module that holds each public name; all others are in `errors`."""


def __getattr__(name: str) -> object:
    """A public name, imported from its module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names beside the module's own."""
    return sorted({*globals(), *__all__})
