"""Perturbations of grey levels: bias field, noise, blur, gamma and linear scaling. The mask stays.

Legend: H rows, W columns; C channels (pre-contrast, FLAIR, post-contrast).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.morphology import smoothed
from brainseg_runtime.perturbations.slices import TrueSlice


def bias(one: TrueSlice, strength: float, direction: float) -> TrueSlice:
    """A slow change of brightness across the picture, as receive coils make it; the same for all channels.

    Brightness is multiplied by 1 - strength at one end, 1 in the middle and 1 + strength at the other, along half a
    period of a sine.

    Args:
        one: The slice.
        strength: 0 to 1.
        direction: Of the bright end, in radians from the right anticlockwise.

    >>> one = TrueSlice(np.full((16, 101, 3), 100, np.uint8), np.zeros((16, 101), np.uint8))
    >>> bias(one, 0.4, 0.0).image[0, [0, 50, 100], 0].tolist()
    [60, 100, 140]
    """
    if not 0 <= strength <= 1:
        raise ArgumentError("strength is out of range", expected="0 to 1", got=strength)
    height, width = one.mask.shape
    y, x = np.linspace(1, -1, height)[:, None], np.linspace(-1, 1, width)[None]
    along = np.clip(math.cos(direction) * x + math.sin(direction) * y, -1, 1)
    field = 1 + strength * np.sin(along * math.pi / 2)
    return one.with_image(one.image * field[..., None])


def noise(one: TrueSlice, sd: ArrayLike, rng: np.random.Generator) -> TrueSlice:
    """Rician noise, that of magnitude images: Gaussian noise on both parts of a complex signal.

    Args:
        one: The slice.
        sd: Standard deviation of each part in grey levels; one number, or one for each channel.
        rng: Drawn from.

    Source: Gudbjartsson and Patz, The Rician distribution of noisy MRI data, 1995.
    """
    real, imaginary = rng.standard_normal((2, *one.image.shape), dtype=np.float32) * np.asarray(sd, np.float32)
    return one.with_image(np.hypot(one.image + real, imaginary))


def blur(one: TrueSlice, sigma: float) -> TrueSlice:
    """Convolved with a Gaussian, as a coarser acquisition would be.

    Args:
        one: The slice.
        sigma: Standard deviation in pixels, 0 or more.
    """
    return one.with_image(smoothed(one.image, sigma))


def gamma(one: TrueSlice, exponent: float, white: ArrayLike) -> TrueSlice:
    """Grey levels to a power, black and white fixed: contrast moves to dark (above 1) or bright tissue (below 1).

    Args:
        one: The slice.
        exponent: Above 0.
        white: The grey level that stays, such as a channel's largest; one number, or one for each channel.

    >>> one = TrueSlice(np.full((1, 1, 3), 50, np.uint8), np.zeros((1, 1), np.uint8))
    >>> gamma(one, 2.0, 200).image[0, 0].tolist()
    [12, 12, 12]
    """
    if exponent <= 0:
        raise ArgumentError("exponent is out of range", expected="above 0", got=exponent)
    top = np.maximum(np.asarray(white, np.float64), 1.0)
    return one.with_image(top * (one.image / top) ** exponent)


def stretch(one: TrueSlice, white: ArrayLike) -> TrueSlice:
    """Scaled linearly so that a grey level becomes 255, and clipped there.

    Args:
        one: The slice.
        white: That level; one number, or one for each channel.

    >>> one = TrueSlice(np.full((1, 1, 3), 50, np.uint8), np.zeros((1, 1), np.uint8))
    >>> stretch(one, (100, 50, 25)).image[0, 0].tolist()
    [128, 255, 255]
    """
    return one.with_image(one.image * 255.0 / np.maximum(np.asarray(white, np.float64), 1.0))


def levels_at(images: NDArray[np.uint8] | list[NDArray[np.uint8]], percentile: float) -> NDArray[np.float64]:
    """(C,) percentile of each channel over the pixels of a volume that are not 0; 0 where a channel is black.

    Args:
        images: (H, W, 3) uint8 each; one histogram is kept, so their number does not matter.
        percentile: 0 to 100; 100 is the largest.

    >>> levels_at(np.array([[[[0, 10, 20], [40, 10, 30]]]], np.uint8), 100).tolist()
    [40.0, 10.0, 30.0]
    """
    counts = np.zeros((3, 256), np.int64)
    for image in images:
        for channel in range(3):
            counts[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
    counts[:, 0] = 0
    found = np.zeros(3)
    for channel, count in enumerate(counts):
        total = int(count.sum())
        if total:
            rank = max(1, math.ceil(percentile / 100 * total))
            found[channel] = int(np.searchsorted(np.cumsum(count), rank))
    return found
