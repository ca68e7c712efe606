"""Moved pictures against scipy.ndimage, Pillow and scikit-image; masks go where the pixels go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage import transform

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.geometry import box_of, mirror, pad_to_ratio, resize, rotate, scale_head, shift
from brainseg_runtime.perturbations.slices import TrueSlice
from tests.runtime.perturbations.drawn_head import drawn_head


def random_slice(height: int, width: int, seed: int = 0) -> TrueSlice:
    rng = np.random.default_rng(seed)
    mask = (rng.random((height, width)) < 0.3).astype(np.uint8)
    return TrueSlice(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), mask)


def marked_slice(height: int, width: int, seed: int = 0) -> TrueSlice:
    """A slice whose first channel is its mask, in grey levels 0 and 255: what became of one shows in the other."""
    one = random_slice(height, width, seed)
    image = one.image.copy()
    image[..., 0] = one.mask * 255
    return TrueSlice(image, one.mask)


SIDES = st.tuples(st.integers(16, 40), st.integers(16, 40), st.integers(0, 1000))


@settings(max_examples=60, deadline=None)
@given(SIDES, st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
def test_a_shift_is_that_of_scipy_for_whole_pixels(sides: tuple[int, int, int], down: float, right: float) -> None:
    one = random_slice(*sides)
    height, width = one.mask.shape
    by = round(down * height), round(right * width)
    got = shift(one, down, right)
    assert np.array_equal(got.image, ndimage.shift(one.image, (*by, 0), order=0))
    assert np.array_equal(got.mask, ndimage.shift(one.mask, by, order=0))


@settings(max_examples=40, deadline=None)
@given(SIDES)
def test_a_mirror_is_pillows(sides: tuple[int, int, int]) -> None:
    one = random_slice(*sides)
    got = mirror(one)
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    assert np.array_equal(got.image, np.asarray(Image.fromarray(one.image).transpose(flip)))
    assert np.array_equal(got.mask, np.asarray(Image.fromarray(one.mask).transpose(flip)))
    assert np.array_equal(mirror(got).image, one.image)


@pytest.mark.parametrize("fraction", [1.0, 0.75, 0.5, 0.4])
def test_the_head_takes_up_its_fraction_and_no_pixel_is_resampled(fraction: float) -> None:
    drawn = drawn_head(200, 260, size=0.8)
    box = box_of([drawn.head])
    assert box is not None
    top, bottom, left, right = box
    got = scale_head(drawn.slice, fraction, box)
    side = got.mask.shape[0]
    assert got.mask.shape == (side, side)
    assert max(bottom - top, right - left) / side == pytest.approx(fraction, rel=0.01)
    assert got.mask.sum() == drawn.slice.mask.sum()
    at = (
        got.mask.nonzero()[0][0] - drawn.slice.mask.nonzero()[0][0],
        got.mask.nonzero()[1][0] - drawn.slice.mask.nonzero()[1][0],
    )
    moved = np.argwhere(got.mask) - at
    assert np.array_equal(moved, np.argwhere(drawn.slice.mask))
    assert np.array_equal(got.image[got.mask > 0], drawn.slice.image[drawn.slice.mask > 0])
    middle = np.argwhere(got.image[..., 1] > 60).mean(axis=0)
    assert np.abs(middle - (side - 1) / 2).max() < 4


def test_a_head_that_would_need_more_pixels_than_models_take_stays_as_large_as_it_must() -> None:
    one = TrueSlice(np.ones((1000, 1000, 3), np.uint8), np.zeros((1000, 1000), np.uint8))
    assert scale_head(one, 0.4, None).mask.shape == (2048, 2048)
    small = TrueSlice(np.ones((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8))
    assert scale_head(small, 1.0, (2, 6, 2, 6)).mask.shape == (16, 16)


@pytest.mark.parametrize(("ratio", "shape"), [(4 / 3, (48, 64)), (3 / 4, (64, 48)), (1.0, (48, 48))])
def test_padding_to_a_ratio_keeps_every_pixel(ratio: float, shape: tuple[int, int]) -> None:
    one = random_slice(48, 48)
    got = pad_to_ratio(one, ratio)
    assert got.mask.shape == shape
    top, left = (shape[0] - 48) // 2, (shape[1] - 48) // 2
    assert np.array_equal(got.image[top : top + 48, left : left + 48], one.image)
    assert np.array_equal(got.mask[top : top + 48, left : left + 48], one.mask)
    assert got.image.sum() == one.image.sum()
    assert got.mask.sum() == one.mask.sum()


@pytest.mark.parametrize("degrees", [10.0, 25.0, -25.0, 90.0, 0.0])
@pytest.mark.parametrize("shape", [(64, 64), (41, 60)])
def test_a_rotation_is_that_of_scikit_image(degrees: float, shape: tuple[int, int]) -> None:
    one = marked_slice(*shape)
    got = rotate(one, degrees)
    # Its rotation is anticlockwise as pictures are seen, about the same centre; outside is 0.
    expected = transform.rotate(one.image.astype(np.float64), degrees, order=1, mode="constant", cval=0)  # type: ignore[no-untyped-call]
    inner = np.s_[1:-1, 1:-1]  # at the rim its interpolation knows no zero beyond the picture
    assert np.abs(got.image[inner] - expected[inner]).max() <= 0.51
    mask = transform.rotate(one.mask.astype(np.float64), degrees, order=1, mode="constant", cval=0)  # type: ignore[no-untyped-call]
    clear = np.abs(mask - 0.5) > 1e-6
    assert np.array_equal(got.mask[inner][clear[inner]], (mask > 0.5)[inner][clear[inner]])


def test_a_rotation_by_a_quarter_turn_loses_nothing() -> None:
    one = random_slice(33, 33)
    got = rotate(one, 90)
    assert np.array_equal(got.image, np.rot90(one.image))
    assert np.array_equal(got.mask, np.rot90(one.mask))


@pytest.mark.parametrize("side", [192, 384, 512])
@pytest.mark.parametrize("shape", [(256, 256), (200, 256)])
def test_resampling_is_pillows_antialiased_interpolation(side: int, shape: tuple[int, int]) -> None:
    one = marked_slice(*shape)
    got = resize(one, side)
    height, width = got.mask.shape
    assert max(height, width) == side
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.01)
    for channel in range(3):
        plane = Image.fromarray(one.image[..., channel].astype(np.float32), "F")
        expected = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
        assert np.abs(got.image[..., channel] - expected).max() <= 0.51
    soft = np.asarray(
        Image.fromarray(one.mask.astype(np.float32), "F").resize((width, height), Image.Resampling.BILINEAR)
    )
    clear = np.abs(soft - 0.5) > 1e-5
    assert np.array_equal(got.mask[clear], (soft > 0.5)[clear])
    assert got.pixel_area == pytest.approx(shape[0] * shape[1] / (height * width))


def moved(one: TrueSlice) -> list[TrueSlice]:
    return [rotate(one, 25), rotate(one, -10), resize(one, 192), resize(one, 512), shift(one, 0.1, -0.07), mirror(one)]


@pytest.mark.parametrize("at", range(6))
def test_the_mask_moves_with_the_image(at: int) -> None:
    """A bright disc and its mask keep one centre, to a twentieth of a pixel, and one size."""
    rows, columns = np.mgrid[:256, :256]
    disc = np.hypot(rows - 90, columns - 150) < 30
    one = TrueSlice(np.repeat((disc * 200).astype(np.uint8)[..., None], 3, axis=2), disc.astype(np.uint8))
    got = moved(one)[at]
    assert np.abs(centre(got.image[..., 1] / 200) - centre(got.mask)).max() < 0.05
    assert got.true_pixels == pytest.approx(one.true_pixels, rel=0.01)


def centre(weights: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array(ndimage.center_of_mass(weights))


def test_parameters_out_of_range_are_refused() -> None:
    one = random_slice(20, 20)
    wrong: tuple[Callable[[], TrueSlice], ...] = (
        lambda: scale_head(one, 0.0, None),
        lambda: scale_head(one, 1.5, None),
        lambda: shift(one, 1.0, 0.0),
        lambda: pad_to_ratio(one, 0.0),
        lambda: resize(one, 8),
        lambda: resize(one, 4096),
    )
    for each in wrong:
        with pytest.raises(ArgumentError, match="out of range"):
            each()


def test_an_empty_head_has_no_box() -> None:
    assert box_of([np.zeros((4, 4), np.bool_)]) is None
