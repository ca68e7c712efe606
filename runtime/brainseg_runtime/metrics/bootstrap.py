"""Bootstrap intervals over patients: BCa, and the reason where an interval is undefined.

Patients are independent, slices and pixels of one patient are not; so whole patients are drawn with replacement, each
with all its slices. Intervals are bias-corrected and accelerated, as
`scipy.stats.bootstrap(method="BCa")` computes them; the jackknife leaves out a patient at a time. The same seed and
number of patients give the same draws for every score, so intervals of one evaluation belong together.

An interval is undefined, (NaN, NaN) with a `reason`, where

- there are too few patients: the widest interval that n patients can give, from the lowest to the highest, holds the
  true median with probability 1 - 2**(1 - n). Where that is below the level, no resampling can reach it: 95 % needs 6.
- the score does not vary, or a single patient decides whether it is defined.

Legend: S bootstrap samples, P patients, K numbers that describe a patient.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 14 (BCa).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brainseg_runtime.errors import DataError

SAMPLES = 2000
"""Bootstrap samples: the ends of a 95 % interval then rest on 50 samples each."""

LEVEL = 0.95
"""Fraction of intervals that hold the true score."""

_BLOCK_VALUES = 1 << 21  # numbers held at once, 16 MiB, whatever S, P and K are
_NORMAL = NormalDist()


class Interval(tuple[float, float]):
    """Low and high end; (NaN, NaN) and a reason where the interval is undefined."""

    reason: str
    """Why it is undefined, as a sentence without full stop; empty where it is defined."""

    def __new__(cls, low: float, high: float, reason: str = "") -> Self:
        """Make an interval."""
        made = super().__new__(cls, (low, high))
        made.reason = reason
        return made

    @classmethod
    def none(cls, reason: str) -> Self:
        """An undefined interval."""
        return cls(math.nan, math.nan, reason)

    @property
    def defined(self) -> bool:
        """Whether it has ends."""
        return not self.reason


class Additive(Protocol):
    """What can be pooled over patients: a value that turns into a vector of integers and back."""

    def to_vector(self) -> NDArray[np.int64]:
        """(K,) int64."""
        ...

    def from_vector(self, vector: NDArray[np.int64]) -> Self:
        """The value of a sum of such vectors."""
        ...


T = TypeVar("T", bound=Additive)


def least_patients(level: float = LEVEL) -> int:
    """Fewest patients that an interval of a level can rest on; the head of this file says why.

    >>> least_patients(0.95)
    6

    Raises:
        DataError: The level is not between 0 and 1.
    """
    _check_level(level)
    return next(n for n in range(2, 1100) if 1 - 2.0 ** (1 - n) >= level)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Interval of a statistic over one number per patient.

    >>> low, high = bootstrap_interval([0.81, 0.92, 0.88, 0.75, 0.9, 0.86, 0.93])
    >>> round(low, 3), round(high, 3)
    (0.813, 0.9)
    >>> bootstrap_interval([0.81, 0.92]).reason
    '2 patients: a 95 % interval needs at least 6'

    Args:
        values: (P,) one finite number per patient.
        statistic: Called as ``statistic(drawn, axis=1)`` with (s, P) float64, returns (s,); such as `numpy.median`.
        samples: Bootstrap samples, S.
        seed: Of the draws.
        level: Fraction of such intervals that hold the true value, between 0 and 1.

    Returns:
        Low and high end; (NaN, NaN) and a reason where the interval is undefined.

    Raises:
        DataError: The values are not one finite number per patient, or `samples` or `level` is out of range.
    """
    numbers = _per_patient(values, "values")
    if missing := _too_few(len(numbers), samples, level):
        return missing

    def of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(statistic(rows, axis=1), dtype=np.float64)

    drawn = [of(numbers[chosen]) for chosen in _draws(len(numbers), samples, seed, width=1)]
    left_out = of(numbers[_all_but_one(len(numbers))])
    return _bca(float(of(numbers[None])[0]), np.concatenate(drawn), left_out, level)


