"""Scores: from masks and probabilities to numbers with intervals, in numpy alone.

    scores.py       the table: every score's name, function and value for empty masks; the next score is added here
    counts.py       masks to integer counts; Dice, IoU, precision, recall and F1 from counts
    histogram.py    probabilities to bins (bins.py); areas under curves
    curves.py       ROC, precision and recall, Dice by threshold, calibration, for drawing
    volume.py       a patient's masks as a volume; surface.py distances, lesions.py lesions (components.py)
    lengths.py      spacing and tolerance
    agreement.py    limits of agreement of volumes
    bootstrap.py    intervals over patients
    permutation.py  a test between two models

bins.py is tested by test_histogram.py, lengths.py by test_surface.py.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brainseg_runtime.metrics.bootstrap import (
        Interval,
        bootstrap_interval,
        bootstrap_pooled,
        bootstrap_ratio,
        least_patients,
    )
    from brainseg_runtime.metrics.counts import Counts, count, dice, f1, iou, precision, recall
    from brainseg_runtime.metrics.histogram import Histogram
    from brainseg_runtime.metrics.lesions import LesionCounts, lesion_counts
    from brainseg_runtime.metrics.permutation import least_p, paired_permutation_test
    from brainseg_runtime.metrics.surface import SurfaceDistances, surface_distances

__all__ = [
    "Counts",
    "Histogram",
    "Interval",
    "LesionCounts",
    "SurfaceDistances",
    "bootstrap_interval",
    "bootstrap_pooled",
    "bootstrap_ratio",
    "count",
    "dice",
    "f1",
    "iou",
    "least_p",
    "least_patients",
    "lesion_counts",
    "paired_permutation_test",
    "precision",
    "recall",
    "surface_distances",
]

_HOMES = ("counts", "bootstrap", "histogram", "lesions", "permutation", "surface")


def __getattr__(name: str) -> object:
    """A public name, imported from its module, so that the table of scores can be read without numpy."""
    if name in __all__:
        for home in (importlib.import_module(f"{__name__}.{each}") for each in _HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
