"""Distances between the surfaces of two masks: HD95, ASSD and surface Dice (NSD).

A mask's surface is its voxels with at least one of their six neighbours outside the mask; beyond the volume's edge is
outside. Distances run between voxel centres, are exact and Euclidean, and every surface voxel counts alike, as in MONAI
and medpy (the surface-distance package weights by area instead).

========  ==========================================================  ============  ==============
score     of distances both ways                                      both empty    one mask empty
========  ==========================================================  ============  ==============
HD95      the larger of the two 95th percentiles (linear)             0             undefined
ASSD      mean over all surface voxels of both masks together         0             undefined
NSD       fraction of these that are within the tolerance                1             0
========  ==========================================================  ============  ==============

HD95 is MONAI's; medpy takes one percentile of both directions together, the smaller figure where they differ.

Legend: Z slices, Y rows, X columns; K surface voxels.
Source: Maier-Hein et al., Metrics reloaded, 2024 (HD95, ASSD, NSD); Nikolov et al., Deep learning to achieve clinically
applicable segmentation, 2021 (NSD); Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012, for
taking the axes one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.metrics.lengths import TOLERANCE, VOXELS, Spacing

_BLOCK_VALUES = 1 << 21  # numbers held at once, 16 MiB, whatever the volume's size


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """From every surface voxel of each mask to the nearest one of the other.

    Attributes:
        to_truth: (K,) float64, from the prediction's surface; all infinite where the truth alone is empty.
        to_prediction: (K,) float64, from the truth's surface; all infinite where the prediction alone is empty.
    """

    to_truth: NDArray[np.float64]
    to_prediction: NDArray[np.float64]

    @property
    def both_empty(self) -> bool:
        """Whether neither mask has a voxel."""
        return not len(self.to_truth) and not len(self.to_prediction)

    @property
    def one_empty(self) -> bool:
        """Whether exactly one mask has no voxel."""
        return bool(len(self.to_truth)) != bool(len(self.to_prediction))

    def hd95(self) -> float:
        """95 % Hausdorff distance; NaN where one mask is empty."""
        if self.both_empty or self.one_empty:
            return 0.0 if self.both_empty else math.nan
        return float(max(np.percentile(self.to_truth, 95), np.percentile(self.to_prediction, 95)))

    def assd(self) -> float:
        """Average symmetric surface distance; NaN where one mask is empty."""
        if self.both_empty or self.one_empty:
            return 0.0 if self.both_empty else math.nan
        total = float(self.to_truth.sum() + self.to_prediction.sum())
        return total / (len(self.to_truth) + len(self.to_prediction))

    def nsd(self, tolerance: float = TOLERANCE) -> float:
        """Surface Dice: fraction of surface voxels within a tolerance of the other surface, in [0, 1].

        Args:
            tolerance: In the unit of the spacing, at least 0.

        Raises:
            DataError: The tolerance is negative or not finite.
        """
        if not 0 <= tolerance < math.inf:
            raise DataError("the tolerance is out of range", expected="at least 0 and finite", got=tolerance)
        if self.both_empty:
            return 1.0
        near = np.count_nonzero(self.to_truth <= tolerance) + np.count_nonzero(self.to_prediction <= tolerance)
        return int(near) / (len(self.to_truth) + len(self.to_prediction))


def surface_distances(prediction: NDArray[Any], truth: NDArray[Any], *, spacing: Spacing = VOXELS) -> SurfaceDistances:
    """Measure two masks of one volume against each other.

    Args:
        prediction: (Z, Y, X) bool, or uint8 with 0 and 1.
        truth: The same.
        spacing: Along Z, Y and X; the distances are in its unit.

    Returns:
        Distances both ways.

    Raises:
        ImageError: The two are not volumes of one shape.
        DataError: The spacing is not three lengths above 0.

    >>> truth, prediction = np.zeros((2, 1, 9, 9), bool)
    >>> truth[0, 2:5, 2:5] = prediction[0, 2:5, 3:6] = True
    >>> distances = surface_distances(prediction, truth)
    >>> distances.hd95(), distances.nsd(tolerance=1)
    (1.0, 1.0)
    """
    if prediction.shape != truth.shape or truth.ndim != 3:
        raise ImageError(
            "prediction and truth are not volumes of one shape", expected=truth.shape, got=prediction.shape
        )
    if not all(0 < step < math.inf for step in spacing):
        raise DataError("the spacing is out of range", expected="three lengths above 0", got=spacing)
    return distances_between(surface_voxels(prediction), surface_voxels(truth), spacing=spacing)


def surface_voxels(mask: NDArray[Any]) -> NDArray[np.int64]:
    """(K, 3) Z, Y and X of a mask's surface, by rising Z, Y, X.

    Args:
        mask: (Z, Y, X) bool, or uint8 with 0 and 1.
    """
    inside = np.pad(mask.astype(np.bool_), 1)
    core = inside[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            shifted = [slice(1, -1)] * 3
            shifted[axis] = slice(start, start + mask.shape[axis])
            core &= inside[tuple(shifted)]
    return np.argwhere(inside[1:-1, 1:-1, 1:-1] & ~core)


def distances_between(
    prediction: NDArray[np.int64], truth: NDArray[np.int64], *, spacing: Spacing = VOXELS
) -> SurfaceDistances:
    """As `surface_distances`, from the surfaces themselves.

    Args:
        prediction: (K, 3) as `surface_voxels` finds them.
        truth: The same of the other mask.
        spacing: Along Z, Y and X.
    """
    return SurfaceDistances(_nearest(prediction, truth, spacing), _nearest(truth, prediction, spacing))


def _nearest(queries: NDArray[np.int64], sources: NDArray[np.int64], spacing: Spacing) -> NDArray[np.float64]:
    """(K,) exact distance from each query to the nearest source; infinite where there is no source.

    One plane of constant Y after the other: the plane's own squared distances come from a scan along X and a minimum
    over Z; a query takes the least over planes of those plus its squared distance to the plane. A few planes far from
    each other come first: the distances to them bound the search in the rest. Memory is a block of planes.
    """
    if not len(queries) or not len(sources):
        return np.full(len(queries), np.inf)
    low = np.minimum(queries.min(axis=0), sources.min(axis=0))
    size = np.maximum(queries.max(axis=0), sources.max(axis=0)) - low + 1
    (z, y, x), places = (queries - low).T, sources - low
    places = places[np.argsort(places[:, 1], kind="stable")]
    planes, starts = np.unique(places[:, 1], return_index=True)
    ends = np.append(starts[1:], len(places))
    best = np.full(len(queries), np.inf)
    for block in _blocks(len(planes), int(size[0] * size[2])):
        seeds = np.zeros((len(block), int(size[0]), int(size[2])), dtype=np.bool_)
        for row, plane in enumerate(block):
            members = places[starts[plane] : ends[plane]]
            seeds[row, members[:, 0], members[:, 2]] = True
        squared = _squared_in_plane(seeds, spacing, float(best.max()))
        for row, plane in enumerate(block):
            apart = (np.abs(y - planes[plane]) * spacing[1]) ** 2
            open_ = np.flatnonzero(apart < best)
            best[open_] = np.minimum(best[open_], squared[row, z[open_], x[open_]] + apart[open_])
    distances: NDArray[np.float64] = np.sqrt(best)
    return distances


def _squared_in_plane(seeds: NDArray[np.bool_], spacing: Spacing, limit: float) -> NDArray[np.float64]:
    """(P, Z, X) squared distance of each voxel to the nearest seed of its plane; from `limit` on it may be larger."""
    _, depth, width = seeds.shape
    columns = np.arange(width, dtype=np.float64)
    left = np.maximum.accumulate(np.where(seeds, columns, -np.inf), axis=2)
    right = np.minimum.accumulate(np.where(seeds, columns, np.inf)[:, :, ::-1], axis=2)[:, :, ::-1]
    along = (np.minimum(columns - left, right - columns) * spacing[2]) ** 2
    best = along.copy()
    for shift in range(1, depth):
        apart = (shift * spacing[0]) ** 2
        if apart >= limit or apart >= best.max():
            break  # no farther slice can be nearer, or near enough
        np.minimum(best[:, shift:], along[:, :-shift] + apart, out=best[:, shift:])
        np.minimum(best[:, :-shift], along[:, shift:] + apart, out=best[:, :-shift])
    return best


def _blocks(planes: int, plane_values: int) -> Iterator[list[int]]:
    """Every 64th plane, then every 16th, 4th, and all, each once; in blocks that stay small."""
    length, done = max(1, _BLOCK_VALUES // plane_values), set[int]()
    for step in (64, 16, 4, 1):
        order = [plane for plane in range(0, planes, step) if plane not in done]
        done.update(order)
        yield from (order[start : start + length] for start in range(0, len(order), length))
