"""How well a T1 series fits FLAIR under a motion: normalised mutual information inside the head.

Both volumes are brought to ranks, so that each bin holds about as many of the head's voxels whatever the sequence's
contrast, and compared at positions off FLAIR's voxels, where both are interpolated: else a motion would be preferred
because it spares one of them that. On aligned patients this peaks within 0.3 mm (median) of the truth, where mutual
information of the whole picture in even bins peaks 1 to 6 mm off, drawn by the scalp's chemical shift.

Source: Studholme et al., An overlap invariant entropy measure of 3D medical image alignment, Pattern Recognition 1999,
eq. 12; bins are shared between two neighbours in proportion, so that the measure is continuous.

Legend: K slices, R rows, C columns; M positions inside the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.head import inside_head
from brainseg_runtime.studies.registration.resampling import coarser

BINS: Final = 32
_SPACING_MM: Final = 2.0
"""Spacing at which volumes are compared; axes that are coarser stay."""

_POSITIONS: Final = 20_000
"""About at how many positions."""

_LEAST_SHARED: Final = 0.15
"""Part of FLAIR's head that the other series must reach to be compared at all."""

_SEED: Final = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarity:
    """Two volumes to be compared under motions. Make one with `of`.

    Attributes:
        positions: (M, 3) LPS mm, spread over FLAIR's head.
        fixed_bins: (M,) bin of FLAIR there; -1 beyond its edges.
        moving: The T1 series, voxels as bins with fractions.
        centre: Centre of FLAIR's head, LPS mm.
        moving_centre: Centre of the T1's head, LPS mm.
    """

    positions: NDArray[np.float64]
    fixed_bins: NDArray[np.intp]
    moving: Volume
    centre: NDArray[np.float64]
    moving_centre: NDArray[np.float64]

    @classmethod
    def of(cls, moving: Volume, fixed: Volume) -> Self:
        """Two volumes in grey levels, air about 0.

        Args:
            moving: A T1 series.
            fixed: FLAIR.
        """
        target, source = coarser(fixed, _SPACING_MM), coarser(moving, _SPACING_MM)
        head, moving_head = inside_head(target.voxels), inside_head(source.voxels)
        inside = np.argwhere(head)
        some = inside[:: max(1, len(inside) // _POSITIONS)]
        positions = target.grid.positions(some + np.random.default_rng(_SEED).uniform(-0.5, 0.5, some.shape))
        bins, reached = sample(_as_bins(target, head), positions)
        return cls(
            positions=positions,
            fixed_bins=np.where(reached, np.rint(bins).astype(np.intp), -1),
            moving=_as_bins(source, moving_head),
            centre=_centre(target.grid, inside),
            moving_centre=_centre(source.grid, np.argwhere(moving_head)),
        )

    def at(self, matrix: NDArray[np.float64]) -> float:
        """Normalised mutual information under a motion.

        Args:
            matrix: (4, 4) float64; takes FLAIR's positions to the T1's.

        Returns:
            1 where the two are independent or share too little of the head, up to 2 where one tells the other.
        """
        values, reached = sample(self.moving, moved(self.positions, matrix))
        both = reached & (self.fixed_bins >= 0)
        if both.sum() < max(_LEAST_SHARED * len(both), BINS * BINS):
            return 1.0
        rows, values = self.fixed_bins[both] * BINS, values[both]
        low = np.minimum(values.astype(np.intp), BINS - 2)
        part = values - low
        counts = np.bincount(rows + low, 1 - part, BINS * BINS) + np.bincount(rows + low + 1, part, BINS * BINS)
        joint = counts.reshape(BINS, BINS) / counts.sum()
        whole = _entropy(joint)
        return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / whole if whole > 0 else 1.0

    def displacement(self, matrix: NDArray[np.float64]) -> float:
        """Mean displacement of the head's voxels, mm."""
        return float(np.linalg.norm(moved(self.positions, matrix) - self.positions, axis=1).mean())


def moved(positions: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions under a (4, 4) matrix.

    Examples:
        >>> moved(np.array([[1.0, 2.0, 3.0]]), np.diag([2.0, 2.0, 2.0, 1.0])).tolist()
        [[2.0, 4.0, 6.0]]
    """
    return np.asarray(positions @ matrix[:3, :3].T + matrix[:3, 3], np.float64)


def sample(volume: Volume, positions: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values at positions, linear between voxels.

    Args:
        volume: (K, R, C).
        positions: (M, 3) LPS mm.

    Returns:
        (M,) float32, beyond the edges the nearest voxel's, and (M,) whether the position is within the volume.
    """
    lengths = np.array(volume.voxels.shape)
    places = volume.grid.indices(positions)
    reached = ((places >= -0.5) & (places <= lengths - 0.5)).all(axis=1)
    places = np.clip(places, 0, lengths - 1)
    low = np.minimum(places.astype(np.intp), np.maximum(lengths - 2, 0))
    parts = (places - low).astype(np.float32)
    strides = np.array([lengths[1] * lengths[2], lengths[2], 1])
    steps = np.where(lengths > 1, strides, 0)  # the one slice of a volume is its own neighbour
    flat, first = volume.voxels.reshape(-1), low @ strides

    def between(axis: int, start: int) -> NDArray[np.float32]:
        if axis == 3:
            corner: NDArray[np.float32] = flat[first + start]
            return corner
        near = between(axis + 1, start)
        far = between(axis + 1, start + int(steps[axis]))
        return np.asarray(near + (far - near) * parts[:, axis], np.float32)

    return between(0, 0), np.asarray(reached)


def _as_bins(volume: Volume, head: NDArray[np.bool_]) -> Volume:
    """A volume's ranks among the head's voxels, 0 to BINS - 1, with fractions."""
    inside = volume.voxels[head] if head.any() else volume.voxels.ravel()
    edges = np.percentile(inside, np.linspace(0, 100, 2 * BINS + 1))
    edges = edges + np.arange(len(edges)) * 1e-4  # strictly growing, where many voxels share a value
    ranks = np.interp(volume.voxels, edges, np.linspace(0, BINS - 1, len(edges)))
    return Volume(voxels=np.ascontiguousarray(ranks, np.float32), grid=volume.grid)


def _entropy(share: NDArray[np.float64]) -> float:
    some = share[share > 0]
    return float(-(some * np.log(some)).sum())


def _centre(grid: Grid, indices: NDArray[np.intp]) -> NDArray[np.float64]:
    """The mean position of voxels; the grid's middle if there are none."""
    middle = (np.array(grid.shape) - 1) / 2
    return grid.positions(indices.mean(axis=0) if len(indices) else middle)
