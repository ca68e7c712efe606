"""Arrays and grids for made studies: a small head, and one volume seen as other acquisitions.

Legend: K slices, R rows, C columns. Positions in mm, LPS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brainseg_runtime.studies.geometry import AXIAL, Grid

Array = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class MadeHead:
    """A head in three sequences; whole numbers from 0 to 1000 or so, int32, (K, R, C)."""

    pre: NDArray[np.int32]
    flair: NDArray[np.int32]
    post: NDArray[np.int32]
    lesion: NDArray[np.bool_]


def axial_grid(
    shape: tuple[int, int, int],
    *,
    spacing: tuple[float, float, float] = (5.0, 0.9, 0.9),
    centre: ArrayLike = (0.0, 0.0, 0.0),
) -> Grid:
    """An axial grid around a centre, LPS mm; slices run to the head, rows to the back, columns to the left."""
    grid = Grid(shape=shape, spacing=spacing, directions=AXIAL, origin=np.zeros(3))
    middle = grid.positions((np.array(shape) - 1) / 2)
    return replace(grid, origin=np.asarray(centre, np.float64) - middle)


def turned(grid: Grid, *, degrees: tuple[float, float, float]) -> Grid:
    """The grid turned about its centre around x, y, z in turn: an oblique acquisition, or a tilted head."""
    x, y, z = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    rotation = about_z @ about_y @ about_x
    centre = grid.positions((np.array(grid.shape) - 1) / 2)
    made = replace(grid, directions=grid.directions @ rotation.T)
    return replace(made, origin=centre - (made.positions((np.array(grid.shape) - 1) / 2) - made.origin))


def seen_along(
    voxels: NDArray[np.generic], grid: Grid, axes: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> tuple[Array, Grid]:
    """The same voxels at the same positions, stored with other axes: new axis i is old axis `axes[i]`, maybe flipped.

    Args:
        voxels: (K, R, C).
        grid: Of the voxels.
        axes: Which old axis becomes slices, rows, columns.
        flipped: Which new axes run the other way.
    """
    steps = grid.directions[list(axes)]
    start = [0, 0, 0]
    for new, old in enumerate(axes):
        if flipped[new]:
            start[old] = grid.shape[old] - 1
    made = np.transpose(voxels, axes)
    made = made[tuple(slice(None, None, -1 if each else 1) for each in flipped)]
    signs = np.where(flipped, -1.0, 1.0)[:, None]
    return np.ascontiguousarray(made), Grid(
        shape=(made.shape[0], made.shape[1], made.shape[2]),
        spacing=(grid.spacing[axes[0]], grid.spacing[axes[1]], grid.spacing[axes[2]]),
        directions=steps * signs,
        origin=grid.positions(start),
    )


def as_acquired(
    voxels: NDArray[np.generic], grid: Grid, plane: Literal["axial", "sagittal", "coronal"]
) -> tuple[Array, Grid]:
    """An axial volume (K to the head, R to the back, C to the left) as a scanner would store it in another plane."""
    if plane == "sagittal":  # slices right to left, rows head to feet, columns front to back
        return seen_along(voxels, grid, (2, 0, 1), (False, True, False))
    if plane == "coronal":  # slices front to back, rows head to feet, columns right to left
        return seen_along(voxels, grid, (1, 0, 2), (False, True, False))
    return np.asarray(voxels), grid


def made_head(grid: Grid, *, seed: int = 0, size: float = 0.85, shift_mm: ArrayLike = (0.0, 0.0, 0.0)) -> MadeHead:
    """An ellipsoid of a head with a lesion, drawn in the patient's coordinates.

    On any grid around the same centre it is the same head, so series on different grids belong together.

    Args:
        grid: Where to draw it.
        seed: Of the noise and the lesion's place.
        size: Part of the field of view that the head fills.
        shift_mm: How far the patient has moved.
    """
    rng = np.random.default_rng(seed)
    positions = grid.positions(np.moveaxis(np.indices(grid.shape), 0, -1)) - np.asarray(shift_mm, np.float64)
    half = np.array([70.0, 90.0, 75.0]) * size / 0.85
    radius = np.linalg.norm(positions / half, axis=-1)
    ripples = np.sin(positions[..., 0] / 7.0) + np.sin(positions[..., 1] / 9.0 + 1) + np.sin(positions[..., 2] / 8.0)
    brain, scalp = radius < 0.85, (radius >= 0.93) & (radius < 1.0)
    white = brain & (ripples > 0.3)
    fluid = np.linalg.norm((positions - [0, 0, 5]) / [14, 30, 18], axis=-1) < 1
    centre = np.array([30.0, rng.uniform(-35, 35), 15.0])
    lesion = np.linalg.norm((positions - centre) / [16, 18, 15], axis=-1) < 1
    rim = lesion & (np.linalg.norm((positions - centre) / [10, 11, 9], axis=-1) > 0.7)
    made: dict[str, NDArray[np.int32]] = {}
    signals = {
        "pre": (420, 600, 150, 850, 330),
        "flair": (480, 400, 90, 650, 900),
        "post": (440, 620, 160, 870, 350),
    }
    for name, (grey, pale, water, fat, ill) in signals.items():
        values = np.zeros(grid.shape)
        for where, value in ((brain, grey), (white, pale), (fluid, water), (scalp, fat), (lesion, ill)):
            values[where] = value
        if name == "post":
            values[rim] = 950
        noisy = np.hypot(values + rng.normal(0, 15, grid.shape), rng.normal(0, 15, grid.shape))
        made[name] = np.rint(noisy).astype(np.int32)
    return MadeHead(pre=made["pre"], flair=made["flair"], post=made["post"], lesion=lesion)
