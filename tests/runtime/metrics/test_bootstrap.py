"""Bootstrap intervals and the permutation test against naive loops and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import DataError
from brainseg_runtime.metrics import Counts, dice, precision
from brainseg_runtime.metrics import bootstrap as intervals
from brainseg_runtime.metrics.bootstrap import (
    bootstrap_interval,
    bootstrap_pooled,
    bootstrap_ratio,
    paired_permutation_test,
)
from brainseg_runtime.metrics.histogram import Histogram

VALUES = np.random.default_rng(0).random(11)
COUNTS = [Counts(*numbers) for numbers in np.random.default_rng(1).integers(0, 50, (11, 4)).tolist()]


def naive(patients: int, samples: int, seed: int) -> list[list[int]]:
    """The patients of each sample, drawn in one go."""
    drawn: list[list[int]] = np.random.default_rng(seed).integers(0, patients, size=(samples, patients)).tolist()
    return drawn


def percentiles(scores: list[float], level: float = 0.95) -> tuple[float, float]:
    known = [score for score in scores if not math.isnan(score)]
    return tuple(np.percentile(known, [50 - 50 * level, 50 + 50 * level]))


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_an_interval_is_that_of_a_naive_loop(statistic: object) -> None:
    expected = percentiles([getattr(np, statistic.__name__)(VALUES[draw]) for draw in naive(11, 300, 7)], 0.9)  # type: ignore[attr-defined]
    assert bootstrap_interval(VALUES, statistic, samples=300, seed=7, level=0.9) == pytest.approx(expected)  # type: ignore[arg-type]


def test_a_pooled_interval_is_that_of_a_naive_loop() -> None:
    expected = percentiles([dice(Counts.total(COUNTS[i] for i in draw)) for draw in naive(11, 300, 7)])
    assert bootstrap_pooled(COUNTS, dice, samples=300, seed=7) == pytest.approx(expected)


def test_a_pooled_interval_of_an_area_is_that_of_a_naive_loop() -> None:
    rng = np.random.default_rng(2)
    parts = [Histogram.of(rng.random(30, np.float32), rng.random(30) < 0.3, bits=4) for _ in range(5)]
    scores = [sum((parts[i] for i in draw), Histogram.empty(bits=4)).roc_auc() for draw in naive(5, 100, 0)]
    assert bootstrap_pooled(parts, Histogram.roc_auc, samples=100) == pytest.approx(percentiles(scores))


def test_an_interval_over_slices_draws_whole_patients() -> None:
    sums, sizes = VALUES * 3, np.array([3, 0, 2, 5, 1, 1, 0, 4, 3, 3, 2])
    scores = [sums[draw].sum() / sizes[draw].sum() for draw in naive(11, 300, 7)]
    assert bootstrap_ratio(sums, sizes, samples=300, seed=7) == pytest.approx(percentiles(scores))


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (
        bootstrap_interval(VALUES),
        bootstrap_pooled(COUNTS, dice),
        paired_permutation_test(VALUES, VALUES[::-1], samples=99),
    )
    monkeypatch.setattr(intervals, "_BLOCK_VALUES", 77)
    parts = (
        bootstrap_interval(VALUES),
        bootstrap_pooled(COUNTS, dice),
        paired_permutation_test(VALUES, VALUES[::-1], samples=99),
    )
    assert parts == whole


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    half = 1.96 * values.std() / math.sqrt(400)
    assert bootstrap_interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_a_wider_level_gives_a_wider_interval() -> None:
    low, high = bootstrap_interval(VALUES, level=0.5)
    wide_low, wide_high = bootstrap_interval(VALUES, level=0.99)
    assert wide_low < low < high < wide_high


def test_fewer_than_two_patients_have_no_interval() -> None:
    for interval in (
        bootstrap_interval([0.5]),
        bootstrap_ratio([0.5], [1]),
        bootstrap_pooled(COUNTS[:1], dice),
        bootstrap_pooled([], dice),
    ):
        assert all(math.isnan(end) for end in interval)


def test_samples_without_a_score_are_left_out() -> None:
    some = [Counts(tn=3), Counts(tp=1, tn=1), Counts(tn=2)]
    assert bootstrap_pooled(some, precision) == (1.0, 1.0)
    assert bootstrap_ratio([0, 2, 0], [0, 4, 0]) == (0.5, 0.5)
    assert all(math.isnan(end) for end in bootstrap_pooled([Counts(tn=3)] * 2, precision))
    assert all(math.isnan(end) for end in bootstrap_ratio([0, 0], [0, 0]))


def exact_p(differences: list[float]) -> float:
    """Share of all sign flips whose sum is at least as far from 0."""
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(abs(each) >= abs(sum(differences)) - 1e-9 for each in sums) / len(sums)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_few_patients_get_the_exact_p(differences: list[int]) -> None:
    tenths = [difference / 10 for difference in differences]
    assert paired_permutation_test(tenths, [0.0] * len(tenths)) == pytest.approx(exact_p(tenths))


def test_drawn_flips_come_near_the_exact_p() -> None:
    a, b = np.random.default_rng(5).normal(0.05, 0.2, (2, 12))
    a = a + 0.08
    exact = paired_permutation_test(a, b, samples=2**12)
    drawn = paired_permutation_test(a, b, samples=2**12 - 1)
    assert exact == pytest.approx(exact_p(list(a - b)))
    assert drawn == pytest.approx(exact, abs=0.03)  # four standard errors


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_p_is_a_probability_and_does_not_care_which_model_is_first(scores: list[tuple[float, float]]) -> None:
    a, b = zip(*scores, strict=True)
    p = paired_permutation_test(a, b, samples=200)
    assert 0 < p <= 1
    assert p == paired_permutation_test(b, a, samples=200)


def test_equal_models_have_p_one_and_a_clear_order_a_small_one() -> None:
    assert paired_permutation_test(VALUES, VALUES) == 1.0
    assert paired_permutation_test(np.arange(40) + 1.0, np.zeros(40)) == pytest.approx(1 / 10_001)


def test_chance_alone_rarely_gives_a_small_p() -> None:
    noise = np.random.default_rng(9)
    small = [paired_permutation_test(*noise.normal(size=(2, 20)), samples=200) <= 0.05 for _ in range(200)]
    assert 1 <= sum(small) <= 22  # 10 expected, four standard errors


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap_interval([0.1, math.nan]),
        lambda: bootstrap_interval([[0.1, 0.2]]),
        lambda: bootstrap_interval([0.1, 0.2], samples=0),
        lambda: bootstrap_interval([0.1, 0.2], level=1.0),
        lambda: bootstrap_ratio([0.1, 0.2], [1]),
        lambda: paired_permutation_test([0.1], [0.1, 0.2]),
        lambda: paired_permutation_test([], []),
        lambda: paired_permutation_test([0.1], [0.2], samples=0),
    ],
)
def test_what_cannot_be_resampled_is_refused(call: object) -> None:
    with pytest.raises(DataError):
        call()  # type: ignore[operator]
