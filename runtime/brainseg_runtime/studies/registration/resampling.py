"""Volumes on other grids, and as SimpleITK's images.

Legend: K slices, R rows, C columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.studies.geometry import Grid, Volume

if TYPE_CHECKING:
    from types import ModuleType

    import SimpleITK

_MOST_SAMPLES: Final = 8
"""Most positions along an axis whose mean a voxel is: enough for 8 mm slices of a 1 mm volume."""

_MOST_VOXELS: Final = 1 << 27
"""Most voxels of the finer grid: half a gigabyte."""


def simpleitk() -> ModuleType:
    """SimpleITK, imported when it is needed.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise MissingExtraError("SimpleITK is not installed", remedy=install_remedy("study")) from error
    return SimpleITK


def image_of(volume: Volume) -> SimpleITK.Image:
    """A volume as an image, whose axes are columns, rows, slices."""
    image: SimpleITK.Image = simpleitk().GetImageFromArray(np.ascontiguousarray(volume.voxels, np.float32))
    image.SetSpacing(volume.grid.spacing[::-1])
    image.SetOrigin(volume.grid.origin.tolist())
    image.SetDirection(_directions(volume.grid))
    return image


def transform_of(matrix: NDArray[np.float64]) -> SimpleITK.AffineTransform:
    """A (4, 4) matrix as a transform of points."""
    transform: SimpleITK.AffineTransform = simpleitk().AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def resample(volume: Volume, grid: Grid, matrix: NDArray[np.float64], *, outside: float = 0.0) -> Volume:
    """A volume on another grid, linear between voxels; a voxel that covers several is their mean.

    Args:
        volume: (K, R, C).
        grid: The grid wanted.
        matrix: (4, 4) float64; takes a position of the grid to the volume's, LPS mm.
        outside: Value beyond the volume's edges.

    Returns:
        float32 on `grid`; the volume itself if that is its grid and the matrix is the identity.

    Raises:
        MissingExtraError: SimpleITK is not installed.

    Examples:
        >>> from brainseg_runtime.studies.geometry import AXIAL
        >>> grid = Grid(shape=(1, 2, 2), spacing=(5.0, 1.0, 1.0), directions=AXIAL, origin=np.zeros(3))
        >>> volume = Volume(voxels=np.array([[[0, 1], [2, 3]]], np.float32), grid=grid)
        >>> half = Grid(shape=(1, 1, 1), spacing=(5.0, 1.0, 1.0), directions=AXIAL, origin=np.array([0.5, 0.5, 0.0]))
        >>> resample(volume, half, np.eye(4)).voxels.tolist()
        [[[1.5]]]
    """
    if volume.grid.same_as(grid, tolerance_mm=1e-4) and np.array_equal(matrix, np.eye(4)):
        return volume
    counts = _samples(volume.grid, grid, matrix)
    finer = _refined(grid, counts)
    itk = simpleitk()
    filter_ = itk.ResampleImageFilter()
    filter_.SetSize(finer.shape[::-1])
    filter_.SetOutputSpacing(finer.spacing[::-1])
    filter_.SetOutputOrigin(finer.origin.tolist())
    filter_.SetOutputDirection(_directions(finer))
    filter_.SetTransform(transform_of(matrix))
    filter_.SetInterpolator(itk.sitkLinear)
    filter_.SetDefaultPixelValue(outside)
    voxels = itk.GetArrayFromImage(filter_.Execute(image_of(volume)))
    return Volume(voxels=_block_means(voxels, counts), grid=grid)


def coarser(volume: Volume, spacing_mm: float) -> Volume:
    """A volume of about a spacing along each axis that is finer, by means over blocks; other axes stay.

    Args:
        volume: (K, R, C).
        spacing_mm: About the new distance of voxels.
    """
    grid = volume.grid
    counts = [
        min(length, max(1, round(spacing_mm / step))) for length, step in zip(grid.shape, grid.spacing, strict=True)
    ]
    shape = tuple(length // count for length, count in zip(grid.shape, counts, strict=True))
    kept = volume.voxels[tuple(slice(0, length * count) for length, count in zip(shape, counts, strict=True))]
    steps = tuple(step * count for step, count in zip(grid.spacing, counts, strict=True))
    first = grid.positions([(count - 1) / 2 for count in counts])
    wider = Grid(
        shape=(shape[0], shape[1], shape[2]), spacing=(steps[0], steps[1], steps[2]),
        directions=grid.directions, origin=first,
    )  # fmt: skip
    return Volume(voxels=_block_means(kept, (counts[0], counts[1], counts[2])), grid=wider)


def _directions(grid: Grid) -> list[float]:
    """The directions as SimpleITK has them: columns of the matrix, in the order columns, rows, slices."""
    return [float(value) for value in grid.directions[::-1].T.ravel()]


def _samples(source: Grid, target: Grid, matrix: NDArray[np.float64]) -> tuple[int, int, int]:
    """How many source voxels a target voxel spans along each of its axes, at least 1."""
    steps = target.steps @ matrix[:3, :3].T @ np.linalg.inv(source.steps)  # target steps in source voxels
    counts = [int(np.clip(round(float(np.abs(step).max())), 1, _MOST_SAMPLES)) for step in steps]
    while np.prod(counts) * np.prod(target.shape) > _MOST_VOXELS and max(counts) > 1:
        counts[int(np.argmax(counts))] -= 1
    return counts[0], counts[1], counts[2]


def _refined(grid: Grid, counts: tuple[int, int, int]) -> Grid:
    """A grid with several positions in each voxel along each axis, evenly spread over it."""
    if counts == (1, 1, 1):
        return grid
    shape = tuple(length * count for length, count in zip(grid.shape, counts, strict=True))
    steps = tuple(step / count for step, count in zip(grid.spacing, counts, strict=True))
    first = grid.positions([(1 / count - 1) / 2 for count in counts])
    return Grid(
        shape=(shape[0], shape[1], shape[2]), spacing=(steps[0], steps[1], steps[2]),
        directions=grid.directions, origin=first,
    )  # fmt: skip


def _block_means(voxels: NDArray[np.float32], counts: tuple[int, int, int]) -> NDArray[np.float32]:
    """Means over blocks of voxels; the shape is a multiple of the counts."""
    for axis, count in enumerate(counts):
        if count > 1:
            shape = (*voxels.shape[:axis], voxels.shape[axis] // count, count, *voxels.shape[axis + 1 :])
            voxels = voxels.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return np.ascontiguousarray(voxels)
