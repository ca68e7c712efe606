"""Brain-tumour segmentation of MRI slices on a workstation: numpy and onnxruntime, nothing else.

    from brainseg_runtime import Segmenter

    segmenter = Segmenter.load("models/resunet", digest="...")
    result = segmenter.predict(image)  # (H, W, 3) uint8 -> .mask (H, W) uint8, .probability (H, W) float32

Importing has one side effect: unless the environment says otherwise, onnxruntime is kept from reporting to its maker,
which its official builds do by default. Names are imported on first use, so that a command can be interrupted before
numpy has loaded; onnxruntime is loaded with the first model.

The folders, from the ground up; each imports only from those before it, and its `__init__` says what is in it:

    problems, version, errors, plurals, extras    what goes wrong, in words (version: tests/packaging)
    safe_io         files written whole, paths that may be written, strict and typed JSON, checked arguments
    contract        what a model takes and gives, and the limits
    metrics         scores from counts, distances and histograms
    images          image files to arrays and back, and the finder of patients and slices
    bundles         a model's folder: manifest, files checked against it, golden vectors, signature
    inference       one ONNX graph on one execution provider: checks, sessions, the engine
    segmentation    checked pixels to a prediction, and the base of all segmenters
    isolation       `IsolatedSegmenter`, the same in a process of its own
    segmenter       `Segmenter`, a bundle loaded into this process
    studies         DICOM and NIfTI studies to a mask on FLAIR's own grid, and to DICOM objects
    html            pages and charts
    prediction      a folder of images to a folder of masks, with a record that a later run resumes from
    perturbations   slices and masks changed as other scanners and other software change them
    evaluation      a data set to scores
    terminal        console, interrupts and exit codes, for the commands of all three packages
    installation    doctor, verify, bench
    archive         thousands of studies, each once, on processes of this machine or on Ray
    node            a node beside a PACS: images arrive, studies are segmented, results go back
    commands, cli   one file for each sub-command, and the application that holds them

The way of the data through `brainseg predict`: `commands` reads the options; `prediction` finds the images, and
`images` decodes each; `Segmenter.predict` checks the array, has the input guard look at it (`segmentation`) and runs
the engine (`inference`), which holds an onnxruntime session made of a verified bundle's bytes (`bundles`); `prediction`
writes the mask and the record (`safe_io`).

Through `brainseg evaluate`: `evaluation` takes patients from `images`, each slice with its mask, and predicts them as
above or reads predicted masks; it counts pixels by patient, takes scores and intervals from `metrics`, and its result
goes to JSON and to a page (`html`).

Where to add things:

    an image format    a file in `images`, entered in its table of formats
    a provider         a file in `inference/providers`, entered in `registry.PROVIDERS`
    a score            a function in `metrics`, entered in its table of scores
    a command          a file in `commands`, entered in `cli`
"""

from __future__ import annotations

import importlib
import os

from brainseg_runtime.version import __version__

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is loaded; processes of ours inherit it

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
        GeometryError,
        ImageError,
        InferenceError,
        InputError,
        MissingExtraError,
        ProviderError,
        RolesError,
        SignatureError,
        StudyError,
        UsageError,
        WorkerError,
    )
    from brainseg_runtime.isolation.isolated_segmenter import IsolatedSegmenter
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
    "GeometryError",
    "ImageError",
    "InferenceError",
    "InputError",
    "IsolatedSegmenter",
    "Limits",
    "MissingExtraError",
    "PostProcessing",
    "Prediction",
    "Provenance",
    "ProviderError",
    "RolesError",
    "Segmenter",
    "SegmenterInfo",
    "SignatureError",
    "StudyError",
    "Timing",
    "UsageError",
    "VolumePrediction",
    "WorkerError",
    "__version__",
]

_HOMES = {
    "IsolatedSegmenter": "isolation.isolated_segmenter",
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
