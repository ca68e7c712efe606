"""Growth, erosion, holes, parts, depths and smoothing against scipy.ndimage and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from brainseg_runtime.perturbations.morphology import closed, depths, eroded, filled, grown, main_parts, smoothed

FOUR, EIGHT = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)
MASKS = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 0.8, 0.97]))
Drawn = tuple[int, int, int, float]


def drawn(what: Drawn) -> NDArray[np.bool_]:
    height, width, seed, share = what
    return np.random.default_rng(seed).random((height, width)) < share


@settings(max_examples=80, deadline=None)
@given(MASKS, st.integers(0, 5))
def test_growth_and_erosion_take_four_and_eight_neighbours_by_turns(what: Drawn, steps: int) -> None:
    mask = drawn(what)
    up, down = mask.copy(), mask.copy()
    for step in range(steps):
        structure = EIGHT if step % 2 else FOUR
        up = ndimage.binary_dilation(up, structure)
        down = ndimage.binary_erosion(down, structure, border_value=1)
    assert np.array_equal(grown(mask, steps), up)
    assert np.array_equal(eroded(mask, steps), down)


@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_depth_is_the_number_of_erosions_that_a_pixel_outlasts(what: Drawn) -> None:
    mask = drawn(what)
    if mask.all():
        mask[0, 0] = False
    expected = sum(
        (eroded(mask, steps).astype(int) for steps in range(sum(mask.shape))), start=np.zeros(mask.shape, int)
    )
    assert np.array_equal(depths(mask), expected)


def test_the_depth_of_a_mask_without_an_outside_ends() -> None:
    assert depths(np.ones((5, 7), np.bool_)).max() <= 7


@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_holes_are_background_that_does_not_reach_the_edge(what: Drawn) -> None:
    mask = drawn(what)
    expected = ndimage.binary_fill_holes(mask, structure=EIGHT)
    assert np.array_equal(filled(mask), expected)


@settings(max_examples=80, deadline=None)
@given(MASKS, st.sampled_from([0.2, 0.5, 1.0]))
def test_main_parts_are_the_components_that_are_not_much_smaller(what: Drawn, least: float) -> None:
    mask = drawn(what)
    labels = measure.label(mask, connectivity=2)  # type: ignore[no-untyped-call]
    regions = measure.regionprops(labels)  # type: ignore[no-untyped-call]
    most = max((region.area for region in regions), default=0)
    expected = np.zeros(mask.shape, np.bool_)
    for region in regions:
        if region.area >= least * most:
            expected[tuple(region.coords.T)] = True
    assert np.array_equal(main_parts(mask, least), expected)


def test_closing_joins_what_a_gap_parts_also_at_the_edge() -> None:
    mask = np.ones((9, 20), np.bool_)
    mask[:, 9:11] = False
    assert closed(mask, 1).all()
    assert not closed(mask, 0)[:, 9:11].any()


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.7, 8.0])
@pytest.mark.parametrize("shape", [(30, 41), (30, 41, 3), (5, 4)])
def test_smoothing_is_a_gaussian_convolution(shape: tuple[int, ...], sigma: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    sigmas = (sigma, sigma, 0) if len(shape) == 3 else sigma
    expected = ndimage.gaussian_filter(
        pixels.astype(np.float64), sigmas, mode="nearest", radius=[int(np.ceil(4 * sigma))] * 2 + [0] * (len(shape) - 2)
    )
    assert np.abs(smoothed(pixels, sigma) - expected).max() < 2e-3  # float32 sums of up to 65 terms of up to 255


def test_no_smoothing_leaves_the_pixels() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(smoothed(pixels, 0), pixels)
