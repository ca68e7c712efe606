"""Where the head is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from brainseg_runtime.studies.head import HeadBox, head_box, inside_head, tissue
from tests.runtime.studies.made_studies import head_on
from tests.studies_made.shapes import axial_grid

GRID = axial_grid((5, 100, 100), spacing=(25.0, 2.4, 2.4))
HEAD = head_on(GRID)["flair"].voxels


def test_the_box_is_the_heads_to_within_two_voxels() -> None:
    box = head_box(HEAD)
    half = [90 / 2.4, 70 / 2.4]  # of the made head, in voxels
    expected = [49.5 - half[0], 49.5 + half[0], 49.5 - half[1], 49.5 + half[1]]
    np.testing.assert_allclose([box.top, box.bottom - 1, box.left, box.right - 1], expected, atol=3.5)


def test_single_bright_voxels_outside_do_not_widen_the_box() -> None:
    spiked = HEAD.copy()
    spiked[2, 1, 1] = spiked[0, 98, 50] = 5000
    assert head_box(spiked) == head_box(HEAD)


def test_without_tissue_the_box_is_everything() -> None:
    assert head_box(np.zeros((2, 7, 9), np.float32)) == HeadBox(top=0, bottom=7, left=0, right=9)


def test_inside_is_what_filling_the_holes_gives() -> None:
    expected = np.stack([ndimage.binary_fill_holes(each) for each in tissue(HEAD)])
    inside = inside_head(HEAD)
    assert (expected & ~inside).sum() == 0
    assert (inside != expected).mean() < 0.02


@pytest.mark.parametrize("factor", [0.01, 1, 1000])
def test_tissue_does_not_depend_on_the_scale(factor: float) -> None:
    assert (tissue(HEAD * np.float32(factor)) == tissue(HEAD)).all()
