"""Images, batches and volumes as callers pass them, checked before anything runs.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError

MAX_VOLUME_PIXELS: Final = 1 << 30
"""Most pixels of a volume: its result holds 5 bytes for each."""


def check_image(image: object, limits: Limits) -> NDArray[np.uint8]:
    """The image as a plain C-contiguous array: the caller's own where it is one already, else a copy.

    Args:
        image: What should be (H, W, 3) uint8.
        limits: Caps on H and W.

    Returns:
        (H, W, 3) uint8, C-contiguous.

    Raises:
        ImageError: It is anything else.

    Examples:
        >>> check_image(np.zeros((40, 56, 3), np.uint8), Limits()).shape
        (40, 56, 3)
    """
    # Naming `np.ma` imports it; a plain array does without.
    if not isinstance(image, np.ndarray) or (type(image) is not np.ndarray and isinstance(image, np.ma.MaskedArray)):
        raise _wrong("is not an array", type(image).__name__, limits)
    if image.dtype != np.uint8:
        remedy = "scale the series to grey levels 0 to 255 as the training data was, and round"
        raise _wrong("has a wrong type", image.dtype, limits, remedy=remedy)
    if image.ndim != 3 or image.shape[2] != 3:
        raise _wrong("has a wrong shape", image.shape, limits)
    low, high = limits.min_side, limits.max_side
    if not (low <= image.shape[0] <= high and low <= image.shape[1] <= high):
        raise _wrong("has a wrong size", image.shape, limits)
    return np.ascontiguousarray(image)


def check_batch(images: object, limits: Limits) -> list[NDArray[np.uint8]]:
    """The images of a batch, which may differ in size.

    Args:
        images: What should be (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8.
        limits: Caps on N, H and W.

    Raises:
        ImageError: An image is not such an array, or there are none or too many.
    """
    series = _series(images)
    if not 1 <= len(series) <= limits.max_batch:
        raise ImageError(
            "the batch has a wrong size",
            expected=f"1 to {limits.max_batch} images",
            got=len(series),
            remedy="predict_volume takes any number",
        )
    return [check_image(item, limits) for item in series]


def check_volume(slices: object, limits: Limits) -> list[NDArray[np.uint8]]:
    """The slices of a volume, all of one size.

    Args:
        slices: What should be (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8.
        limits: Caps on H and W.

    Raises:
        ImageError: A slice is not such an array, they differ in size, or the volume is empty or too large.
    """
    images = [check_image(image, limits) for image in _series(slices)]
    if not images:
        raise ImageError("the volume is empty", expected="at least one slice", got="none")
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise ImageError("the slices differ in size", expected="one (H, W)", got=sorted(sizes)[:4])
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    if pixels > MAX_VOLUME_PIXELS:
        raise ImageError("the volume is too large", expected=f"at most {MAX_VOLUME_PIXELS} pixels", got=pixels)
    return images


def _wrong(how: str, got: object, limits: Limits, *, remedy: str | None = None) -> ImageError:
    """The error for what cannot be taken as an image."""
    expected = f"numpy array (H, W, 3) uint8, H and W from {limits.min_side} to {limits.max_side}"
    return ImageError(f"the image {how}", expected=expected, got=got, remedy=remedy)


def _series(images: object) -> Sequence[object]:
    """A sequence whose items should be images."""
    if isinstance(images, np.ndarray):
        if images.ndim != 4:
            raise ImageError("the series has a wrong shape", expected="(N, H, W, 3) uint8", got=images.shape)
        return list(images)
    if not isinstance(images, Sequence) or isinstance(images, str | bytes):
        raise ImageError(
            "the images are not a sequence", expected="(N, H, W, 3) or a sequence", got=type(images).__name__
        )
    return images
