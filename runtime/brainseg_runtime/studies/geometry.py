"""Where a volume's voxels lie in the patient: grids, and volumes on them.

Positions are in millimetres in DICOM's patient coordinates (LPS): x grows to the patient's left, y to the back,
z to the head. NIfTI files, whose x and y grow the other way, are turned on reading.

Legend: K slices, R rows, C columns; kji a voxel's index in that order; xyz a position.
Source: DICOM PS3.3 C.7.6.2.1.1 (the Image Plane module's mapping from index to position).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

SAME_MM: Final = 0.01
"""Largest distance at which two positions count as equal; headers carry five to seven digits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A regular grid of voxels.

    Attributes:
        shape: Slices, rows, columns.
        spacing: Distance in mm between the centres of neighbouring slices, rows, columns; each above 0.
        directions: (3, 3) float64; row i is the unit vector, in LPS, along which index i of an array grows.
        origin: (3,) float64; position of the centre of voxel (0, 0, 0), LPS mm.

    Examples:
        >>> grid = Grid(shape=(20, 256, 256), spacing=(5.0, 0.9, 0.9), directions=AXIAL, origin=np.zeros(3))
        >>> grid.positions(np.array([[1, 0, 2]])).round(1).tolist()
        [[1.8, 0.0, 5.0]]
        >>> round(grid.voxel_ml, 5)
        0.00405
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    directions: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing)) / 1000

    @property
    def steps(self) -> NDArray[np.float64]:
        """(3, 3) float64; row i is the step in mm, LPS, from a voxel to the next along index i."""
        return np.asarray(self.directions * np.array(self.spacing)[:, None], np.float64)

    def positions(self, indices_kji: ArrayLike) -> NDArray[np.float64]:
        """Positions of voxels.

        Args:
            indices_kji: (..., 3) indices of slice, row, column; fractions lie between voxels.

        Returns:
            (..., 3) float64, LPS mm.
        """
        return np.asarray(self.origin + np.asarray(indices_kji, np.float64) @ self.steps, np.float64)

    def indices(self, positions_xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Indices of positions, the inverse of `positions`.

        Args:
            positions_xyz: (..., 3) LPS mm.

        Returns:
            (..., 3) float64 indices of slice, row, column; outside the grid too.
        """
        return np.asarray((positions_xyz - self.origin) @ np.linalg.inv(self.steps), np.float64)

    def same_as(self, other: Grid, tolerance_mm: float = SAME_MM) -> bool:
        """Whether two grids have the same shape and all eight corners within a tolerance.

        Args:
            other: The other grid.
            tolerance_mm: Largest distance of a corner.
        """
        if self.shape != other.shape:
            return False
        distances = np.linalg.norm(self.corners() - other.corners(), axis=1)
        return bool(distances.max() <= tolerance_mm)

    def corners(self) -> NDArray[np.float64]:
        """(8, 3) float64; centres of the eight outermost voxels, LPS mm."""
        ends = [(0, length - 1) for length in self.shape]
        return self.positions(np.array([(k, j, i) for k in ends[0] for j in ends[1] for i in ends[2]], np.float64))


AXIAL: Final = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""Directions of an axial volume: slices from feet to head, rows from front to back, columns from right to left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """Voxel values on a grid.

    Attributes:
        voxels: (K, R, C) float32; any range, all finite.
        grid: Where they lie.
    """

    voxels: NDArray[np.float32]
    grid: Grid
