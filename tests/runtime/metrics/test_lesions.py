"""Lesions by hand, and the rules of BraTS one at a time; an independent reckoning is in the training tests."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.errors import ImageError
from brainseg_runtime.metrics.lesions import LesionCounts, lesion_counts


def volume(*boxes: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    mask = np.zeros((20, 60, 60), bool)
    for box in boxes:
        mask[box] = True
    return mask


def block(z: int, y: int, x: int, side: int = 4) -> tuple[slice, slice, slice]:
    return slice(z, z + side), slice(y, y + side), slice(x, x + side)


def test_a_lesion_that_is_found_scores_its_dice() -> None:
    found = lesion_counts(volume(block(2, 10, 12)), volume(block(2, 10, 10)))
    assert found == LesionCounts(found=1, dice_sum=0.5)
    assert (found.dice(), found.f1()) == (0.5, 1.0)


def test_missed_and_false_lesions_score_nothing() -> None:
    truth = volume(block(2, 10, 10), block(2, 40, 40))
    found = lesion_counts(volume(block(2, 10, 10), block(12, 10, 50)), truth)
    assert (found.found, found.missed, found.false) == (1, 1, 1)
    assert found.dice() == pytest.approx(1 / 3)
    assert found.f1() == pytest.approx(2 / 4)


def test_islands_within_the_reach_of_the_grown_truth_are_one_lesion() -> None:
    near = volume(block(2, 10, 10), block(2, 10, 20))  # six columns apart: grown by three, they touch
    far = volume(block(2, 10, 10), block(2, 10, 22))
    nothing = volume()
    assert lesion_counts(nothing, near).missed == 1
    assert lesion_counts(nothing, far).missed == 2
    assert lesion_counts(nothing, near, dilation=1).missed == 2


def test_a_prediction_beside_a_lesion_within_its_reach_belongs_to_it() -> None:
    beside = lesion_counts(volume(block(2, 10, 16)), volume(block(2, 10, 10)))
    assert (beside.found, beside.false, beside.dice()) == (1, 0, 0.0)
    beyond = lesion_counts(volume(block(2, 10, 17)), volume(block(2, 10, 10)))
    assert (beyond.found, beyond.missed, beyond.false) == (0, 1, 1)


def test_one_prediction_may_belong_to_two_lesions_whole() -> None:
    truth = volume(block(2, 10, 10), block(2, 10, 30))
    bridge = volume((slice(2, 6), slice(10, 14), slice(10, 34)))
    found = lesion_counts(bridge, truth)
    assert (found.found, found.false) == (2, 0)
    assert found.dice() == pytest.approx(2 * 64 / (64 + 384))


def test_small_lesions_are_left_out_and_what_touches_them_is_not_false() -> None:
    small = volume((slice(2, 3), slice(10, 15), slice(10, 20)))  # 50 voxels
    found = lesion_counts(small, small)
    assert found == LesionCounts(small=1)
    assert (found.dice(), found.f1()) == (1.0, 1.0)
    assert lesion_counts(small, small, voxel_volume=1.01).found == 1
    larger = small.copy()
    larger[2, 15, 10] = True
    assert lesion_counts(larger, larger).found == 1


def test_small_predictions_count_as_false() -> None:
    one = volume()
    one[5, 5, 5] = True
    assert lesion_counts(one, volume()) == LesionCounts(false=1)
    assert lesion_counts(one, volume()).dice() == 0.0


def test_two_empty_masks_agree() -> None:
    found = lesion_counts(volume(), volume())
    assert (found.dice(), found.f1()) == (1.0, 1.0)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ImageError):
        lesion_counts(volume(), volume()[:-1])
