"""What perturbations take and give: a slice with its true mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ImageError


@dataclass(frozen=True, slots=True)
class TrueSlice:
    """A slice and its true mask, which lie upon each other pixel by pixel.

    Attributes:
        image: (H, W, 3) uint8, channels pre-contrast, FLAIR, post-contrast.
        mask: (H, W) uint8, 0 or 1.
        pixel_area: Area of a pixel in pixels of the slice as it was read; 1 unless the slice was resampled to another
            number of pixels.

    Raises:
        ImageError: The arrays are not of these types, or differ in size.

    Examples:
        >>> TrueSlice(np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), np.uint8)).true_pixels
        24.0
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    pixel_area: float = 1.0

    def __post_init__(self) -> None:
        """Refuse arrays that are no slice with its mask."""
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            got = f"{self.image.dtype} {self.image.shape}"
            raise ImageError("not an image that can be perturbed", expected="uint8 (H, W, 3)", got=got)
        if self.mask.dtype != np.uint8 or self.mask.shape != self.image.shape[:2]:
            got = f"{self.mask.dtype} {self.mask.shape}"
            raise ImageError("the mask does not cover its image", expected=f"uint8 {self.image.shape[:2]}", got=got)

    @property
    def true_pixels(self) -> float:
        """Pixels of the mask, in pixels of the slice as it was read."""
        return int(np.count_nonzero(self.mask)) * self.pixel_area

    def with_image(self, image: NDArray[np.floating] | NDArray[np.uint8]) -> Self:
        """The same slice with other grey levels, rounded and clipped to 0 to 255; the mask stays."""
        return replace(self, image=grey_levels(image))


def grey_levels(values: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Numbers as grey levels: rounded, halves to even, and clipped to 0 to 255.

    >>> grey_levels(np.array([-3.0, 1.4, 254.6, 300.0])).tolist()
    [0, 1, 255, 255]
    """
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
