"""What the guard measures in a study's frame: the head, its scalp, and the texture that tells FLAIR from T1.

Legend: N slices, H rows, W columns; depth is a voxel's distance from the head's edge in its slice, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.metrics.components import components
from brainseg_runtime.studies.head import inside_head

Stack = NDArray[np.float32]
Mask = NDArray[np.bool_]

DEEP: Final = 10
"""Depth, in pixels of half the frame's resolution, from which the brain begins: scalp and skull are 5 to 8."""
SCALP: Final = 5
"""Depth to which the scalp reaches."""
_WIDE: Final = 0.75
"""Part of the widest slice's head that a slice must have to be looked at: top and base of the head differ."""
_LEAST_DEEP: Final = 200
"""Fewest voxels deep in the head to measure anything."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """The head in the slices where it is wide, at half the frame's resolution.

    Attributes:
        slices: Their indices.
        stacks: (M, H / 2, W / 2, 3) uint8, the frame in those M slices.
        inside: (M, H / 2, W / 2) bool.
        depth: (M, H / 2, W / 2) int16, 0 outside, at most `DEEP`.
        middle: Indices of the slices through the cerebrum above the base of the skull.
    """

    slices: NDArray[np.intp]
    stacks: NDArray[np.uint8]
    inside: Mask
    depth: NDArray[np.int16]
    middle: NDArray[np.intp]

    @property
    def deep(self) -> Mask:
        """(M, H / 2, W / 2) bool; where the brain is."""
        return self.depth >= DEEP


def find_head(images: NDArray[np.uint8]) -> Head | None:
    """The head, from all sequences whose background is dark: a suppressed scalp is missing in one.

    Args:
        images: (N, H, W, 3) uint8.

    Returns:
        None if there is too little of a head to measure.
    """
    small = images[:, ::2, ::2]
    dark = [channel for channel in range(3) if background(small[..., channel]) < _DARK]
    if not dark:
        return None
    inside = np.logical_or.reduce([inside_head(small[..., channel].astype(np.float32)) for channel in dark])
    areas = inside.mean(axis=(1, 2))
    slices = np.flatnonzero(areas > _WIDE * areas.max())
    depth = depths(inside[slices], DEEP)
    if np.count_nonzero(depth >= DEEP) < _LEAST_DEEP:
        return None
    there = np.flatnonzero(areas > _THERE * areas.max())
    low, high = np.quantile(there, _MIDDLE).tolist()
    middle = np.unique(np.linspace(low, high, _SLICES).astype(np.intp))
    return Head(slices=slices, stacks=small[slices], inside=inside[slices], depth=depth, middle=middle)


_THERE: Final = 0.1
_MIDDLE: Final = (0.45, 0.75)
"""Part of the way up through the head, between which the slices show white matter, cortex and little else."""
_SLICES: Final = 6
"""Slices whose texture is measured."""
_DARK: Final = 0.2
"""Part of bright tissue below which a background is dark."""


def background(stack: NDArray[np.uint8]) -> float:
    """The frame's edge relative to bright tissue: about 0, unless grey levels are inverted or shifted.

    Args:
        stack: (N, H, W) uint8.
    """
    edge = np.concatenate(
        [stack[:, :4].ravel(), stack[:, -4:].ravel(), stack[:, :, :4].ravel(), stack[:, :, -4:].ravel()]
    )
    return float(np.percentile(edge, 25) / max(float(np.percentile(stack, 99)), 1.0))


def empty_within(stack: NDArray[np.uint8]) -> int:
    """Slices that have one value throughout, between slices that do not.

    Args:
        stack: (N, H, W) uint8.

    Examples:
        >>> empty_within(np.array([0, 1, 0, 1, 0], np.uint8)[:, None, None] * np.eye(2, dtype=np.uint8))
        1
    """
    shown = np.flatnonzero(np.ptp(stack, axis=(1, 2)))
    return int(shown[-1] - shown[0] + 1 - len(shown)) if len(shown) else 0


def depths(inside: Mask, most: int) -> NDArray[np.int16]:
    """Distance of each voxel from the edge, in its slice, along rows and columns.

    Args:
        inside: (N, H, W) bool.
        most: Largest depth that is told apart.

    Examples:
        >>> depths(np.ones((1, 5, 5), bool), 9)[0, 2].tolist()
        [1, 2, 3, 2, 1]
    """
    depth = np.zeros(inside.shape, np.int16)
    left = inside
    for _ in range(most):
        depth += left
        left = _eroded(left)
    return depth


def _eroded(mask: Mask) -> Mask:
    """A mask without its outermost pixels; the frame's border is outside."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    return mask & padded[:, 2:, 1:-1] & padded[:, :-2, 1:-1] & padded[:, 1:-1, 2:] & padded[:, 1:-1, :-2]


