"""The permutation test against enumeration, and the least p that it can give."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import DataError
from brainseg_runtime.metrics import permutation
from brainseg_runtime.metrics.permutation import least_p, paired_permutation_test

VALUES = np.random.default_rng(0).random(24)


def exact_p(differences: list[float]) -> float:
    """Share of all sign flips whose sum is at least as far from 0."""
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(abs(each) >= abs(sum(differences)) - 1e-9 for each in sums) / len(sums)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_p_is_exact(differences: list[int]) -> None:
    tenths = [difference / 10 for difference in differences]
    assert paired_permutation_test(tenths, [0.0] * len(tenths)) == pytest.approx(exact_p(tenths))


def test_p_is_exact_up_to_twenty_patients_whatever_is_asked_to_be_drawn() -> None:
    rising = np.arange(1.0, 21.0)
    assert paired_permutation_test(rising, np.zeros(20), samples=1) == 2 / 2**20
    mixed = rising * np.where(np.arange(20) % 4, 1, -1)
    total = sum(mixed)
    sums = np.array([0])
    for value in rising.astype(int):  # an independent count: how many subsets give each sum
        sums = np.concatenate([sums + value, sums - value])
    assert paired_permutation_test(mixed, np.zeros(20)) == np.count_nonzero(abs(sums) >= abs(total)) / 2**20


def test_patients_without_a_difference_change_nothing() -> None:
    a, b = VALUES[:9], VALUES[9:18]
    same = np.full(30, 0.7)
    whole = paired_permutation_test(np.concatenate([a, same]), np.concatenate([b, same]))
    assert whole == paired_permutation_test(a, b)


def test_drawn_flips_come_near_the_exact_p(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = np.random.default_rng(5).normal(0.05, 0.2, (2, 12))
    a = a + 0.08
    exact = paired_permutation_test(a, b)
    assert exact == pytest.approx(exact_p(list(a - b)))
    monkeypatch.setattr(permutation, "EXACT_PATIENTS", 11)
    assert paired_permutation_test(a, b) == pytest.approx(exact, abs=0.02)  # four standard errors


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = paired_permutation_test(VALUES, VALUES[::-1] * 0.9, samples=99)
    monkeypatch.setattr(permutation, "_BLOCK_VALUES", 77)
    assert paired_permutation_test(VALUES, VALUES[::-1] * 0.9, samples=99) == whole


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_p_is_a_probability_and_does_not_care_which_model_is_first(scores: list[tuple[float, float]]) -> None:
    a, b = zip(*scores, strict=True)
    p = paired_permutation_test(a, b)
    assert least_p(a, b) <= p <= 1
    assert p == paired_permutation_test(b, a)


def test_equal_models_have_p_one_and_a_clear_order_a_small_one() -> None:
    assert paired_permutation_test(VALUES, VALUES) == 1.0
    assert paired_permutation_test(np.arange(40) + 1.0, np.zeros(40)) == pytest.approx(1 / 10_001)


def test_chance_alone_rarely_gives_a_small_p() -> None:
    noise = np.random.default_rng(9)
    small = [paired_permutation_test(*noise.normal(size=(2, 12))) <= 0.05 for _ in range(200)]
    assert 1 <= sum(small) <= 22  # 10 expected, four standard errors


@pytest.mark.parametrize("patients", range(1, 12))
def test_the_least_p_is_that_of_the_clearest_order(patients: int) -> None:
    clear = np.arange(patients) + 1.0
    assert least_p(clear, np.zeros(patients)) == paired_permutation_test(clear, np.zeros(patients))


def test_the_least_p_counts_patients_that_differ() -> None:
    assert least_p([0.1, 0.2, 0.3], [0.1, 0.2, 0.4]) == 1.0
    assert least_p([0.1, 0.2], [0.1, 0.2]) == 1.0
    assert least_p([0.1, 0.2, 0.5], [0.3, 0.4, 0.5]) == 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_permutation_test([0.1], [0.1, 0.2]),
        lambda: paired_permutation_test([], []),
        lambda: paired_permutation_test([0.1], [0.2], samples=0),
        lambda: paired_permutation_test([math.nan], [0.2]),
        lambda: paired_permutation_test([[0.1]], [[0.2]]),
        lambda: least_p([], []),
    ],
)
def test_what_cannot_be_tested_is_refused(call: object) -> None:
    with pytest.raises(DataError):
        call()  # type: ignore[operator]
