"""Post-processing of a volume's masks: off by default, numpy only, and recorded in the result.

It changes masks only; probabilities stay as the model computed them.

Legend: N slices, H rows, W columns. Voxels are neighbours through faces (6-connected): along a row, a column or across
slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.safe_io.arguments import check_integer


@dataclass(frozen=True, kw_only=True)
class PostProcessing:
    """What to do with the masks of a volume, in the order of the fields.

    Raises:
        ArgumentError: The smallest size is not an integer, or below 1.

    Examples:
        >>> mask = np.array([[[1, 0, 1, 1]]], np.uint8)
        >>> PostProcessing(min_voxels=2).apply(mask)
        array([[[0, 0, 1, 1]]], dtype=uint8)
    """

    min_voxels: int = 1
    """Connected components with fewer voxels are removed; 1 removes none."""
    largest_component: bool = False
    """Only the largest component is kept; of several equally large ones the first in slice, row, column order."""

    def __post_init__(self) -> None:
        check_integer("min_voxels", self.min_voxels, low=1)

    def apply(self, mask_nhw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask after post-processing.

        Args:
            mask_nhw: (N, H, W) uint8, 0 or 1; not changed.

        Returns:
            A new (N, H, W) uint8.
        """
        if self.min_voxels == 1 and not self.largest_component:
            return mask_nhw.copy()
        labels = label_components(mask_nhw)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        keep = sizes >= self.min_voxels
        keep[0] = False
        if self.largest_component and keep.any():
            keep[:] = np.arange(len(sizes)) == int(sizes.argmax())
        return keep[labels].astype(np.uint8)


def label_components(mask_nhw: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Number the 6-connected components of a volume.

    Runs of set voxels along rows are the nodes of a graph; runs that touch in the next row or slice are joined by an
    edge. Every node takes the smallest number among its neighbours, then that number's number, until nothing changes.

    Args:
        mask_nhw: (N, H, W) uint8, 0 or 1.

    Returns:
        (N, H, W), 0 for background and 1, 2, ... for components, in the order of their first voxels.

    Examples:
        >>> label_components(np.array([[[1, 0, 1, 1]]], np.uint8))
        array([[[1, 0, 2, 2]]])
    """
    runs, count = _number_runs(mask_nhw)
    edges = np.concatenate([_touching(runs[:, :-1], runs[:, 1:]), _touching(runs[:-1], runs[1:])])
    parent = np.arange(count + 1)
    a, b = edges.T
    while True:
        low = np.minimum(parent[a], parent[b])
        previous = parent.copy()
        # Hook both ends' roots to the lower one, then shorten every path to its root.
        np.minimum.at(parent, previous[a], low)
        np.minimum.at(parent, previous[b], low)
        while not np.array_equal(parent, shorter := parent[parent]):
            parent = shorter
        if np.array_equal(parent, previous):
            break
    _, numbers = np.unique(parent, return_inverse=True)
    return numbers[runs].astype(np.intp, copy=False)


def _number_runs(mask_nhw: NDArray[np.uint8]) -> tuple[NDArray[np.intp], int]:
    """The runs of set voxels along rows, numbered from 1, and how many there are."""
    filled = mask_nhw != 0
    starts = filled.copy()
    starts[..., 1:] &= ~filled[..., :-1]
    numbers = np.cumsum(starts.ravel(), dtype=np.intp).reshape(filled.shape)
    count = int(numbers.flat[-1]) if numbers.size else 0
    return np.where(filled, numbers, 0), count


def _touching(here: NDArray[np.intp], there: NDArray[np.intp]) -> NDArray[np.intp]:
    """(E, 2) pairs of numbers of runs that touch."""
    both = (here > 0) & (there > 0)
    return np.unique(np.stack([here[both], there[both]], axis=1), axis=0)
