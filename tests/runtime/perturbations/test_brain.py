"""Head and brain of drawn heads, whose places are known, in any grey levels, sizes and orders."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.perturbations.brain import head_masks
from tests.runtime.perturbations.drawn_head import DrawnHead, drawn_head


def overlap(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return 2 * float(np.sum(found & true)) / float(found.sum() + true.sum())


def volume(**how: float) -> list[DrawnHead]:
    """Nine slices, largest in the middle."""
    return [drawn_head(size=how.get("size", 1.0) * (1 - 0.05 * abs(at - 4)), seed=at) for at in range(9)]


@pytest.mark.parametrize("size", [1.0, 0.7, 0.5])
def test_head_and_brain_are_found_in_every_slice(size: float) -> None:
    heads = volume(size=size)
    found = head_masks([each.slice.image for each in heads])
    for head, brain, each in zip(found.head, found.brain, heads, strict=True):
        assert overlap(head, each.head) > 0.95
        assert overlap(brain, each.brain) > 0.93
        assert not (brain & ~head).any()


def test_the_tumour_is_brain_also_where_it_is_bright_on_one_t1() -> None:
    heads = volume()
    images = []
    for each in heads:
        image = each.slice.image.copy()
        image[each.slice.mask > 0, 2] = 230
        images.append(image)
    found = head_masks(images)
    for brain, each in zip(found.brain, heads, strict=True):
        assert brain[each.slice.mask > 0].mean() > 0.99


def test_the_scale_of_the_grey_levels_does_not_matter() -> None:
    images = [each.slice.image for each in volume()]
    darker = [np.rint(image * 0.4).astype(np.uint8) for image in images]
    for one, other in zip(head_masks(images).brain, head_masks(darker).brain, strict=True):
        assert overlap(one, other) > 0.98


def test_the_order_of_the_slices_may_be_either() -> None:
    images = [each.slice.image for each in volume()]
    backwards = head_masks(images[::-1]).brain[::-1]
    assert all(np.array_equal(*both) for both in zip(head_masks(images).brain, backwards, strict=True))


def test_a_stripped_volume_is_brain_all_over() -> None:
    heads = [drawn_head(seed=at, scalp=False) for at in range(3)]
    found = head_masks([each.slice.image for each in heads])
    for brain, each in zip(found.brain, heads, strict=True):
        assert overlap(brain, each.brain) > 0.97


@pytest.mark.parametrize("level", [0, 3, 255])
def test_slices_without_a_head_have_no_brain_that_could_be_taken_off(level: int) -> None:
    blank = np.full((32, 40, 3), level, np.uint8)
    found = head_masks([blank, blank])
    assert all(mask.shape == (32, 40) for mask in (*found.head, *found.brain))


def test_a_wide_gap_of_bone_does_not_part_the_scalp_from_the_head() -> None:
    rows, columns = np.mgrid[:64, :64]
    radius = np.hypot(rows - 32, columns - 32)
    levels = np.select([radius < 20, radius < 25, radius < 29], [90, 3, 220], 0).astype(np.uint8)
    found = head_masks([np.repeat(levels[..., None], 3, axis=2)])
    assert overlap(found.head[0], radius < 29) > 0.97
    assert overlap(found.brain[0], radius < 20) > 0.97


def test_a_slice_above_the_head_stays_empty() -> None:
    heads = [*(each.slice.image for each in volume()), np.zeros((256, 256, 3), np.uint8)]
    found = head_masks(heads)
    assert not found.head[-1].any()
    assert not found.brain[-1].any()


def test_no_slices_are_no_masks() -> None:
    assert head_masks([]).head == ()
