"""Outlines: filling them gives the mask again, and the longest axis is that of brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import points_in_poly

from brainseg_runtime.studies.written.contours import long_axis, regions
from tests.runtime.studies.written.made_results import awkward_mask

MASKS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 1)
)


def filled(outlines: list[NDArray[np.int64]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask that outlines enclose, each with the even-odd rule of scikit-image."""
    centres = np.argwhere(np.ones(shape)) + 0.5
    inside = np.zeros(len(centres), np.int64)
    for outline in outlines:
        inside += points_in_poly(centres, outline)  # type: ignore[no-untyped-call]
    return inside.reshape(shape).astype(np.uint8)


@settings(max_examples=150, deadline=None)
@given(MASKS)
def test_outlines_with_cuts_fill_to_the_mask(mask: NDArray[np.uint8]) -> None:
    assert np.array_equal(filled([region.keyhole() for region in regions(mask)], mask.shape), mask)


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_there_is_one_region_for_each_component(mask: NDArray[np.uint8]) -> None:
    labels, count = ndimage.label(mask)
    found = regions(mask)
    assert len(found) == count
    filled_up = [ndimage.binary_fill_holes(labels == label, structure=np.ones((3, 3))) for label in range(1, count + 1)]
    areas = sorted(int(each.sum()) for each in filled_up)
    assert sorted(int(filled([region.outer], mask.shape).sum()) for region in found) == areas


def test_outlines_have_corners_only() -> None:
    (region,) = regions(np.pad(np.ones((3, 5)), 2))
    assert region.outer.tolist() == [[2, 2], [2, 7], [5, 7], [5, 2]]
    assert not region.holes


def test_a_hole_is_its_regions_own_and_not_that_of_the_region_around() -> None:
    mask = np.ones((9, 9))
    mask[1:8, 1:8] = 0
    mask[2:7, 2:7] = 1
    mask[4, 4] = 0
    outer, inner = regions(mask)
    assert [hole.tolist() for hole in inner.holes] == [[[4, 4], [5, 4], [5, 5], [4, 5]]]
    assert len(outer.holes) == 1


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_longest_axis_is_that_of_all_pairs_of_corners(k: int) -> None:
    mask = awkward_mask()
    mask[[each for each in range(len(mask)) if each != k]] = 0
    labels, count = ndimage.label(mask[k])
    longest = 0.0
    for label in range(1, count + 1):
        pixels = np.argwhere(labels == label)
        corners = np.unique(np.concatenate([pixels + each for each in itertools.product((0, 1), (0, 1))]), axis=0)
        scaled = corners * [2.0, 1.5]
        longest = max(longest, float(np.linalg.norm(scaled[:, None] - scaled[None], axis=2).max()))
    found = long_axis(mask, (5.0, 2.0, 1.5))
    assert found is not None
    assert found.slice == k
    assert found.mm == pytest.approx(longest, abs=1e-9)


def test_nothing_has_no_longest_axis() -> None:
    assert long_axis(np.zeros((2, 4, 4), np.uint8), (1.0, 1.0, 1.0)) is None
