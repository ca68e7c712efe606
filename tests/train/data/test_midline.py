"""Midlines of drawn heads, whose axis is known, and the side of a tumour."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_train.data.head import MAX_DEPTH, depth_in, head_mask
from brainseg_train.data.midline import find_midlines
from tests.train.drawn_heads import draw_head


def lines(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    depths = [np.minimum(np.rint(depth_in(head_mask(image))), MAX_DEPTH) for image in images]
    return find_midlines(images, np.stack(depths).astype(np.uint8), masks)


def blob(row: int, column: int) -> NDArray[np.uint8]:
    mask = np.zeros((1, 128, 128), np.uint8)
    mask[0, row - 5 : row + 5, column - 5 : column + 5] = 1
    return mask


@pytest.mark.parametrize("angle", [-14.0, 0.0, 8.0])
@pytest.mark.parametrize("right", [-9.0, 0.0, 6.0])
def test_the_line_is_the_axis_that_the_head_was_drawn_about(angle: float, right: float) -> None:
    image = draw_head(angle=angle, shift=(0.0, right)).image
    cosine, sine, offset, _ = lines(image[None], blob(64, 64))[0]
    assert np.degrees(np.arctan2(sine, cosine)) == pytest.approx(angle, abs=2.1)
    # A point of the axis: the head's middle.
    assert 64 * offset == pytest.approx(np.cos(np.radians(angle)) * right, abs=1.5)


def test_a_tumour_is_on_its_side_and_on_the_other_in_the_mirror() -> None:
    image, mask = draw_head(angle=6.0, shift=(3.0, 4.0)).image[None], blob(60, 90)
    assert lines(image, mask)[0, 3] == 1
    assert lines(image[:, :, ::-1], mask[:, :, ::-1])[0, 3] == -1


def test_no_side_without_tumour_or_where_it_crosses_the_line() -> None:
    image = draw_head().image[None]
    assert lines(image, np.zeros((1, 128, 128), np.uint8))[0, 3] == 0
    assert lines(image, blob(60, 64))[0, 3] == 0


def test_a_lopsided_head_is_not_trusted() -> None:
    image = draw_head().image
    image[:, 70:] //= 4
    assert lines(image[None], blob(60, 90))[0, 3] == 0


def test_neighbours_steady_a_lopsided_slice() -> None:
    images = np.stack([draw_head(angle=8.0, seed=seed).image for seed in range(5)])
    images[2, :, 70:] //= 4
    found = lines(images, blob(60, 90).repeat(5, 0))
    assert np.degrees(np.arctan2(found[:, 1], found[:, 0])) == pytest.approx(8.0, abs=2.1)
    assert found[:, 3].tolist() == [1, 1, 0, 1, 1]
