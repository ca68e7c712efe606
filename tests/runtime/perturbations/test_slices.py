"""A slice with its mask is checked when it is made, and grey levels are rounded and clipped."""

from __future__ import annotations

import numpy as np
import pytest

from brainseg_runtime.errors import ImageError
from brainseg_runtime.perturbations.slices import TrueSlice, grey_levels


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.bool_)),
    ],
)
def test_arrays_that_are_no_slice_with_its_mask_are_refused(image: np.ndarray, mask: np.ndarray) -> None:
    with pytest.raises(ImageError, match="expected"):
        TrueSlice(image, mask)


def test_grey_levels_are_rounded_and_clipped_as_pillow_takes_them() -> None:
    values = np.array([-0.6, 0.49, 0.51, 254.51, 999.0])
    assert grey_levels(values).tolist() == [0, 0, 1, 255, 255]


def test_another_image_keeps_mask_and_area() -> None:
    one = TrueSlice(np.zeros((2, 2, 3), np.uint8), np.eye(2, dtype=np.uint8), 4.0)
    other = one.with_image(np.full((2, 2, 3), 300.0))
    assert other.image.max() == 255
    assert other.mask is one.mask
    assert other.true_pixels == 8.0