def scalp(stack: NDArray[np.uint8], head: Head) -> float:
    """How bright the scalp is, relative to the brain's median: the brightest of the rings of equal depth.

    Fat is 1.3 to 4 times as bright as brain; suppressed, it is darker; where the skull was removed, the ring is cortex.

    Args:
        stack: (M, H / 2, W / 2) uint8, one sequence in the head's slices.
        head: The head.
    """
    brain = max(float(np.median(stack[head.deep])), 1.0)
    rings = [stack[head.depth == depth] for depth in range(1, SCALP + 1)]
    return max(float(np.percentile(ring, 75)) for ring in rings if ring.size) / brain


def texture(stack: NDArray[np.uint8], head: Head) -> float:
    """How fine-grained the brain's brighter tissue is, relative to its middling tissue.

    On T1 the brighter tissue is white matter, which is smooth; on FLAIR it is the folded cortex. So the ratio is about
    0.7 to 1.2 for T1 and 1.1 to 2.5 for FLAIR.

    Args:
        stack: (N, H, W) uint8, one sequence.
        head: The head.
    """
    values = stack[head.middle].astype(np.float32)
    deep = depths(inside_head(values), 2 * DEEP) >= 2 * DEEP
    if not deep.any():
        return float("nan")
    fine = np.abs(values - _blurred(values, 3))
    low, middle, high, highest = np.percentile(values[deep], [30, 50, 70, 92])
    bright = deep & (values >= high) & (values < highest)
    middling = deep & (values >= low) & (values < middle)
    if not (bright.any() and middling.any()):
        return float("nan")
    return float(fine[bright].mean() / max(float(fine[middling].mean()), 1e-6))


def _blurred(stack: Stack, radius: int) -> Stack:
    """Mean over squares of 2 × radius + 1 pixels."""
    side = 2 * radius + 1
    blurred = stack
    for axis in (1, 2):
        widths = [(0, 0)] * 3
        widths[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(blurred, widths, mode="edge"), axis=axis, dtype=np.float64)
        upper, lower = [slice(None)] * 3, [slice(None)] * 3
        upper[axis], lower[axis] = slice(side, None), slice(None, -side)
        blurred = ((sums[tuple(upper)] - sums[tuple(lower)]) / side).astype(np.float32)
    return blurred


def shape(head: Head) -> tuple[float, float, float]:
    """Length and width of the head in pixels of half the resolution, and the part of their box that it fills.

    Medians over the slices.

    Args:
        head: The head.
    """
    measured = []
    for inside in head.inside:
        rows, columns = inside.sum(axis=1), inside.sum(axis=0)
        down, across = (np.flatnonzero(line > _LINE * line.max()) for line in (rows, columns))
        length, width = down[-1] - down[0] + 1, across[-1] - across[0] + 1
        measured.append((length, width, inside[down[0] : down[-1] + 1, across[0] : across[-1] + 1].mean()))
    length, width, filled = np.median(np.array(measured), axis=0).tolist()
    return length, width, filled


_LINE: Final = 0.15
"""Part of the longest row or column of the head that a row or column must have to count: noise has less."""


def touching(head: Head) -> float:
    """Largest part of a side of the frame along which the head is cut off: a median over the slices, by side.

    Args:
        head: The head.
    """
    inside = head.inside
    sides = (inside[:, 0], inside[:, -1], inside[:, :, 0], inside[:, :, -1])
    return max(float(np.median(side.mean(axis=1))) for side in sides)


def coverage(stack: NDArray[np.uint8], inside: Mask) -> float:
    """Part of the head's slices and pixels in which a sequence was taken: what is exactly 0 throughout was not.

    Args:
        stack: (N, H, W) uint8.
        inside: (N, H, W) bool; the head on another sequence.
    """
    there = inside.any(axis=(1, 2))
    taken = (stack > 0) | (_blurred(stack.astype(np.float32), 4) > 1)
    return float(np.mean(taken[there][inside[there]])) if there.any() else 0.0


def overlap(one: Mask, other: Mask) -> float:
    """Dice coefficient of two masks; 1 if both are empty.

    Args:
        one: Any shape.
        other: The same shape.
    """
    both = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / both if both else 1.0


def pieces(mask: Mask) -> list[int]:
    """Sizes of the connected parts of a mask, in voxels, largest first.

    Args:
        mask: (N, H, W) bool.

    Examples:
        >>> pieces(np.array([[[1, 1, 0, 1]]], bool))
        [2, 1]
    """
    labels, number = components(mask)
    return sorted(np.bincount(labels.ravel(), minlength=number + 1)[1:].tolist(), reverse=True)
