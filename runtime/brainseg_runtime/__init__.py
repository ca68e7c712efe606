"""Brain-tumour segmentation of MRI slices on a workstation: numpy and onnxruntime, nothing else.

    from brainseg_runtime import Segmenter

    segmenter = Segmenter.load("models/resunet", digest="...")
    result = segmenter.predict(image)  # (H, W, 3) uint8 -> .mask (H, W) uint8, .probability (H, W) float32

Importing has no side effects; onnxruntime is loaded with the first model.
"""

from __future__ import annotations

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
from brainseg_runtime.postprocess import PostProcessing
from brainseg_runtime.results import Prediction, Provenance, Timing, VolumePrediction
from brainseg_runtime.segmenter import Segmenter, SegmenterInfo
from brainseg_runtime.version import __version__

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
