"""The bundles that are timed: the shipped ones, or stand-ins with random weights, which cost the same time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from brainseg_export.evidence import golden
from brainseg_export.evidence.predictors import predictor
from brainseg_export.graphs import quantize
from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.sealing.seal import GOLDEN_NAME, bundle_files, entries, seal
from brainseg_export.sources.provenance import PHANTOM
from brainseg_runtime.bundles.manifest import Manifest, Tolerance, Variant
from brainseg_runtime.version import __version__
from brainseg_train.models import build
from brainseg_train.models.pipeline import InferencePipeline
from brainseg_train.phantom.patients import make_patient

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHIPPED = Path(__file__).resolve().parents[1] / "models"


def find_or_make(name: str, folder: Path) -> Path:
    """A bundle of a network.

    Args:
        name: One of `brainseg_train.models.NAMES`.
        folder: Where a stand-in goes if the repository ships none.
    """
    if (SHIPPED / name / "manifest.json").is_file():
        return SHIPPED / name
    target = folder / name
    if not target.exists():
        seal(target, *_stand_in(name))
    return target


def pipeline(name: str) -> InferencePipeline:
    """A network of the shipped width with seeded random weights, in evaluation mode."""
    torch.manual_seed(0)
    return InferencePipeline(build(name)).eval()


def slices() -> list[NDArray[np.uint8]]:
    """Generated slices in batches of four, to watch activations on."""
    images = make_patient(0, 0, slices=(8, 8)).images
    return [images[start : start + 4] for start in range(0, 8, 4)]


def graphs(name: str) -> dict[str, Graph]:
    """The float and the integer graph by variant."""
    fp32 = convert(pipeline(name), name="model.onnx", metadata={"model": name})
    seen = quantize.observe(fp32, slices())
    return {"fp32": fp32, "int8": quantize.quantize(fp32, seen, "minmax", name="model.int8.onnx")}


def _stand_in(name: str) -> tuple[Manifest, dict[str, bytes]]:
    made = graphs(name)
    loose = {"default": Tolerance(probability=1.0, mask=1.0)}  # nothing is verified by these vectors
    files = bundle_files(
        {graph.name: graph.data for graph in made.values()},
        golden.golden_cases({variant: predictor(graph, "cpu") for variant, graph in made.items()}),
        "# Stand-in for timing\n\nRandom weights.\n",
        "{}\n",
    )
    manifest = Manifest(
        name=name,
        version=__version__,
        threshold=0.5,
        temperature=1.0,
        variants={
            variant: Variant(
                file=graph.name,
                precision=variant,
                parity={},
                accuracy={},
                same_bits={"cpu": True, "openvino": True},
                tolerances=loose,
            )
            for variant, graph in made.items()
        },
        files=entries(files),
        golden=GOLDEN_NAME,
        licence=PHANTOM,
    )
    return manifest, files
