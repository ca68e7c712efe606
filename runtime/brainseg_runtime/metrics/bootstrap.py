"""Patient bootstrap intervals, and the sign-flip permutation test between two models.

Patients are the independent units, slices and pixels of one patient are not; so whole patients are drawn with
replacement and everything of a patient that is drawn comes with it. Intervals are percentile intervals. The same seed
and number of patients give the same draws for every score, so intervals of one evaluation belong together.

Legend: S bootstrap samples, P patients, K numbers that describe a patient.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13 (percentile interval) and ch. 15 (test).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brainseg_runtime.errors import DataError

Interval: TypeAlias = tuple[float, float]
"""Low and high end; (NaN, NaN) where there is none, as for fewer than two patients."""

SAMPLES = 2000
"""Bootstrap samples: the ends of a 95 % interval then rest on 50 samples each."""

PERMUTATIONS = 10_000
"""Sign flips that are drawn where there are too many to try all; the standard error of p = 0.05 is then 0.002."""

_BLOCK_VALUES = 1 << 21  # numbers held at once, 16 MiB, whatever S, P and K are


class Additive(Protocol):
    """What can be pooled over patients: a value that turns into a vector of integers and back."""

    def to_vector(self) -> NDArray[np.int64]:
        """(K,) int64."""
        ...

    def from_vector(self, vector: NDArray[np.int64]) -> Self:
        """The value of a sum of such vectors."""
        ...


T = TypeVar("T", bound=Additive)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of a statistic over one number per patient.

    Args:
        values: (P,) one finite number per patient.
        statistic: Called as ``statistic(drawn, axis=1)`` with (s, P) float64, returns (s,); such as `numpy.median`.
        samples: Bootstrap samples, S.
        seed: Of the draws.
        level: Share of the samples inside, between 0 and 1.

    Returns:
        Low and high end; (NaN, NaN) for fewer than two patients.

    Raises:
        DataError: The values are not one finite number per patient, or `samples` or `level` is out of range.
    """
    numbers = _per_patient(values, "values")
    if len(numbers) < 2:
        return math.nan, math.nan
    drawn = [
        np.asarray(statistic(numbers[chosen], axis=1), dtype=np.float64)
        for chosen in _draws(len(numbers), samples, seed, width=1)
    ]
    return _percentiles(np.concatenate(drawn), level)


def bootstrap_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of a mean over slices, drawn by patient: sum of the patients' sums over sum of their slice counts.

    Args:
        numerators: (P,) finite sum of a score over a patient's slices.
        denominators: (P,) number of those slices, 0 allowed.
        samples: Bootstrap samples, S. Samples without a slice are left out.
        seed: Of the draws.
        level: Share of the samples inside, between 0 and 1.

    Returns:
        Low and high end; (NaN, NaN) for fewer than two patients or where no sample holds a slice.

    Raises:
        DataError: As for `bootstrap_interval`, or the two differ in length.
    """
    sums, sizes = _per_patient(numerators, "numerators"), _per_patient(denominators, "denominators")
    if len(sums) != len(sizes):
        raise DataError("sums and slice counts do not match", expected=f"{len(sums)} counts", got=len(sizes))
    if len(sums) < 2:
        return math.nan, math.nan
    ratios = []
    for chosen in _draws(len(sums), samples, seed, width=2):
        over, under = sums[chosen].sum(axis=1), sizes[chosen].sum(axis=1)
        ratios.append(np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0))
    return _percentiles(np.concatenate(ratios), level)


def bootstrap_pooled(
    parts: Sequence[T],
    score: Callable[[T], float],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of a score over the pixels of all patients together: patients are drawn, their counts summed.

    Args:
        parts: One per patient, `Counts` or `Histogram`, all of one kind.
        score: From the pooled counts to a number; samples for which it is NaN, as an AUC without tumour, are left out.
        samples: Bootstrap samples, S.
        seed: Of the draws.
        level: Share of the samples inside, between 0 and 1.

    Returns:
        Low and high end; (NaN, NaN) for fewer than two patients or where every sample is NaN.

    Raises:
        DataError: `samples` or `level` is out of range.
    """
    if len(parts) < 2:
        return math.nan, math.nan
    # Sums of whole numbers below 2**53 are exact in float64, and BLAS multiplies nothing else fast.
    table = np.stack([part.to_vector() for part in parts]).astype(np.float64)
    scores: list[float] = []
    for chosen in _draws(len(parts), samples, seed, width=table.shape[1]):
        sums = (_multiplicities(chosen) @ table).astype(np.int64)
        scores += [score(parts[0].from_vector(row)) for row in sums]
    return _percentiles(np.array(scores), level)


