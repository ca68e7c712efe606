"""Curves for drawing and calibration, from a histogram of probabilities.

Legend: B bins.
Source: Fawcett, An introduction to ROC analysis, 2006; Guo et al., On calibration of modern neural networks, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.metrics.bins import bin_edges
from brainseg_runtime.metrics.counts import dice_of_sizes
from brainseg_runtime.metrics.histogram import Histogram

_HUNDREDTHS = tuple(step / 100 for step in range(1, 100))


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Points of a curve, in drawing order; x and y in [0, 1]."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationBin:
    """Pixels whose probability lies between two edges.

    Attributes:
        low: Lower edge.
        high: Upper edge.
        n: Pixels.
        probability: Their mean probability.
        tumour: Fraction of them that is tumour.
    """

    low: float
    high: float
    n: int
    probability: float
    tumour: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How far probabilities are from observed frequencies.

    Attributes:
        ece: Expected calibration error: mean over pixels of their bin's |probability - tumour|; None without pixels.
        bins: The bins that hold pixels, by rising probability; a reliability diagram's points.
    """

    ece: float | None
    bins: tuple[CalibrationBin, ...]


def roc_curve(histogram: Histogram, *, points: int = 200) -> Curve:
    """False positive rate (x) against true positive rate (y), thinned evenly along the curve.

    Args:
        histogram: The pixels.
        points: Most points.

    Returns:
        From (0, 0) to (1, 1); empty unless both classes occur.
    """
    if not histogram.positives or not histogram.negatives:
        return Curve(x=(), y=())
    false, true = np.concatenate([np.zeros((2, 1)), histogram.cumulated()], axis=1)
    return _thinned(false / histogram.negatives, true / histogram.positives, points)


def pr_curve(histogram: Histogram, *, points: int = 200) -> Curve:
    """Recall (x) against precision (y), thinned evenly along the curve, from the highest threshold down.

    Args:
        histogram: The pixels.
        points: Most points.

    Returns:
        Up to recall 1; empty unless both classes occur.
    """
    if not histogram.positives or not histogram.negatives:
        return Curve(x=(), y=())
    false, true = histogram.cumulated()
    some = true + false > 0
    return _thinned(true[some] / histogram.positives, true[some] / (true + false)[some], points)


def dice_curve(histogram: Histogram, thresholds: Sequence[float] = _HUNDREDTHS) -> Curve:
    """Threshold (x) against pooled Dice (y).

    Args:
        histogram: The pixels.
        thresholds: In [0, 1]; each acts at the lower edge of the first bin that lies wholly at or above it.

    >>> histogram = Histogram.of(np.array([0.2, 0.4, 0.9]), np.array([0, 1, 1], np.uint8))
    >>> dice_curve(histogram, thresholds=[0.1, 0.3, 0.8]).y
    (0.8, 1.0, 0.6666666666666666)
    """
    false, true = histogram.cumulated()
    first = np.searchsorted(bin_edges(histogram.bits)[0], thresholds, side="left")
    at = len(true) - 1 - np.minimum(first, len(true) - 1)
    scores = dice_of_sizes(true[at], true[at] + false[at], histogram.positives)
    return Curve(x=tuple(float(value) for value in thresholds), y=tuple(scores.tolist()))


def calibration(histogram: Histogram, bins: int = 15) -> Calibration:
    """Mean probability against fraction of tumour, in equally wide bins.

    A pixel's probability is taken as the middle of its histogram bin, so a mean is within half such a bin, 0.025 %
    of 1 at 10 bits, and so is an edge.

    Args:
        histogram: The pixels.
        bins: Number of equally wide bins over [0, 1].
    """
    low, high = bin_edges(histogram.bits)
    middle = (low + high) / 2
    group = np.minimum((middle * bins).astype(np.int64), bins - 1)
    negative, positive = (np.bincount(group, row, bins) for row in histogram.counts)
    n = negative + positive
    total = np.bincount(group, histogram.counts.sum(axis=0) * middle, bins)
    filled = tuple(
        CalibrationBin(
            low=i / bins,
            high=(i + 1) / bins,
            n=int(n[i]),
            probability=float(total[i] / n[i]),
            tumour=float(positive[i] / n[i]),
        )
        for i in np.flatnonzero(n)
    )
    ece = float(np.abs(total - positive).sum() / n.sum()) if filled else None
    return Calibration(ece=ece, bins=filled)


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64], points: int) -> Curve:
    """A curve's ends and, between them, points at even distances along it."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0.0, length[-1], max(points, 2))
    chosen = np.unique(np.concatenate([[0], np.searchsorted(length, wanted[1:-1]), [len(x) - 1]]))
    return Curve(x=tuple(x[chosen].tolist()), y=tuple(y[chosen].tolist()))
