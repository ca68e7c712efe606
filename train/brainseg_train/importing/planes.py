"""A mask as planes in the patient, and the same mask on a grid, voxel on voxel.

A mask is never resampled to find its place: its voxels are those of a series that the study has, possibly in another
order of axes, or it is refused.

Legend: R rows, C columns of a plane; K slices, R rows, C columns of a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid

_OFF: Final = 0.05
"""Part of a voxel by which a mask's voxels may lie beside the grid's: headers' rounding, and no more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """One slice of a mask.

    Attributes:
        marked: (R, C) bool.
        origin: (3,) float64; centre of pixel (0, 0), LPS mm.
        row_step: (3,) float64; from a pixel to the one in the next row, mm.
        column_step: (3,) float64; from a pixel to the one in the next column, mm.
    """

    marked: NDArray[np.bool_]
    origin: NDArray[np.float64]
    row_step: NDArray[np.float64]
    column_step: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskPlanes:
    """A mask as its file has it.

    Attributes:
        planes: Its slices.
        values: The labels or segments that the file has, in order, as text.
        depth_step: (3,) float64; from a slice to the next, mm; None if each slice has a place of its own.
        frame_of_reference: FrameOfReferenceUID; "" if the file names none.
        series: SeriesInstanceUIDs of the images that the file says it was drawn on.
    """

    planes: Sequence[Plane]
    values: tuple[str, ...]
    depth_step: NDArray[np.float64] | None = None
    frame_of_reference: str = ""
    series: frozenset[str] = frozenset()


def on_grid(mask: MaskPlanes, grid: Grid) -> NDArray[np.uint8] | None:
    """A mask on a grid.

    Args:
        mask: The mask.
        grid: A series' grid.

    Returns:
        (K, R, C) uint8, 0 or 1; None if its voxels are not voxels of the grid.

    Examples:
        >>> from brainseg_runtime.studies.geometry import AXIAL
        >>> grid = Grid(shape=(1, 2, 2), spacing=(5.0, 1.0, 1.0), directions=AXIAL, origin=np.zeros(3))
        >>> upside_down = Plane(
        ...     marked=np.array([[False, True], [False, False]]),
        ...     origin=np.array([0.0, 1.0, 0.0]),
        ...     row_step=np.array([0.0, -1.0, 0.0]),
        ...     column_step=np.array([1.0, 0.0, 0.0]),
        ... )
        >>> on_grid(MaskPlanes(planes=[upside_down], values=("1",)), grid).tolist()
        [[[0, 0], [0, 1]]]
    """
    made = np.zeros(grid.shape, np.uint8)
    for plane in mask.planes:
        steps = [plane.row_step, plane.column_step, *([] if mask.depth_step is None else [mask.depth_step])]
        whole = _along_axes(np.stack(steps), grid)
        first = grid.indices(plane.origin)
        if whole is None or not _near(plane, first, whole, grid):
            return None
        marked = np.argwhere(plane.marked)
        indices = np.rint(first).astype(np.int64) + marked @ whole[:2]
        if np.any(indices < 0) or np.any(indices >= np.array(grid.shape)):
            return None
        made[tuple(indices.T)] = 1
    return made


def _along_axes(steps: NDArray[np.float64], grid: Grid) -> NDArray[np.int64] | None:
    """Steps in voxels of the grid, whole numbers; None unless each leads to the next voxel along an axis of its own.

    A grid of one slice has no next voxel across it, so a mask's own distance of slices is not held against it.
    """
    in_voxels = steps @ np.linalg.inv(grid.steps)
    whole = np.rint(in_voxels[:2]).astype(np.int64)
    axes = np.abs(whole).argmax(axis=1)
    if np.any(np.abs(whole).sum(axis=1) != 1) or axes[0] == axes[1]:
        return None
    if len(steps) > 2:
        across = 3 - int(axes.sum())
        depth = in_voxels[2]
        if grid.shape[across] > 1 and (
            abs(abs(depth[across]) - 1) * grid.shape[across] > _OFF or np.abs(np.delete(depth, across)).max() > _OFF
        ):
            return None
    return whole


def _near(plane: Plane, first: NDArray[np.float64], whole: NDArray[np.int64], grid: Grid) -> bool:
    """Whether all four corners of a plane lie on voxels of the grid, or on what would be its continuation."""
    last_row, last_column = (length - 1 for length in plane.marked.shape)
    for row, column in ((0, 0), (last_row, 0), (0, last_column), (last_row, last_column)):
        there = grid.indices(plane.origin + row * plane.row_step + column * plane.column_step)
        expected = np.rint(first) + np.array([row, column]) @ whole
        if np.abs(there - expected).max() > _OFF:
            return False
    return True
