"""Bootstrap intervals against a naive BCa, and where there is none; SciPy's own is asked in the training tests."""

from __future__ import annotations

import math
import re
from statistics import NormalDist

import numpy as np
import pytest

from brainseg_runtime.errors import DataError
from brainseg_runtime.metrics import Counts, dice, precision
from brainseg_runtime.metrics import bootstrap as intervals
from brainseg_runtime.metrics.bootstrap import (
    Interval,
    bootstrap_interval,
    bootstrap_pooled,
    bootstrap_ratio,
    least_patients,
)
from brainseg_runtime.metrics.histogram import Histogram

VALUES = np.random.default_rng(0).random(11)
COUNTS = [Counts(*numbers) for numbers in np.random.default_rng(1).integers(0, 50, (11, 4)).tolist()]


def naive(patients: int, samples: int, seed: int) -> list[list[int]]:
    """The patients of each sample, drawn in one go."""
    drawn: list[list[int]] = np.random.default_rng(seed).integers(0, patients, size=(samples, patients)).tolist()
    return drawn


def bca(score: object, patients: int, *, samples: int, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """As Efron and Tibshirani write it, from a score of a list of patients' indices."""
    of = score
    observed = of(list(range(patients)))  # type: ignore[operator]
    drawn = [of(draw) for draw in naive(patients, samples, seed)]  # type: ignore[operator]
    drawn = [each for each in drawn if not math.isnan(each)]
    jackknife = [of([i for i in range(patients) if i != left]) for left in range(patients)]  # type: ignore[operator]
    gaps = [sum(jackknife) / patients - each for each in jackknife]
    acceleration = sum(gap**3 for gap in gaps) / (6 * sum(gap**2 for gap in gaps) ** 1.5)
    share = sum((each < observed) + (each <= observed) for each in drawn) / (2 * len(drawn))
    normal = NormalDist()
    bias = normal.inv_cdf(share)
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + normal.inv_cdf(tail)
        ends.append(float(np.percentile(drawn, 100 * normal.cdf(bias + z / (1 - acceleration * z)))))
    return ends[0], ends[1]


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_an_interval_is_that_of_a_naive_loop(statistic: object) -> None:
    expected = bca(lambda chosen: float(statistic(VALUES[chosen])), 11, samples=300, seed=7, level=0.9)  # type: ignore[operator]
    assert bootstrap_interval(VALUES, statistic, samples=300, seed=7, level=0.9) == pytest.approx(expected)  # type: ignore[arg-type]


def test_a_pooled_interval_is_that_of_a_naive_loop() -> None:
    expected = bca(lambda chosen: dice(Counts.total(COUNTS[i] for i in chosen)), 11, samples=300, seed=7)
    assert bootstrap_pooled(COUNTS, dice, samples=300, seed=7) == pytest.approx(expected)


def test_a_pooled_interval_of_an_area_is_that_of_a_naive_loop() -> None:
    rng = np.random.default_rng(2)
    parts = [Histogram.of(rng.random(30, np.float32), rng.random(30) < 0.3, bits=4) for _ in range(7)]
    expected = bca(lambda chosen: sum((parts[i] for i in chosen), Histogram.empty(bits=4)).roc_auc(), 7, samples=100)
    assert bootstrap_pooled(parts, Histogram.roc_auc, samples=100) == pytest.approx(expected)


def test_an_interval_over_slices_draws_whole_patients() -> None:
    sums, sizes = VALUES * 3, np.array([3, 0, 2, 5, 1, 1, 0, 4, 3, 3, 2])
    expected = bca(lambda chosen: float(sums[chosen].sum() / sizes[chosen].sum()), 11, samples=300, seed=7)
    assert bootstrap_ratio(sums, sizes, samples=300, seed=7) == pytest.approx(expected)


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_interval(VALUES), bootstrap_pooled(COUNTS, dice)
    monkeypatch.setattr(intervals, "_BLOCK_VALUES", 77)
    assert (bootstrap_interval(VALUES), bootstrap_pooled(COUNTS, dice)) == whole


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    half = 1.96 * values.std() / math.sqrt(400)
    assert bootstrap_interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_a_skewed_score_has_a_skewed_interval() -> None:
    """The long tail is on the left: BCa reaches farther there than the percentiles do."""
    values = 1 - np.random.default_rng(4).exponential(0.1, 20)
    low, high = bootstrap_interval(values)
    drawn = [values[chosen].mean() for chosen in naive(20, 2000, 0)]
    assert low < np.percentile(drawn, 2.5)
    assert high < np.percentile(drawn, 97.5)


def test_a_wider_level_gives_a_wider_interval() -> None:
    low, high = bootstrap_interval(VALUES, level=0.5)
    wide_low, wide_high = bootstrap_interval(VALUES, level=0.99)
    assert wide_low < low < high < wide_high


@pytest.mark.parametrize(("level", "least"), [(0.95, 6), (0.99, 8), (0.5, 2), (0.9, 5)])
def test_the_fewest_patients_are_those_whose_range_holds_the_median(level: float, least: int) -> None:
    """Counted out: of all ways in which patients lie below or above the median, those with some on either side."""
    assert least_patients(level) == least
    for patients in range(2, 12):
        held = sum(0 < bin(way).count("1") < patients for way in range(2**patients)) / 2**patients
        assert (held >= level) == (patients >= least)


@pytest.mark.parametrize("patients", [0, 1, 2, 5])
def test_too_few_patients_have_no_interval_and_the_reason_says_how_many_it_takes(patients: int) -> None:
    made = [
        bootstrap_interval(VALUES[:patients]),
        bootstrap_ratio(VALUES[:patients], [1] * patients),
        bootstrap_pooled(COUNTS[:patients], dice),
    ]
    for interval in made:
        assert all(math.isnan(end) for end in interval)
        assert not interval.defined
        assert re.match(rf"{patients} patients?\b.*95 % interval needs at least 6", interval.reason)
    assert bootstrap_interval(VALUES[:6]).defined


def test_patients_without_such_slices_do_not_count() -> None:
    interval = bootstrap_ratio(VALUES, [1, 2, 3, 0, 0, 0, 0, 0, 0, 1, 1])
    assert "5 patients with such slices" in interval.reason


def test_a_score_that_does_not_vary_has_no_interval() -> None:
    assert "does not vary" in bootstrap_interval(np.full(9, 0.1)).reason
    assert "does not vary" in bootstrap_pooled([Counts(tp=3, fp=1)] * 9, dice).reason


def test_a_score_that_hangs_on_one_patient_has_no_interval() -> None:
    some = [Counts(tp=1, fp=2, tn=1), *[Counts(tn=3)] * 8]
    assert "single patient" in bootstrap_pooled(some, precision).reason
    assert "undefined" in bootstrap_pooled([Counts(tn=3)] * 9, precision).reason


def test_samples_without_a_score_are_left_out() -> None:
    some = [Counts(tp=1, fp=2), Counts(tp=5, fp=1), *[Counts(tn=3)] * 5]
    expected = bca(lambda chosen: precision(Counts.total(some[i] for i in chosen)), 7, samples=300)
    assert bootstrap_pooled(some, precision, samples=300) == pytest.approx(expected)


def test_a_statistic_on_the_edge_of_its_samples_has_no_interval() -> None:
    assert "one side" in bootstrap_interval(VALUES, _below_all).reason


def _below_all(rows: np.typing.NDArray[np.float64], axis: int) -> np.typing.NDArray[np.float64]:
    """The mean, moved far down where no patient is drawn twice."""
    alone = np.array([len(np.unique(row)) == len(row) == 11 for row in rows])
    return rows.mean(axis=axis) - 9.0 * alone  # type: ignore[no-any-return]


def test_an_interval_is_a_pair_with_a_reason() -> None:
    low, high = Interval(0.25, 0.75)
    assert (low, high) == (0.25, 0.75) == Interval(0.25, 0.75)
    assert Interval(0.25, 0.75).defined
    assert not Interval.none("why").defined


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap_interval([0.1, math.nan]),
        lambda: bootstrap_interval([[0.1, 0.2]]),
        lambda: bootstrap_interval([0.1, 0.2], samples=0),
        lambda: bootstrap_interval([0.1, 0.2], level=1.0),
        lambda: bootstrap_ratio([0.1, 0.2], [1]),
        lambda: least_patients(0.0),
    ],
)
def test_what_cannot_be_resampled_is_refused(call: object) -> None:
    with pytest.raises(DataError):
        call()  # type: ignore[operator]
