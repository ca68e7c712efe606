"""Counts and scores against sets of pixels, brute force."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import ImageError
from brainseg_runtime.metrics import Counts, count, dice, f1, iou, precision, recall

BITS = 1 << np.arange(9)
MASKS = [((number & BITS) > 0).reshape(3, 3).astype(np.uint8) for number in range(512)]

some_counts = st.builds(Counts, *[st.integers(0, 2**62)] * 4)


def test_every_pair_of_3x3_masks_scores_as_sets_of_pixels_do() -> None:
    for predicted in range(512):
        for true in range(512):
            counts = count(MASKS[predicted], MASKS[true])
            both, either = (predicted & true).bit_count(), (predicted | true).bit_count()
            n_predicted, n_true = predicted.bit_count(), true.bit_count()
            assert counts == Counts(both, n_predicted - both, n_true - both, 9 - either)
            assert dice(counts) == (2 * both / (n_predicted + n_true) if either else 1.0)
            assert iou(counts) == (both / either if either else 1.0)
            _assert_share(precision(counts), both, n_predicted)
            _assert_share(recall(counts), both, n_true)


def _assert_share(score: float, part: int, whole: int) -> None:
    assert score == part / whole if whole else math.isnan(score)


@pytest.mark.parametrize(
    ("counts", "overlap", "precise", "recalled"),
    [
        (Counts(tn=5), 1.0, math.nan, math.nan),
        (Counts(fp=2, tn=3), 0.0, 0.0, math.nan),
        (Counts(fn=2, tn=3), 0.0, math.nan, 0.0),
    ],
    ids=["both empty", "truth empty", "prediction empty"],
)
def test_empty_masks_score_as_the_table_says(counts: Counts, overlap: float, precise: float, recalled: float) -> None:
    assert (dice(counts), iou(counts), f1(counts)) == (overlap,) * 3
    assert precision(counts) == pytest.approx(precise, nan_ok=True)
    assert recall(counts) == pytest.approx(recalled, nan_ok=True)


@given(st.builds(Counts, *[st.integers(0, 10**6)] * 4))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(counts: Counts) -> None:
    if counts.tp:
        p, r = Fraction(counts.tp, counts.predicted), Fraction(counts.tp, counts.truth)
        assert f1(counts) == pytest.approx(float(2 * p * r / (p + r)), rel=1e-15)


@given(some_counts, some_counts, some_counts)
def test_counts_merge_in_any_order_and_grouping(a: Counts, b: Counts, c: Counts) -> None:
    assert (a + b) + c == a + (b + c) == Counts.total([c, b, a])
    assert (a + b).pixels == a.pixels + b.pixels


def test_nothing_merges_to_no_pixels() -> None:
    assert Counts.total([]) == Counts(0, 0, 0, 0)


def test_counts_survive_the_way_through_a_vector() -> None:
    counts = Counts(1, 2, 3, 4)
    assert counts.to_vector().tolist() == [1, 2, 3, 4]
    assert Counts().from_vector(2 * counts.to_vector()) == Counts(2, 4, 6, 8)


@pytest.mark.parametrize("kind", [np.uint8, np.bool_])
def test_bool_and_uint8_of_any_strides_count_alike(kind: type[np.generic]) -> None:
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 2, (2, 40, 60))
    whole = count(prediction.astype(kind)[::2, ::-3], truth.astype(np.uint8)[::2, ::-3])
    assert whole.tp == int((prediction & truth)[::2, ::-3].sum())
    assert whole.pixels == 20 * 20


def test_counting_leaves_the_masks_as_they_were() -> None:
    prediction, truth = MASKS[300].copy(), MASKS[77].copy()
    prediction.flags.writeable = truth.flags.writeable = False
    count(prediction, truth)
    assert (prediction == MASKS[300]).all()
    assert (truth == MASKS[77]).all()


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.zeros((3, 4), np.uint8), "differ in size"),
        (np.full((3, 3), 255, np.uint8), "prediction is not binary"),
        (np.zeros((3, 3), np.float32), "prediction is not a mask"),
    ],
)
def test_what_is_no_mask_is_refused(prediction: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        count(prediction, MASKS[0])


def test_a_truth_that_is_not_binary_is_refused_by_name() -> None:
    with pytest.raises(ImageError, match="truth is not binary"):
        count(MASKS[0], MASKS[1] * np.uint8(255))
