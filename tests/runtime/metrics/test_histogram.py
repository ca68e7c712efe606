"""Bins, areas, curves and calibration against brute force over single pixels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.metrics.bins import bin_edges, bin_index, bins_of_one_value, n_bins
from brainseg_runtime.metrics.histogram import COARSE_BITS, Histogram

ROUNDING = 1e-12  # of sums of some dozen float64 terms near 1

# Spread like a network's output: crowded at both ends, plus the places where the bins change their form.
probabilities = st.one_of(
    st.floats(0, 1, width=32),
    st.floats(-20, 20, width=32).map(lambda logit: float(np.float32(1 / (1 + math.exp(-logit))))),
    st.sampled_from([0.0, 2.0**-25, 2.0**-24, 0.25, float(np.nextafter(np.float32(0.5), np.float32(0))), 0.5, 1.0]),
)
pixels = st.lists(st.tuples(probabilities, st.booleans()), max_size=40)
fineness = st.sampled_from([0, 1, 3, COARSE_BITS, 10])


def arrays(drawn: list[tuple[float, bool]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return np.array([p for p, _ in drawn], np.float32), np.array([t for _, t in drawn], np.bool_)


def histogram(drawn: list[tuple[float, bool]], bits: int = 10) -> Histogram:
    return Histogram.of(*arrays(drawn), bits=bits)


def area_by_pairs(drawn: list[tuple[float, bool]]) -> float:
    """Share of pairs that are ranked rightly, by its definition."""
    pairs = list(itertools.product([p for p, t in drawn if t], [p for p, t in drawn if not t]))
    return sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs)


def average_precision(drawn: list[tuple[float, bool]]) -> float:
    """Mean over positives of the precision at their own threshold, by its definition."""
    chosen = [[t for p, t in drawn if p >= threshold] for threshold, positive in drawn if positive]
    return sum(sum(each) / len(each) for each in chosen) / len(chosen)


@given(st.lists(probabilities, min_size=1), fineness)
def test_a_bin_holds_what_lies_between_its_edges(values: list[float], bits: int) -> None:
    low, high = bin_edges(bits)
    index = bin_index(np.array(values, np.float32), bits)
    assert (low[index] <= values).all()
    assert (values <= high[index]).all()


@given(probabilities, probabilities, fineness)
def test_a_higher_probability_never_has_a_lower_bin(a: float, b: float, bits: int) -> None:
    low, high = bin_index(np.array(sorted([a, b]), np.float32), bits)
    assert low <= high


@pytest.mark.parametrize("bits", [0, 1, 4, 10])
def test_every_edge_lies_in_its_own_bin_and_bins_tile_the_unit_interval(bits: int) -> None:
    low, high = bin_edges(bits)
    taken = np.flatnonzero(low <= high)
    assert len(low) == n_bins(bits)
    assert (np.diff(low) >= 0).all()
    for edge in (low, high):
        assert (bin_index(edge[taken].astype(np.float32), bits) == taken).all()
    following = np.nextafter(high[taken][:-1].astype(np.float32), np.float32(2))
    assert (following == low[taken][1:].astype(np.float32)).all()
    assert (low[0], high[-1]) == (0.0, 1.0)


def test_bins_are_narrow_relative_to_the_nearer_end() -> None:
    low, high = bin_edges(10)
    wide = high - low
    nearer = np.minimum(low, 1 - high)
    inner = (low <= high) & (low > 0) & (high < 1)
    assert (wide[inner] <= nearer[inner] / 1024 + 2.0**-24).all()


def test_a_bin_marked_as_one_value_takes_one() -> None:
    low, high = bin_edges(4)
    assert (low[bins_of_one_value(4) & (low <= high)] == high[bins_of_one_value(4) & (low <= high)]).all()
    assert bins_of_one_value(4)[-1]
    assert not bins_of_one_value(4)[0]


@given(pixels, pixels, pixels, fineness)
def test_histograms_merge_in_any_order_and_grouping(
    a: list[tuple[float, bool]], b: list[tuple[float, bool]], c: list[tuple[float, bool]], bits: int
) -> None:
    one, two, three = (histogram(each, bits) for each in (a, b, c))
    together = histogram(c + a + b, bits).counts
    assert (((one + two) + three).counts == together).all()
    assert ((one + (two + three)).counts == together).all()
    assert ((Histogram.empty(bits=bits) + one).counts == one.counts).all()


@given(pixels, st.sampled_from([0, 2, 4, 10]))
def test_coarse_is_what_counting_coarsely_gives(drawn: list[tuple[float, bool]], bits: int) -> None:
    assert (histogram(drawn, 10).coarse(bits).counts == histogram(drawn, bits).counts).all()


@settings(max_examples=400)
@given(pixels, fineness)
def test_areas_are_within_their_bounds_of_brute_force(drawn: list[tuple[float, bool]], bits: int) -> None:
    counted = histogram(drawn, bits)
    if counted.positives and counted.negatives:
        assert abs(counted.roc_auc() - area_by_pairs(drawn)) <= counted.roc_auc_bound() + ROUNDING
        assert abs(counted.pr_auc() - average_precision(drawn)) <= counted.pr_auc_bound() + ROUNDING
    else:
        scores = (counted.roc_auc(), counted.roc_auc_bound(), counted.pr_auc(), counted.pr_auc_bound())
        assert all(math.isnan(score) for score in scores)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40))
def test_areas_are_exact_where_a_bin_holds_one_value(drawn: list[tuple[float, bool]]) -> None:
    counted = histogram(drawn)
    if counted.positives and counted.negatives:
        assert counted.roc_auc() == pytest.approx(area_by_pairs(drawn), abs=ROUNDING)
        assert counted.pr_auc() == pytest.approx(average_precision(drawn), abs=ROUNDING)


def test_the_bound_is_reached_by_the_worst_order_and_is_zero_for_real_ties() -> None:
    low, high = (float(edge[5000]) for edge in bin_edges(10))
    worst = histogram([(low, True), (high, False)])
    assert worst.roc_auc() == 0.5
    assert worst.roc_auc_bound() == 0.5
    tied = histogram([(1.0, True), (1.0, False), (0.5, True), (0.5, False)])
    assert tied.roc_auc_bound() == 0
    assert tied.pr_auc_bound() == 0


def test_the_bound_is_tiny_for_probabilities_like_a_networks() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400_000) < 0.02
    logits = rng.normal(np.where(truth, 3, -8), 2.5)
    counted = Histogram.of((1 / (1 + np.exp(-logits))).astype(np.float32), truth)
    assert counted.roc_auc_bound() < 1e-5
    assert counted.pr_auc_bound() < 1e-3


@pytest.mark.parametrize(
    ("probability", "truth", "message"),
    [
        ([0.1, math.nan], [0, 1], "out of range"),
        ([0.1, 1.5], [0, 1], "out of range"),
        ([-0.1, 0.5], [0, 1], "out of range"),
        ([0.1], [0, 1], "differ in size"),
        ([0.1, 0.2], [0, 255], "not binary"),
    ],
)
def test_what_is_no_probability_over_a_mask_is_refused(
    probability: list[float], truth: list[int], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        Histogram.of(np.array(probability, np.float32), np.array(truth, np.uint8))


def test_types_that_are_not_what_they_should_be_are_refused() -> None:
    with pytest.raises(ImageError, match="floating point"):
        Histogram.of(np.zeros(2, np.uint8), np.zeros(2, np.uint8))
    with pytest.raises(ImageError, match="not a mask"):
        Histogram.of(np.zeros(2, np.float32), np.zeros(2, np.float32))


def test_histograms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="different fineness"):
        Histogram.empty(bits=3) + Histogram.empty(bits=4)
    with pytest.raises(DataError, match="finer"):
        Histogram.empty(bits=3).coarse(4)
    with pytest.raises(DataError, match="out of range"):
        Histogram.empty(bits=17)
    with pytest.raises(DataError, match="wrong shape"):
        Histogram(np.zeros((2, 5), np.int64))