def paired_permutation_test(a: ArrayLike, b: ArrayLike, *, samples: int = PERMUTATIONS, seed: int = 0) -> float:
    """Two-sided p of the hypothesis that two models differ by chance alone, from the same patients' scores.

    Under it each patient's difference is as likely to have the other sign; the statistic is the mean difference. All
    2**P sign flips are tried where that is no more than `samples`, and p is then exact; otherwise flips are drawn and
    the observed order counts as one of them, so p is never 0.

    Args:
        a: (P,) finite score per patient of one model.
        b: (P,) finite score per patient of the other, the same patients in the same order.
        samples: Sign flips to draw.
        seed: Of the draws.

    Returns:
        p in (0, 1]; 1 where no patient differs.

    Raises:
        DataError: The two do not hold one finite number per patient each, or `samples` is below 1.
    """
    first, second = _per_patient(a, "first scores"), _per_patient(b, "second scores")
    if len(first) != len(second) or not len(first):
        raise DataError("scores are not paired", expected=f"{len(first)} patients, at least one", got=len(second))
    _check_samples(samples)
    differences = first - second
    # Flips that give the same sum but for rounding are ties with the observed one, not losses against it.
    least = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if 2 ** len(differences) <= samples:
        signs = 1.0 - 2.0 * ((np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences))) & 1)
        return float(np.mean(np.abs(signs @ differences) >= least))
    rng = np.random.default_rng(seed)
    extreme = 0
    for size in _block_sizes(samples, len(differences)):
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(size, len(differences)))
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= least))
    return (extreme + 1) / (samples + 1)


def _per_patient(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """(P,) float64.

    Raises:
        DataError: There is another number of axes, or a value that is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        got = f"shape {numbers.shape}" if numbers.ndim != 1 else "a value that is not finite"
        raise DataError(f"{name} cannot be used", expected="one finite number per patient", got=got)
    return numbers


def _draws(patients: int, samples: int, seed: int, *, width: int) -> Iterator[NDArray[np.int64]]:
    """Blocks (s, P) of patient indices, S rows in all; which ones depends on P, S and the seed, never on the block."""
    _check_samples(samples)
    rng = np.random.default_rng(seed)
    for size in _block_sizes(samples, max(patients, width)):
        yield rng.integers(0, patients, size=(size, patients))


def _block_sizes(rows: int, width: int) -> Iterator[int]:
    """Split a number of rows so that a block of `width` numbers each stays small."""
    block = max(1, _BLOCK_VALUES // width)
    for start in range(0, rows, block):
        yield min(block, rows - start)


def _multiplicities(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """(s, P) how often each patient was drawn."""
    rows, patients = chosen.shape
    flat = (chosen + patients * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * patients).reshape(rows, patients).astype(np.float64)


def _percentiles(statistics: NDArray[np.float64], level: float) -> Interval:
    """The interval that leaves equal shares outside on both sides."""
    if not 0 < level < 1:
        raise DataError("the level is out of range", expected="between 0 and 1", got=level)
    defined = statistics[~np.isnan(statistics)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise DataError("too few samples", expected="at least 1", got=samples)
