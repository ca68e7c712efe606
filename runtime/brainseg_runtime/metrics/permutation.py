"""The sign-flip permutation test between two models, and the smallest p that it can give.

Legend: P patients, those whose scores differ.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 15; Phipson and Smyth, Permutation p-values
should never be zero, 2010, for counting the observed order among drawn ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brainseg_runtime.errors import DataError

PERMUTATIONS = 10_000
"""Sign flips that are drawn where there are too many to try all; the standard error of p = 0.05 is then 0.002."""

EXACT_PATIENTS = 20
"""Up to this many patients that differ all 2**20 sign flips are tried: 8 MiB of sums."""

_BLOCK_VALUES = 1 << 21  # numbers held at once, 16 MiB


def paired_permutation_test(a: ArrayLike, b: ArrayLike, *, samples: int = PERMUTATIONS, seed: int = 0) -> float:
    """Two-sided p of the hypothesis that two models differ by chance alone, from the same patients' scores.

    >>> paired_permutation_test([0.9, 0.8, 0.7, 0.9, 0.8], [0.8, 0.7, 0.5, 0.6, 0.7])
    0.0625

    Under it each patient's difference is as likely to have the other sign; the statistic is the mean difference. With
    up to 20 patients that differ all sign flips are tried and p is exact; with more, flips are drawn and the observed
    order counts as one of them, so p is never 0. Patients without a difference change nothing.

    Args:
        a: (P,) finite score per patient of one model.
        b: (P,) finite score per patient of the other, the same patients in the same order.
        samples: Sign flips to draw where there are too many to try all.
        seed: Of the draws.

    Returns:
        p in (0, 1]; 1 where no patient differs.

    Raises:
        DataError: The two do not hold one finite number per patient each, or `samples` is below 1.
    """
    if samples < 1:
        raise DataError("too few samples", expected="at least 1", got=samples)
    differences = _differences(a, b)
    # Flips that give the same sum but for rounding are ties with the observed one, not losses against it.
    least = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if len(differences) <= EXACT_PATIENTS:
        sums = np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums + difference, sums - difference])
        return float(np.mean(np.abs(sums) >= least))
    rng = np.random.default_rng(seed)
    extreme, block = 0, max(1, _BLOCK_VALUES // len(differences))
    for start in range(0, samples, block):
        size = (min(block, samples - start), len(differences))
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=size)
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= least))
    return (extreme + 1) / (samples + 1)


def least_p(a: ArrayLike, b: ArrayLike) -> float:
    """The smallest p that the test can give for so many patients that differ: 2**(1 - P), and 1 for none.

    A test whose p cannot reach a level cannot find a difference at that level, whatever the difference is.

    >>> least_p([0.9, 0.8, 0.7], [0.8, 0.7, 0.5])
    0.25

    Raises:
        DataError: The two do not hold one finite number per patient each.
    """
    return 2.0 ** (1 - max(1, len(_differences(a, b))))


def _differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """(P,) differences that are not 0.

    Raises:
        DataError: The two do not hold one finite number per patient each.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or second.ndim != 1 or not np.isfinite([*first, *second]).all():
        raise DataError("the scores cannot be compared", expected="one finite number per patient", got="something else")
    if len(first) != len(second) or not len(first):
        raise DataError("the scores are not paired", expected=f"{len(first)} patients, at least one", got=len(second))
    every = first - second
    differing: NDArray[np.float64] = every[every != 0]
    return differing
