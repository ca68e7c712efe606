"""Scores: counts and what follows from them, areas from histograms, curves, and bootstrap intervals over patients."""

from brainseg_runtime.metrics.bootstrap import (
    Interval,
    bootstrap_interval,
    bootstrap_pooled,
    bootstrap_ratio,
    paired_permutation_test,
)
from brainseg_runtime.metrics.counts import Counts, count, dice, f1, iou, precision, recall
from brainseg_runtime.metrics.histogram import Histogram

__all__ = [
    "Counts",
    "Histogram",
    "Interval",
    "bootstrap_interval",
    "bootstrap_pooled",
    "bootstrap_ratio",
    "count",
    "dice",
    "f1",
    "iou",
    "paired_permutation_test",
    "precision",
    "recall",
]
