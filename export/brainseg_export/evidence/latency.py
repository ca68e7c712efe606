"""How long one slice takes, for the table that an export prints; `brainseg bench` measures more carefully.

Legend: H rows, W columns.
"""

from __future__ import annotations

from statistics import median
from typing import Final

from brainseg_export.evidence.predictors import predictor
from brainseg_export.graphs.convert import Graph
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_runtime.inference.processor import usable_cores
from brainseg_runtime.installation.latency import synthetic_slices, time_calls
from brainseg_train.learning.device import computing_with

SIDE: Final = 256
"""Rows and columns of the slice, pixels, as in the data set."""

THREADS: Final = min(4, usable_cores())
"""As the runtime has it by default."""

_RUNS: Final = 25
_SECONDS: Final = 2.0
"""After which no further run starts: on a busy machine a few runs have to do."""


def milliseconds(graph: Graph, provider: str) -> float:
    """Median milliseconds for one 256 × 256 slice."""
    return _median(predictor(graph, provider, threads=THREADS))


def torch_milliseconds(reference: Predict) -> float:
    """The same for PyTorch in fp32, with as many threads."""
    with computing_with(THREADS):
        return _median(reference)


def _median(predict: Predict) -> float:
    image = synthetic_slices(1, SIDE)
    return median(time_calls(lambda: predict(image), seconds=_SECONDS, least=1, most=_RUNS))
