"""Mergeable histograms of probabilities, and the areas under curves that follow from them.

The exact ROC and PR curves of a data set need every pixel sorted. Here pixels are counted in the bins of
`metrics.bins` instead, which takes constant memory, merges exactly, and loses only the order of pixels that
share a bin. With the standard 10 bits no bin is wider than 0.1 % of the distance to the nearer of 0 and 1.

**Error bound.** The true area lies between what the worst and the best order inside the bins would give.
`Histogram.roc_auc_bound` and `Histogram.pr_auc_bound` compute that distance from the counts themselves, so it holds for
the very pixels that were counted, however they are distributed. Areas take the pixels of a bin as tied, the convention
that real ties have in scikit-learn, and are exact where pixels share a bin only if they share a value.

Legend: B bins; in the first axis of counts 0 is negative, 1 positive (tumour); T and F true and false positives.
Source: Fawcett, An introduction to ROC analysis, 2006 (curve, ties); average precision without interpolation as in
Boyd et al., Area under the precision-recall curve, 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.metrics.bins import bin_index, bins_of_one_value, coarse_starts, n_bins

BITS = 10
"""Fineness of areas and curves: 47,107 bins, 0.7 MiB."""

COARSE_BITS = 4
"""Fineness of what is kept of each patient for bootstrap intervals: 739 bins, 12 KiB. Areas differ from the fine ones
by less than a thousandth there, a small part of an interval's width."""

