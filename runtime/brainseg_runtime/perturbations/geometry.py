"""Perturbations that move a slice: the head smaller, off the centre, turned or mirrored, other sides and sizes.

Image and mask go the same way. Where pixels are only moved, cropped or padded, both are copied and the mask is exact.
Where they are resampled, both are resampled at the same points: the image between four pixels, the mask likewise, and a
pixel is tumour where at least half of it is. What leaves the picture is no longer there for the truth either; what
comes in is 0.

Legend: H rows, W columns, in pixels; the centre of a picture of W columns lies at (W - 1) / 2.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.slices import TrueSlice, grey_levels

Box: TypeAlias = tuple[int, int, int, int]
"""First row, end of rows, first column, end of columns."""

LEAST_SIDE: Final = 16
MOST_SIDE: Final = 2048
"""Sides of pictures that models take."""


def box_of(masks: Any) -> Box | None:  # noqa: ANN401 - any iterable of (H, W) bool
    """The rectangle around everything in any of the masks (H, W); None if all are empty."""
    together = np.logical_or.reduce(list(masks))
    rows, columns = np.flatnonzero(together.any(axis=1)), np.flatnonzero(together.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def scale_head(one: TrueSlice, fraction: float, box: Box | None) -> TrueSlice:
    """A square picture of which the head takes up a fraction of the side, without resampling.

    The field of view grows or shrinks: pixels are cropped, or zeros padded, about the middle of the head.

    Args:
        one: The slice.
        fraction: Of the side that the longer side of the head's box takes up, above 0 and at most 1; less where the
            picture would be larger than models take, more where it would be smaller.
        box: The head's, over all slices of the patient; None takes the whole picture.

    >>> one = TrueSlice(np.full((20, 30, 3), 9, np.uint8), np.ones((20, 30), np.uint8))
    >>> smaller = scale_head(one, 0.5, (0, 20, 5, 25))
    >>> smaller.image.shape, int(smaller.mask.sum())
    ((40, 40, 3), 600)
    """
    _require(0 < fraction <= 1, "fraction", "above 0 and at most 1", fraction)
    top, bottom, left, right = box or (0, one.mask.shape[0], 0, one.mask.shape[1])
    side = min(max(math.ceil(max(bottom - top, right - left) / fraction), LEAST_SIDE), MOST_SIDE)
    return _window(one, (top + bottom - side) // 2, (left + right - side) // 2, side, side)


def shift(one: TrueSlice, down: float, right: float) -> TrueSlice:
    """The picture's content moved by fractions of its height and width, to whole pixels.

    >>> one = TrueSlice(np.ones((16, 20, 3), np.uint8), np.eye(16, 20, dtype=np.uint8))
    >>> np.argwhere(shift(one, 0.0, 0.1).mask)[0].tolist()
    [0, 2]
    """
    height, width = one.mask.shape
    _require(abs(down) < 1 and abs(right) < 1, "shift", "fractions of the sides between -1 and 1", (down, right))
    return _window(one, -round(down * height), -round(right * width), height, width)


def mirror(one: TrueSlice) -> TrueSlice:
    """Left and right exchanged."""
    return TrueSlice(np.ascontiguousarray(one.image[:, ::-1]), np.ascontiguousarray(one.mask[:, ::-1]), one.pixel_area)


def pad_to_ratio(one: TrueSlice, width_to_height: float) -> TrueSlice:
    """Zeros on both sides, or above and below, until the sides have a ratio.

    >>> one = TrueSlice(np.ones((30, 30, 3), np.uint8), np.ones((30, 30), np.uint8))
    >>> pad_to_ratio(one, 4 / 3).mask.shape, pad_to_ratio(one, 3 / 4).mask.shape
    ((30, 40), (40, 30))
    """
    _require(width_to_height > 0, "ratio", "above 0", width_to_height)
    height, width = one.mask.shape
    wide, tall = max(width, round(height * width_to_height)), max(height, round(width / width_to_height))
    wide, tall = min(wide, max(MOST_SIDE, width)), min(tall, max(MOST_SIDE, height))
    return _window(one, -((tall - height) // 2), -((wide - width) // 2), tall, wide)


def rotate(one: TrueSlice, degrees: float) -> TrueSlice:
    """The picture turned anticlockwise about its centre, in a frame of the same size.

    Args:
        one: The slice.
        degrees: Positive anticlockwise, as the picture is seen.
    """
    height, width = one.mask.shape
    angle = math.radians(degrees)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    y, x = rows - (height - 1) / 2, columns - (width - 1) / 2
    # Where each pixel comes from: the inverse turn. Rows count downwards, so anticlockwise is from +x towards -y.
    from_y = math.cos(angle) * y + math.sin(angle) * x + (height - 1) / 2
    from_x = -math.sin(angle) * y + math.cos(angle) * x + (width - 1) / 2
    both = _between(_stacked(one), from_y, from_x)
    return _unstacked(both, one.pixel_area)


def resize(one: TrueSlice, longer_side: int) -> TrueSlice:
    """The picture resampled so that its longer side has a number of pixels; its proportions stay.

    Smaller pictures are averaged over the area of a pixel (a triangle as wide as two), larger ones interpolated.

    >>> one = TrueSlice(np.full((32, 64, 3), 7, np.uint8), np.ones((32, 64), np.uint8))
    >>> small = resize(one, 32)
    >>> small.mask.shape, small.pixel_area, small.true_pixels
    ((16, 32), 4.0, 2048.0)
    """
    _require(LEAST_SIDE <= longer_side <= MOST_SIDE, "side", f"{LEAST_SIDE} to {MOST_SIDE}", longer_side)
    height, width = one.mask.shape
    factor = longer_side / max(height, width)
    tall, wide = max(LEAST_SIDE, round(height * factor)), max(LEAST_SIDE, round(width * factor))
    by_rows, by_columns = _weights(height, tall), _weights(width, wide)
    # (tall, H) x (H, W, 4), then (wide, W) over the columns.
    once = np.tensordot(by_rows, _stacked(one), axes=(1, 0))
    both = np.tensordot(by_columns, once, axes=(1, 1)).transpose(1, 0, 2)
    return _unstacked(both, one.pixel_area * (height * width) / (tall * wide))


def _window(one: TrueSlice, top: int, left: int, height: int, width: int) -> TrueSlice:
    """A window of a picture that may reach beyond it, where it is 0."""
    image = np.zeros((height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    rows = max(top, 0), min(top + height, one.mask.shape[0])
    columns = max(left, 0), min(left + width, one.mask.shape[1])
    if rows[0] < rows[1] and columns[0] < columns[1]:
        source = slice(*rows), slice(*columns)
        target = slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left)
        image[target], mask[target] = one.image[source], one.mask[source]
    return TrueSlice(image, mask, one.pixel_area)


def _stacked(one: TrueSlice) -> NDArray[np.float64]:
    """(H, W, 4) the image's channels and the mask."""
    return np.concatenate([one.image, one.mask[..., None]], axis=2).astype(np.float64)


