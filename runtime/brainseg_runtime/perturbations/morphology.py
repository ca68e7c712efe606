"""Binary morphology and smoothing of pictures, in numpy alone.

Steps of erosion and growth take turns between four and eight neighbours, so that a disk stays nearly one (an octagon).
What lies outside a picture counts as background for growth and as foreground for erosion: a head that is cut off by the
edge of its picture is not eroded there.

Legend: N slices, H rows, W columns.
Source: Soille, Morphological Image Analysis, 2003, ch. 3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.metrics.components import components


def grown(mask_hw: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """A mask grown by a number of steps.

    Args:
        mask_hw: (H, W) bool.
        steps: 0 or more; the first takes in four neighbours, the second eight, and so on by turns.

    >>> point = np.zeros((5, 5), np.bool_)
    >>> point[2, 2] = True
    >>> grown(point, 1).astype(int).tolist()[1:4]
    [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]
    """
    found = mask_hw
    for step in range(steps):
        rows = found.copy()
        rows[1:] |= found[:-1]
        rows[:-1] |= found[1:]
        sideways = rows if step % 2 else found
        wider = rows.copy()
        wider[:, 1:] |= sideways[:, :-1]
        wider[:, :-1] |= sideways[:, 1:]
        found = wider
    return found.copy() if found is mask_hw else found


def eroded(mask_hw: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """A mask shrunk by a number of steps; (H, W) bool, the steps as in `grown`."""
    return ~grown(~mask_hw, steps)


def closed(mask_hw: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """A mask grown, then eroded, so that gaps of up to twice as many pixels close; (H, W) bool.

    Beyond the picture its edge goes on, so that a gap that reaches the edge closes as one inside does.
    """
    padded = np.pad(mask_hw, steps, mode="edge")
    height, width = mask_hw.shape
    return eroded(grown(padded, steps), steps)[steps : steps + height, steps : steps + width]


def filled(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with its holes: background that no path of eight neighbours connects to the picture's edge; (H, W) bool.

    >>> ring = np.ones((3, 3), np.bool_)
    >>> ring[1, 1] = False
    >>> bool(filled(ring).all())
    True
    """
    labels, _ = components(np.pad(~mask_hw, 1, constant_values=True)[None])
    found: NDArray[np.bool_] = labels[0, 1:-1, 1:-1] != labels[0, 0, 0]
    return found


def main_parts(mask_hw: NDArray[np.bool_], least: float = 1.0) -> NDArray[np.bool_]:
    """The components of a mask (eight neighbours) that are not much smaller than its largest.

    Args:
        mask_hw: (H, W) bool.
        least: Pixels of a part that stays, as a fraction of those of the largest; 1 keeps the largest alone.

    Returns:
        (H, W) bool; nothing of an empty mask.

    >>> main_parts(np.array([[1, 1, 0, 1]], np.bool_)).astype(int).tolist()
    [[1, 1, 0, 0]]
    """
    labels, number = components(mask_hw[None])
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    sizes[0] = 0
    stays = sizes >= max(1.0, least * float(sizes.max()))
    found: NDArray[np.bool_] = stays[labels[0]]
    return found


def depths(mask_hw: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How many steps of erosion each pixel of a mask outlasts, and one; 0 outside; (H, W) int32.

    A mask without any outside is never eroded: all of it has depth 1.

    >>> depths(np.array([[0, 1, 1, 1, 0]], np.bool_)).tolist()
    [[0, 1, 2, 1, 0]]
    """
    depth = mask_hw.astype(np.int32)
    if mask_hw.all():
        return depth
    outside, step = ~mask_hw, 0
    while not outside.all():
        outside = grown(outside, 1) if step % 2 == 0 else _all_eight(outside)
        depth += ~outside
        step += 1
    return depth


def smoothed(pixels: NDArray[Any], sigma: float) -> NDArray[np.float32]:
    """Pixels convolved with a Gaussian; the picture's edge is repeated beyond it.

    Args:
        pixels: (H, W) or (H, W, 3), any numbers.
        sigma: Standard deviation in pixels, 0 or more; the kernel ends at four of them.

    Returns:
        The same shape, float32.

    >>> float(smoothed(np.full((4, 4), 7, np.uint8), 1.5)[0, 0].round(4))
    7.0
    """
    values = pixels.astype(np.float32)
    radius = math.ceil(4 * sigma)
    if not radius:
        return values
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        length = values.shape[axis]
        padded = np.pad(values, [(radius, radius) if each == axis else (0, 0) for each in range(values.ndim)], "edge")
        parts = (
            np.float32(weight) * np.take(padded, range(start, start + length), axis=axis)
            for start, weight in enumerate(kernel)
        )
        values = np.sum(list(parts), axis=0, dtype=np.float32)
    return values


def _all_eight(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask grown by one step of eight neighbours."""
    rows = mask_hw.copy()
    rows[1:] |= mask_hw[:-1]
    rows[:-1] |= mask_hw[1:]
    wider = rows.copy()
    wider[:, 1:] |= rows[:, :-1]
    wider[:, :-1] |= rows[:, 1:]
    return wider