def bootstrap_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Interval of a mean over slices, drawn by patient: sum of the patients' sums over sum of their slice counts.

    Args:
        numerators: (P,) finite sum of a score over a patient's slices.
        denominators: (P,) number of those slices, 0 allowed; such patients do not count towards the fewest.
        samples: Bootstrap samples, S. Samples without a slice are left out.
        seed: Of the draws.
        level: Fraction of such intervals that hold the true value, between 0 and 1.

    Returns:
        Low and high end; (NaN, NaN) and a reason where the interval is undefined.

    Raises:
        DataError: As for `bootstrap_interval`, or the two differ in length.

    >>> low, high = bootstrap_ratio([8.1, 4.5, 9.9, 3.0, 7.2, 6.4], [10, 6, 11, 5, 9, 8])
    >>> round(low, 2), round(high, 2)
    (0.73, 0.86)
    """
    sums, sizes = _per_patient(numerators, "numerators"), _per_patient(denominators, "denominators")
    if len(sums) != len(sizes):
        raise DataError(
            "the number of sums and of slice counts differs", expected=f"{len(sums)} counts", got=len(sizes)
        )
    having = int(np.count_nonzero(sizes))
    which = "patients" if having == len(sizes) else "patients with such slices"
    if missing := _too_few(having, samples, level, which=which):
        return missing
    drawn = [
        _over(sums[chosen].sum(axis=1), sizes[chosen].sum(axis=1))
        for chosen in _draws(len(sums), samples, seed, width=2)
    ]
    left_out = _over(sums.sum() - sums, sizes.sum() - sizes)
    return _bca(float(sums.sum() / sizes.sum()), np.concatenate(drawn), left_out, level)


def bootstrap_pooled(
    parts: Sequence[T],
    score: Callable[[T], float],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Interval of a score over the pixels of all patients together: patients are drawn, their counts summed.

    Args:
        parts: One per patient, `Counts` or `Histogram`, all of one kind.
        score: From the pooled counts to a number; samples for which it is NaN, as an AUC without tumour, are left out.
        samples: Bootstrap samples, S.
        seed: Of the draws.
        level: Fraction of such intervals that hold the true value, between 0 and 1.

    Returns:
        Low and high end; (NaN, NaN) and a reason where the interval is undefined.

    Raises:
        DataError: `samples` or `level` is out of range.

    >>> from brainseg_runtime.metrics import Counts, dice
    >>> low, high = bootstrap_pooled([Counts(tp=tp, fp=2, fn=3, tn=90) for tp in range(4, 12)], dice)
    >>> round(low, 2), round(high, 2)
    (0.7, 0.78)
    """
    if missing := _too_few(len(parts), samples, level):
        return missing
    # Sums of whole numbers below 2**53 are exact in float64, and BLAS multiplies nothing else fast.
    table = np.stack([part.to_vector() for part in parts]).astype(np.float64)

    def of(sums: NDArray[np.float64]) -> list[float]:
        return [score(parts[0].from_vector(row)) for row in sums.astype(np.int64)]

    drawn: list[float] = []
    for chosen in _draws(len(parts), samples, seed, width=table.shape[1]):
        drawn += of(_multiplicities(chosen) @ table)
    whole = table.sum(axis=0)
    left_out = [of(whole[None] - row)[0] for row in table]
    return _bca(of(whole[None])[0], np.array(drawn), np.array(left_out), level)


def _bca(observed: float, drawn: NDArray[np.float64], left_out: NDArray[np.float64], level: float) -> Interval:
    """The interval from a statistic, its bootstrap samples (S,) and its jackknife (P,)."""
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(observed) or not len(drawn):
        return Interval.none("the score is undefined for these patients")
    if np.isnan(left_out).any():
        return Interval.none("a single patient decides whether the score is defined")
    influence = left_out.mean() - left_out
    # Differences of the size of rounding alone are none: they would be scaled up to an interval of noise.
    if np.abs(influence).max() <= 1e-12 * max(abs(observed), np.abs(left_out).max()):
        return Interval.none("the score does not vary between patients")
    below = (np.count_nonzero(drawn < observed) + np.count_nonzero(drawn <= observed)) / (2 * len(drawn))
    if not 0 < below < 1:
        return Interval.none("every resampled score lies on one side of the score")
    bias = _NORMAL.inv_cdf(below)
    acceleration = float((influence**3).sum() / (influence**2).sum() ** 1.5 / 6)
    tail = _NORMAL.inv_cdf((1 - level) / 2)
    fractions = [_NORMAL.cdf(bias + (bias + end) / (1 - acceleration * (bias + end))) for end in (tail, -tail)]
    low, high = np.quantile(drawn, fractions)
    return Interval(float(low), float(high))


def _too_few(patients: int, samples: int, level: float, *, which: str = "patients") -> Interval | None:
    """An undefined interval and the reason, where there are too few patients."""
    if samples < 1:
        raise DataError("too few samples", expected="at least 1", got=samples)
    least = least_patients(level)
    if patients >= least:
        return None
    counted = which if patients != 1 else which.replace("patients", "patient", 1)
    return Interval.none(f"{patients} {counted}: a {level * 100:g} % interval needs at least {least}")


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
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_VALUES // max(patients, width))
    for start in range(0, samples, block):
        yield rng.integers(0, patients, size=(min(block, samples - start), patients))


def _all_but_one(patients: int) -> NDArray[np.int64]:
    """(P, P - 1) patient indices, each row without another patient."""
    return np.stack([np.delete(np.arange(patients), index) for index in range(patients)])


def _over(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over sizes; NaN where the size is 0."""
    ratios: NDArray[np.float64] = np.divide(sums, sizes, out=np.full(len(sums), np.nan), where=sizes > 0)
    return ratios


def _multiplicities(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """(s, P) how often each patient was drawn."""
    rows, patients = chosen.shape
    flat = (chosen + patients * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * patients).reshape(rows, patients).astype(np.float64)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError("the level is out of range", expected="between 0 and 1", got=level)
