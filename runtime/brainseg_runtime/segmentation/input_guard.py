"""The input guard: reasons to distrust an image before anybody trusts its mask.

It looks at a regular grid of at most 64 x 64 pixels, so that it costs the same for any size; what looks wrong on the
grid is confirmed on all pixels before it is reported.

Legend: H rows, W columns, C channels (pre-contrast, FLAIR, post-contrast), S slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.bundles.manifest import ChannelRange, Fingerprint
from brainseg_runtime.contract import CHANNELS
from brainseg_runtime.errors import DataError, ImageError

MARGIN: Final = 8.0
"""Grey levels by which an image may lie outside the range of the training data without a warning."""

BRIGHTER: Final = 2.0
"""How much brighter than the training data's, which is scaled to the brightest voxel, an image may be.

Scaled to the 99.5th percentile of the voxels above 0, the means of 12 patients' slices are up to 1.73 times as high.
"""

BRIGHTEST_MEAN: Final = 150.0
"""Mean that no scaling of a head gives, since a quarter of a slice or more is air; an inverted slice is above it."""

LONGEST: Final = 4 / 3
"""Ratio of the sides up to which a model that squeezes slices to a square was measured to lose nothing."""

_GRID: Final = 64
_PEAK: Final = 99
"""Percentile that stands for the brightest tissue, without single bright pixels."""
_WHITE: Final = 94
"""Percentile that is white only in a saturated slice: scaled to a percentile, at most 4.7 % of a slice's pixels are."""
_SATURATED: Final = 254


def inspect_image(
    image_hwc: NDArray[np.uint8], fingerprint: Fingerprint | None, *, squeezes: bool = False
) -> tuple[str, ...]:
    """Reasons to distrust an image.

    Args:
        image_hwc: (H, W, 3) uint8.
        fingerprint: The training images' intensities, or None to skip that check.
        squeezes: Whether the model squeezes images that are not square, as bundles of release 0.1.0 do.

    Returns:
        One sentence for each reason. A blank slice gives that reason alone.

    Examples:
        >>> inspect_image(np.zeros((40, 40, 3), np.uint8), None)
        ('blank slice: every pixel is the same',)
    """
    low, high, peaks, whites, sums, pixels = _measure(image_hwc)
    if low == high and _constant(image_hwc):
        return ("blank slice: every pixel is the same",)
    reasons = [
        f"constant channel: {CHANNELS[c]} has one value, {low[c]}"
        for c in range(3)
        if low[c] == high[c] and _constant(image_hwc[..., c])
    ]
    reasons += [
        f"repeated channel: {CHANNELS[a]} and {CHANNELS[b]} are equal, so a sequence is missing"
        for a, b in _repeated(image_hwc, sums)
    ]
    height, width = image_hwc.shape[:2]
    if squeezes and max(height, width) > LONGEST * min(height, width):
        side = max(height, width)
        reasons.append(
            f"squeezed slice: {height}x{width} is not square and this bundle squeezes it, which costs accuracy; "
            f"pad the slice with zeros to {side}x{side}, or use a bundle of a newer release"
        )
    if fingerprint is not None:
        reasons += _unlike([total / pixels for total in sums], peaks, whites, fingerprint)
    return tuple(reasons)


def refuse(reasons: tuple[str, ...]) -> None:
    """Refuse an image that `inspect_image` has reasons to distrust.

    Raises:
        ImageError: There is a reason; all of them are in the message.
    """
    if reasons:
        raise ImageError(
            "the input guard refuses the image",
            expected="a slice like the training data's",
            got="; ".join(reasons),
            remedy="check the sequences and their order, or predict without strict (--strict), which warns instead",
        )


def take_fingerprint(images_hwc: Iterable[NDArray[np.uint8]]) -> Fingerprint:
    """The intensities of training slices, for a manifest; slices that are blank or repeat a channel are left out.

    Args:
        images_hwc: S images (H, W, 3) uint8, of any sizes; a generator will do.

    Returns:
        For each channel the ranges of the slices' mean and 99th percentile, in grey levels 0 to 255.

    Raises:
        DataError: Every slice is blank or repeats a sequence.
    """
    measured = []
    for image in images_hwc:
        low, high, peaks, _, sums, pixels = _measure(image)
        if all(a < b for a, b in zip(low, high, strict=True)) and not _repeated(image, sums):
            measured.append(([total / pixels for total in sums], peaks))
    if not measured:
        raise DataError(
            "no fingerprint can be taken", expected="a slice that is not blank, of three sequences", got="no such slice"
        )
    levels = np.array(measured)  # (S, 2, 3): mean and peak by channel
    low, high = levels.min(axis=0), levels.max(axis=0)
    channels = {
        name: ChannelRange(
            low=round(float(low[0, c]), 2), high=round(float(high[0, c]), 2),
            peak_low=round(float(low[1, c]), 2), peak_high=round(float(high[1, c]), 2),
        )
        for c, name in enumerate(CHANNELS)
    }  # fmt: skip
    return Fingerprint(slices=len(measured), channels=channels)


class _Levels(NamedTuple):
    """Grey levels of an image's grid, each by channel."""

    low: list[int]
    high: list[int]
    peaks: list[int]
    whites: list[int]
    """The percentile `_WHITE`."""
    sums: list[int]
    pixels: int
    """Number of pixels of the grid."""


def _measure(image_hwc: NDArray[np.uint8]) -> _Levels:
    """Measure a regular grid, in few and short passes, since every slice waits for this."""
    height, width = image_hwc.shape[:2]
    sample = image_hwc[:: -(-height // _GRID), :: -(-width // _GRID)]
    grid = sample.transpose(2, 0, 1).reshape(3, -1)
    pixels = grid.shape[1]
    ranks = [0, pixels - 1, pixels * _PEAK // 100, pixels * _WHITE // 100]
    # For bytes this is a radix sort: twice as fast as a partition, and it gives the lowest and the highest value too.
    low, high, peaks, whites = np.sort(grid, axis=1, kind="stable").T[ranks].tolist()
    return _Levels(low, high, peaks, whites, np.add.reduce(grid, axis=1, dtype=np.uint32).tolist(), pixels)


def _unlike(means: Sequence[float], peaks: Sequence[int], whites: Sequence[int], fingerprint: Fingerprint) -> list[str]:
    """Reasons from intensities that the training data did not have and that no usual scaling gives."""
    reasons = []
    for name, mean, peak, white in zip(CHANNELS, means, peaks, whites, strict=True):
        seen = fingerprint.channels[name]
        highest = max(seen.high + MARGIN, min(BRIGHTER * seen.high, BRIGHTEST_MEAN))
        if not seen.low - MARGIN <= mean <= highest:
            reasons.append(
                f"intensity range: {name} has mean {mean:.0f}, training had {seen.low:.0f} to {seen.high:.0f}"
            )
        elif peak < seen.peak_low - MARGIN or (white >= _SATURATED and peak > seen.peak_high + MARGIN):
            reasons.append(
                f"intensity range: {name} has its brightest at {peak}, "
                f"training had {seen.peak_low:.0f} to {seen.peak_high:.0f}"
            )
    return reasons


def _repeated(image_hwc: NDArray[np.uint8], sums: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of channels that are equal in every pixel; the sums of the grid rule most pairs out."""
    return [
        (a, b)
        for a, b in ((0, 1), (1, 2), (0, 2))
        if sums[a] == sums[b] and np.array_equal(image_hwc[..., a], image_hwc[..., b])
    ]


def _constant(pixels: NDArray[np.uint8]) -> bool:
    """Whether all pixels have one value."""
    return bool(pixels.min() == pixels.max())
