"""Overlays: outlines lie on the mask's border and nowhere else, and the image stays as it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainseg_runtime.images.overlay import BOTH, PREDICTION, TRUTH, encode_png, outline, overlay

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))


def brute_outline(mask: np.ndarray) -> np.ndarray:
    """Pixel by pixel, from the definition."""
    rows, columns = mask.shape
    found = np.zeros(mask.shape, bool)
    for r, c in np.argwhere(mask):
        around = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
        found[r, c] = any(not (0 <= y < rows and 0 <= x < columns and mask[y, x]) for y, x in around)
    return found


@given(MASKS)
def test_the_outline_is_what_its_definition_says(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(outline(mask), brute_outline(mask))


@given(MASKS)
def test_without_outlines_the_picture_is_the_grey_channel_enlarged(mask: np.ndarray) -> None:
    image = np.zeros((*mask.shape, 3), np.uint8)
    image[:, :, 1] = mask * 200
    picture = overlay(image, np.zeros_like(mask), None, enlarge=3)
    assert picture.shape == (3 * mask.shape[0], 3 * mask.shape[1], 3)
    np.testing.assert_array_equal(picture[::3, ::3], np.stack([image[:, :, 1]] * 3, axis=2))


def test_truth_prediction_and_their_meeting_have_their_own_colours() -> None:
    image = np.full((8, 8, 3), 50, np.uint8)
    truth, prediction = np.zeros((2, 8, 8), np.uint8)
    truth[1:4, 1:4] = 255
    prediction[3:7, 3:7] = 1
    picture = overlay(image, truth, prediction, enlarge=1)
    assert tuple(picture[1, 1]) == TRUTH
    assert tuple(picture[6, 6]) == PREDICTION
    assert tuple(picture[3, 3]) == BOTH
    assert tuple(picture[2, 2]) == (50, 50, 50), "the inside is left to be seen"


def test_the_arguments_are_left_as_they_are() -> None:
    image = np.full((8, 8, 3), 50, np.uint8)
    mask = np.ones((8, 8), np.uint8)
    for array in (image, mask):
        array.flags.writeable = False
    overlay(image, mask, mask)
    assert image.max() == 50


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        overlay(np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("shape", [(3, 5, 3), (3, 5)])
def test_png_keeps_every_pixel(shape: tuple[int, ...]) -> None:
    from PIL import Image

    rgb = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(rgb)))), rgb)
