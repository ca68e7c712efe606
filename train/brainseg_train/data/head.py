"""Where head and brain are in a slice: classical masks, made from the pixels alone.

They serve augmentation, which dims or removes what lies outside the brain, and never a reported figure. Thresholds and
radii are for slices at the network's size; they were set by eye on a sheet of slices of every site of the training set.

Legend: H rows, W columns; channels are pre-contrast, FLAIR, post-contrast.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MAX_DEPTH: Final = 15
"""Pixels beyond which a depth is not told: thicker than any scalp and skull at the network's size."""

_NO_HEAD_PEAK: Final = 10.0
"""Smoothed grey value that a slice with a head exceeds, of 255."""
_HEAD_FLOOR, _HEAD_SHARE = 12.0, 0.12
"""A head is brighter than the floor, and than this share of the slice's 99th percentile."""
_LEAST_HEAD: Final = 60
"""Pixels of the least head that a brain is looked for in."""
_BRAIN_FLAIR: Final = 0.45
"""Brain is brighter on FLAIR than this share of the median of the head's deep part; skull and fluid are not."""
_FAT_T1: Final = 1.9
"""Near the outline, what exceeds that median on both T1s by this factor is fat."""
_RADII: Final = (2, 3, 4)
"""Erosions, in pixels, that are tried in turn to part brain from scalp."""

Bits = NDArray[np.bool_]


def head_mask(image_hwc: NDArray[np.uint8]) -> Bits:
    """The head: the largest connected part that is not black, without holes.

    Args:
        image_hwc: (H, W, 3) uint8.

    Returns:
        (H, W) bool; all false for a slice that is black.

    Examples:
        >>> slice_ = np.zeros((128, 128, 3), np.uint8)
        >>> slice_[30:90, 40:80] = 100
        >>> int(head_mask(slice_)[40:80, 50:70].sum()), bool(head_mask(slice_)[0, 0])
        (800, False)
    """
    brightest = ndimage.gaussian_filter(image_hwc.max(axis=2).astype(np.float64), 1.0)
    if brightest.max() < _NO_HEAD_PEAK:
        return np.zeros(brightest.shape, dtype=np.bool_)
    bright = brightest > max(_HEAD_FLOOR, _HEAD_SHARE * np.percentile(brightest, 99))
    closed = ndimage.binary_closing(np.pad(bright, 6), iterations=4)[6:-6, 6:-6]
    filled: Bits = ndimage.binary_fill_holes(_heaviest(closed, np.ones(closed.shape)))
    return filled


def depth_in(mask_hw: Bits) -> NDArray[np.float64]:
    """(H, W) distance of each pixel of a mask from the nearest pixel outside, the slice's edge included; 0 outside."""
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask_hw, 1))[1:-1, 1:-1]
    return depth


def brain_mask(image_hwc: NDArray[np.uint8], head_hw: Bits, depth_hw: NDArray[np.float64]) -> Bits:
    """The brain: the deepest connected part of the head that is neither dark on FLAIR nor fat, closed and filled.

    Erosion parts it from the scalp; it grows with each try until what is left keeps away from the head's outline.

    Args:
        image_hwc: (H, W, 3) uint8.
        head_hw: (H, W) bool, as `head_mask` gives it.
        depth_hw: (H, W), as `depth_in` gives it of that mask.

    Returns:
        (H, W) bool. Where no brain is found, the head without a rim of six pixels; where there is next to no head, the
        head.
    """
    if head_hw.sum() < _LEAST_HEAD:
        return head_hw
    tissue = _tissue(image_hwc, head_hw, depth_hw)
    brain = head_hw & (depth_hw > 6)
    for radius in _RADII:
        eroded = ndimage.binary_erosion(tissue, iterations=radius)
        if not eroded.any():
            break
        core = ndimage.binary_dilation(_heaviest(eroded, depth_hw), iterations=radius) & tissue
        closed = ndimage.binary_closing(np.pad(core, 8), iterations=5)[8:-8, 8:-8]
        brain = ndimage.binary_fill_holes(closed) & (depth_hw > 1.5)
        touching = (brain & (depth_hw < 3.5)).sum()
        if touching < 0.21 * np.sqrt(brain.sum()):  # about a twentieth of its outline
            break
    return brain


def _tissue(image_hwc: NDArray[np.uint8], head_hw: Bits, depth_hw: NDArray[np.float64]) -> Bits:
    """(H, W) bool: what may be brain by its grey values, each sequence relative to the median deep in the head."""
    pre, flair, post = (ndimage.gaussian_filter(image_hwc[..., c].astype(np.float64), 0.7) for c in range(3))
    deep = depth_hw > 0.45 * depth_hw.max()
    flair, pre, post = (channel / max(float(np.median(channel[deep])), 1.0) for channel in (flair, pre, post))
    fat = (np.minimum(pre, post) > _FAT_T1) & (depth_hw < 0.35 * depth_hw.max())
    found: Bits = head_hw & (flair > _BRAIN_FLAIR) & (depth_hw > 2) & ~fat
    return found


def _heaviest(mask_hw: Bits, weight_hw: NDArray[np.float64]) -> Bits:
    """The connected part of a mask with the largest sum of weights; the mask itself where it is empty."""
    labels, count = ndimage.label(mask_hw)
    if not count:
        return mask_hw
    sums = ndimage.sum_labels(weight_hw, labels, range(1, count + 1))
    part: Bits = labels == 1 + int(np.argmax(sums))
    return part
