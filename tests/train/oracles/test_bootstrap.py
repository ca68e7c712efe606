"""BCa intervals against `scipy.stats.bootstrap` over the same resamples, and how often they hold the true value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap

from brainseg_runtime.metrics import Counts, bootstrap_interval, bootstrap_pooled, bootstrap_ratio, dice, precision
from brainseg_runtime.metrics.bootstrap import least_patients

PATIENTS = [6, 7, 14, 40]


def scipys(data: tuple[NDArray[Any], ...], statistic: Callable[..., Any], *, seed: int = 0) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    found = bootstrap(data, statistic, paired=len(data) > 1, n_resamples=2000, method="BCa", rng=rng)
    return found.confidence_interval.low, found.confidence_interval.high


def drawn_scores(patients: int) -> NDArray[np.float64]:
    """As volume Dice is: near 0.9, with a tail down."""
    return np.random.default_rng(patients).beta(9, 1.5, patients)


@pytest.mark.parametrize("patients", PATIENTS)
@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_a_mean_and_a_median(patients: int, statistic: Callable[..., Any]) -> None:
    scores = drawn_scores(patients)
    assert bootstrap_interval(scores, statistic) == pytest.approx(scipys((scores,), statistic), abs=1e-12)


@pytest.mark.parametrize("patients", PATIENTS)
def test_a_ratio(patients: int) -> None:
    sizes = np.random.default_rng(1).integers(1, 30, patients)
    sums = drawn_scores(patients) * sizes
    expected = scipys((sums, sizes), lambda over, under, axis: over.sum(axis) / under.sum(axis))
    assert bootstrap_ratio(sums, sizes) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("patients", PATIENTS)
def test_pooled_counts(patients: int) -> None:
    table = np.random.default_rng(2).integers(1, 5000, (patients, 4))
    counts = [Counts(*row) for row in table.tolist()]

    def pooled_dice(tp: Any, fp: Any, fn: Any, tn: Any, axis: int) -> Any:  # noqa: ANN401, ARG001 - SciPy's to choose
        return 2 * tp.sum(axis) / (2 * tp.sum(axis) + fp.sum(axis) + fn.sum(axis))

    def pooled_precision(tp: Any, fp: Any, fn: Any, tn: Any, axis: int) -> Any:  # noqa: ANN401, ARG001 - SciPy's to choose
        return tp.sum(axis) / (tp.sum(axis) + fp.sum(axis))

    columns = tuple(table.T.astype(np.float64))
    assert bootstrap_pooled(counts, dice) == pytest.approx(scipys(columns, pooled_dice), abs=1e-12)
    assert bootstrap_pooled(counts, precision) == pytest.approx(scipys(columns, pooled_precision), abs=1e-12)


def test_with_the_fewest_patients_most_intervals_hold_the_true_mean() -> None:
    """Far from 95 % with six of a skewed kind, as any interval would be; more with more."""
    rng = np.random.default_rng(0)
    held = {}
    for patients in (least_patients(), 30):
        inside = 0
        for _ in range(200):
            low, high = bootstrap_interval(rng.beta(9, 1.5, patients), samples=400)
            inside += low <= 9 / 10.5 <= high
        held[patients] = inside / 200
    assert 0.75 <= held[6] < held[30]
    assert held[30] >= 0.87
