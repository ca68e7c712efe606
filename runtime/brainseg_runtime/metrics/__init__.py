"""Scores: counts, areas, curves, surfaces, lesions, volumes; intervals over patients, and a test between two models."""

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