_CHUNK = 1 << 17  # pixels at once: their bins stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many tumour and other pixels got which probability. Merge with ``+``; never changed in place.

    Attributes:
        counts: (2, B) int64; row 0 counts pixels without tumour, row 1 with; columns by rising probability.
        bits: Fineness of the bins, from 0 to 16.
    """

    counts: NDArray[np.int64]
    bits: int = BITS

    def __post_init__(self) -> None:
        """Refuse counts that do not fit the fineness.

        Raises:
            DataError: `counts` has another shape than (2, number of bins).
        """
        if self.counts.shape != (2, n_bins(self.bits)):
            raise DataError("the histogram has the wrong shape", expected=(2, n_bins(self.bits)), got=self.counts.shape)

    @classmethod
    def empty(cls, *, bits: int = BITS) -> Self:
        """A histogram of no pixels."""
        return cls(np.zeros((2, n_bins(bits)), dtype=np.int64), bits)

    @classmethod
    def of(cls, probability: NDArray[Any], truth: NDArray[Any], *, bits: int = BITS) -> Self:
        """Count pixels.

        Args:
            probability: Any shape, floating point in [0, 1]; more precision than float32 has is rounded to it.
            truth: The same shape, uint8 with 0 and 1, or bool.
            bits: Fineness, from 0 to 16.

        Raises:
            ImageError: The shapes differ, a probability is outside [0, 1] or NaN, or the truth is not binary.

        >>> Histogram.of(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], np.uint8)).roc_auc()
        0.75
        """
        _check_pair(probability, truth)
        total = n_bins(bits)
        counts = np.zeros(2 * total, dtype=np.int64)
        values, flags = np.ravel(probability), np.ravel(truth)
        for start in range(0, len(values), _CHUNK):
            index = bin_index(values[start : start + _CHUNK].astype(np.float32, copy=False), bits)
            index[np.flatnonzero(flags[start : start + _CHUNK])] += np.int32(total)
            counts += np.bincount(index, minlength=2 * total)
        return cls(counts.reshape(2, total), bits)

    def __add__(self, other: Histogram) -> Histogram:
        """Both merged.

        Raises:
            DataError: They differ in fineness.
        """
        if self.bits != other.bits:
            raise DataError("histograms of different fineness cannot be merged", expected=self.bits, got=other.bits)
        return Histogram(self.counts + other.counts, self.bits)

    def coarse(self, bits: int = COARSE_BITS) -> Histogram:
        """The same pixels in fewer bins: exactly what counting them so coarsely would have given.

        Raises:
            DataError: `bits` is finer than this histogram.
        """
        return Histogram(np.add.reduceat(self.counts, coarse_starts(self.bits, bits), axis=1), bits)

    def to_vector(self) -> NDArray[np.int64]:
        """(2 B,) int64, for pooling over patients."""
        return self.counts.ravel()

    def from_vector(self, vector: NDArray[np.int64]) -> Self:
        """A histogram of this fineness from what `to_vector` made, or from sums of it."""
        return type(self)(vector.reshape(self.counts.shape), self.bits)

    @property
    def positives(self) -> int:
        """Tumour pixels."""
        return int(self.counts[1].sum())

    @property
    def negatives(self) -> int:
        """Other pixels."""
        return int(self.counts[0].sum())

    def roc_auc(self) -> float:
        """Area under the ROC curve: chance that a tumour pixel ranks above another one, ties counting half.

        Returns:
            In [0, 1], within `roc_auc_bound` of the exact one; NaN unless both classes occur.
        """
        if not self.positives or not self.negatives:
            return math.nan
        negative, positive = self.counts.astype(np.float64)
        below = np.cumsum(negative) - negative
        return float(positive @ (below + negative / 2) / positive.sum() / negative.sum())

    def roc_auc_bound(self) -> float:
        """How far `roc_auc` can be from the exact area: half the fraction of pairs that fall into one bin.

        Such a pair counts 1/2 here and 0, 1/2 or 1 in truth. Bins that take a single float32 hold real ties and add
        nothing.

        Returns:
            In [0, 1/2]; NaN unless both classes occur.
        """
        if not self.positives or not self.negatives:
            return math.nan
        negative, positive = np.where(bins_of_one_value(self.bits), 0, self.counts).astype(np.float64)
        return float(negative @ positive / 2 / self.positives / self.negatives)

    def pr_auc(self) -> float:
        """Average precision: precision at each threshold, weighted by the recall that the threshold adds.

        Returns:
            In [0, 1], within `pr_auc_bound` of the exact one; NaN unless both classes occur.
        """
        if not self.positives or not self.negatives:
            return math.nan
        false, true = self.cumulated()
        positive = self.counts[1, ::-1]
        return float(positive @ (true / np.maximum(true + false, 1)) / self.positives)

    def pr_auc_bound(self) -> float:
        """How far `pr_auc` can be from the exact average precision.

        In a bin of p positives and n negatives with T true and F false positives above it, the precision at any
        threshold is at most (T + p) / (T + F + p). At the bin's i-th positive it is at least
        (T + i) / (T + F + n + i), which summed over i is at least p - (F + n) log(1 + p / (T + F + n)). Bins that take
        a single float32 add nothing.

        Returns:
            In [0, 1]; NaN unless both classes occur.
        """
        if not self.positives or not self.negatives:
            return math.nan
        false, true = self.cumulated()
        negative, positive = self.counts[:, ::-1].astype(np.float64)
        tied = positive * (true / np.maximum(true + false, 1))
        highest = positive * (true / np.maximum(true + false - negative, 1))
        lowest = positive - false * np.log1p(positive / np.maximum(true + false - positive, 1))
        unsure = ~bins_of_one_value(self.bits)[::-1]
        # Both differences are at least 0 but for rounding.
        above, below = ((np.maximum(gap, 0) @ unsure) for gap in (highest - tied, tied - lowest))
        return float(max(above, below) / self.positives)

    def cumulated(self) -> NDArray[np.float64]:
        """(2, B) false and true positives at each bin's lower edge as threshold, from the highest bin down."""
        return np.cumsum(self.counts[:, ::-1], axis=1).astype(np.float64)


def _check_pair(probability: NDArray[Any], truth: NDArray[Any]) -> None:
    """Check that these are probabilities over a binary truth."""
    if probability.shape != truth.shape:
        raise ImageError("probability and truth differ in size", expected=truth.shape, got=probability.shape)
    if not np.issubdtype(probability.dtype, np.floating):
        raise ImageError("the probability has the wrong type", expected="floating point", got=probability.dtype)
    if truth.dtype not in (np.bool_, np.uint8):
        raise ImageError("the truth is not a mask", expected="bool or uint8", got=truth.dtype)
    if not probability.size:
        return
    low, high = probability.min(), probability.max()
    if not (low >= 0 and high <= 1):  # also false for NaN
        raise ImageError("the probability is out of range", expected="0 to 1", got=f"{low} to {high}")
    if int(truth.max()) > 1:
        raise ImageError("the truth is not binary", expected="values 0 and 1", got=f"a value of {int(truth.max())}")
