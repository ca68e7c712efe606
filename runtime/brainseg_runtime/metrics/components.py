"""Connected components and dilation of volumes, in numpy alone.

Components are found by runs: the stretches of a mask along X are linked to those that touch them in the neighbouring
rows and slices, and linked runs are merged by their least number. Time and memory go with the number of runs.

Legend: Z slices, Y rows, X columns; R runs; L links between runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def components(mask: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    """Label a mask's components; voxels that share a face, an edge or a corner belong together (26 neighbours).

    Args:
        mask: (Z, Y, X) bool, or uint8 with 0 and 1.

    Returns:
        (Z, Y, X) int32: 0 outside the mask, else 1 to the number of components, in the order of their first voxel; and
        that number.

    >>> labels, number = components(np.array([[[1, 0, 1, 1]]], np.uint8))
    >>> labels.tolist(), number
    ([[[1, 0, 2, 2]]], 2)
    """
    inside = np.pad(mask.astype(np.int8), ((0, 0), (0, 0), (1, 1)))
    edges = np.diff(inside, axis=2)
    z, y, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[2] - 1  # runs do not overlap, so starts and ends are in the same order
    labels = np.zeros(mask.shape, dtype=np.int32)
    if not len(first):
        return labels, 0
    roots = _merged(len(first), _links(z, y, first, last, mask.shape))
    _, number = np.unique(roots, return_inverse=True)
    lengths = last - first + 1
    labels[mask.astype(np.bool_)] = np.repeat(number.ravel() + 1, lengths)
    return labels, int(number.max()) + 1


def dilated(mask: NDArray[Any], steps: int) -> NDArray[np.bool_]:
    """A mask grown by its 18 neighbours (those that share a face or an edge), a number of times.

    Args:
        mask: (Z, Y, X) bool, or uint8 with 0 and 1; what would grow beyond it is lost.
        steps: How often, 0 or more.
    """
    grown = mask.astype(np.bool_)
    for _ in range(steps):
        around = np.pad(grown, 1)
        for dz, dy, dx in np.ndindex(3, 3, 3):
            if abs(dz - 1) + abs(dy - 1) + abs(dx - 1) <= 2:
                depth, height, width = grown.shape
                grown |= around[dz : dz + depth, dy : dy + height, dx : dx + width]
    return grown


def _links(
    z: NDArray[np.int64],
    y: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    shape: tuple[int, ...],
) -> NDArray[np.int64]:
    """(2, L) pairs of runs that touch, each found from the later of the two rows."""
    height, width = shape[1], shape[2] + 3  # three columns more, so that a run's neighbours never reach the next row
    # A row's number: one empty row between slices, so that the last row of a slice does not neighbour the next one's.
    row = z * (height + 1) + y
    begins, ends = row * width + first, row * width + last
    pairs = []
    for dz, dy in ((0, 1), (1, -1), (1, 0), (1, 1)):
        shift = (dz * (height + 1) + dy) * width
        low = np.searchsorted(ends, begins - shift - 1)  # the first run there that does not end too early
        high = np.searchsorted(begins, ends - shift + 1, side="right")
        many = np.maximum(high - low, 0)
        later = np.repeat(np.arange(len(first)), many)
        offset = np.arange(len(later)) - np.repeat(np.cumsum(many) - many, many)
        pairs.append(np.stack([later, low[later] + offset]))
    return np.concatenate(pairs, axis=1)


def _merged(runs: int, links: NDArray[np.int64]) -> NDArray[np.int64]:
    """(R,) the least run that each run is linked to, through any number of links."""
    root = np.arange(runs)
    while True:
        one, other = root[links[0]], root[links[1]]
        apart = one != other
        if not apart.any():
            return root
        links, one, other = links[:, apart], one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while True:
            up = root[root]
            if np.array_equal(up, root):
                break
            root = up
