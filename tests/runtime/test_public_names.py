"""What the package promises to export, and that importing it is light and silent."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys

import brainseg_runtime

NAMES = """
ArgumentError BrainsegError BundleError BundleMissingError BundleSchemaError BundleTamperedError BundleTooLargeError
CancelledError ContractError DataError DatasetError DigestMismatchError FileWriteError GeometryError ImageError
InferenceError InputError IsolatedSegmenter Limits MissingExtraError PostProcessing Prediction Provenance ProviderError
RolesError Segmenter SegmenterInfo SignatureError StudyError Timing UsageError VolumePrediction WorkerError __version__
"""

PROBE = """
import sys
before = set(sys.modules)
import brainseg_runtime
heavy = {"onnxruntime", "onnx", "torch", "tifffile", "PIL", "typer", "rich", "socket", "ssl", "multiprocessing",
         "subprocess", "asyncio", "model_signing", "urllib.request", "http"}
print(sorted(heavy & (set(sys.modules) - before) - {"subprocess"}))
"""


def test_the_public_names_are_these() -> None:
    assert sorted(brainseg_runtime.__all__) == sorted(NAMES.split())


def test_every_public_name_is_there_and_documented() -> None:
    for name in brainseg_runtime.__all__:
        value = getattr(brainseg_runtime, name)
        assert name == "__version__" or value.__doc__


def test_importing_loads_nothing_heavy_and_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROBE], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("brainseg_runtime").joinpath("py.typed").is_file()
