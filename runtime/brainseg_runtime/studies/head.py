"""Where the head is in a volume: a mask of it, and the box that holds it.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

TISSUE: Final = 0.15
"""Part of bright tissue's value above which a voxel is tissue. Noise in air stays below, scalp and brain above."""

_BRIGHT: Final = 99.5
"""Percentile of the voxels above 0 that stands for bright tissue."""

_LINE: Final = 0.05
"""Part of a row or column that must be tissue, in one of the slices, for the head to reach there."""


@dataclass(frozen=True, kw_only=True)
class HeadBox:
    """Edges of the head in pixels: of its first row and column, and after its last ones."""

    top: int
    bottom: int
    left: int
    right: int


def tissue(volume: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels that are tissue, not air.

    Args:
        volume: Any shape; air about 0.

    Returns:
        The same shape; nothing where no voxel is above 0.

    Examples:
        >>> tissue(np.array([0.0, 1.0, 90.0, 100.0], np.float32)).tolist()
        [False, False, True, True]
    """
    bright = volume[volume > 0]
    if bright.size == 0:
        return np.zeros(volume.shape, bool)
    return np.asarray(volume > TISSUE * np.percentile(bright, _BRIGHT))


def head_box(volume: NDArray[np.float32]) -> HeadBox:
    """The box that holds the head in all slices of a volume; all of it if there is no tissue.

    Args:
        volume: (N, H, W) float32; air about 0.

    Examples:
        >>> volume = np.zeros((1, 8, 8), np.float32)
        >>> volume[0, 2:7, 3:5] = 100
        >>> head_box(volume)
        HeadBox(top=2, bottom=7, left=3, right=5)
    """
    mask = tissue(volume)
    height, width = mask.shape[1:]
    rows = np.flatnonzero(mask.mean(axis=2).max(axis=0) > _LINE)
    columns = np.flatnonzero(mask.mean(axis=1).max(axis=0) > _LINE)
    if rows.size == 0 or columns.size == 0:
        return HeadBox(top=0, bottom=height, left=0, right=width)
    return HeadBox(top=int(rows[0]), bottom=int(rows[-1]) + 1, left=int(columns[0]), right=int(columns[-1]) + 1)


def inside_head(volume: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels with tissue on all four sides in their slice, so that fluid, bone and sinuses within the head count.

    Args:
        volume: (N, H, W) float32; air about 0.

    Examples:
        >>> ring = np.zeros((1, 5, 5), np.float32)
        >>> ring[0, 1:4, 1:4] = 100
        >>> ring[0, 2, 2] = 0
        >>> int(inside_head(ring).sum())
        9
    """
    mask = tissue(volume)
    inside = np.ones(mask.shape, bool)
    for axis in (1, 2):
        length = mask.shape[axis]
        places = np.arange(length, dtype=np.int32).reshape((1, -1, 1) if axis == 1 else (1, 1, -1))
        first = np.where(mask.any(axis=axis, keepdims=True), mask.argmax(axis=axis, keepdims=True), length)
        last = length - 1 - np.flip(mask, axis=axis).argmax(axis=axis, keepdims=True)
        inside &= (places >= first.astype(np.int32)) & (places <= last.astype(np.int32))
    return inside