def _unstacked(both: NDArray[np.float64], pixel_area: float) -> TrueSlice:
    """A slice from resampled channels and mask; halves are tumour, whatever rounding did to them."""
    mask = (both[..., 3] >= 0.5 - 1e-9).astype(np.uint8)
    return TrueSlice(grey_levels(both[..., :3]), mask, pixel_area)


def _between(pixels: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W, C) values between the four pixels around each point; pixels beyond the picture are 0."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    y, x = np.clip(y + 1, 0, padded.shape[0] - 1), np.clip(x + 1, 0, padded.shape[1] - 1)
    top = np.minimum(y.astype(np.intp), padded.shape[0] - 2)
    left = np.minimum(x.astype(np.intp), padded.shape[1] - 2)
    down, right = (y - top)[..., None], (x - left)[..., None]
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    result: NDArray[np.float64] = upper * (1 - down) + lower * down
    return result


def _weights(before: int, after: int) -> NDArray[np.float64]:
    """(after, before) how much each pixel of a line gives to each new one: triangles, at least one old pixel wide."""
    scale = before / after
    width = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(before)[None] - centres[:, None]) / width
    weights = np.maximum(0.0, 1.0 - distance)
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def _require(holds: bool, name: str, expected: str, got: object) -> None:
    """Refuse a parameter out of its range."""
    if not holds:
        raise ArgumentError(f"{name} is out of range", expected=expected, got=got)
