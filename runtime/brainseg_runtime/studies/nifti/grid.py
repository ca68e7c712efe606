"""Where the voxels of a NIfTI file lie: its sform or qform as a grid in LPS, if both agree and are sound.

The sform counts where both are set, as most readers have it. Where they name the axes differently, left and right
cannot be told, and the file is refused.

Source: the NIfTI-1 standard (nifti1.h), "3D image (volume) orientation and location in space", methods 1 to 3.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import GeometryError
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.nifti.fields import UNITS_MM, Fields

_SMALLEST_MM, _LARGEST_MM = 0.05, 50.0
_SHEAR: Final = 1e-3
"""Largest cosine between two axes that still counts as a right angle; headers are rounded to about 1e-6."""
_SPACINGS_AGREE: Final = 0.02
_AXES_AGREE: Final = 0.7
"""Smallest cosine between the sform's and the qform's direction of an axis: the same one of the body's axes."""
_SAID_MM: Final = 0.5
"""Distance from which a disagreement of the two orientations is worth telling."""
_HALF_TURN: Final = 1e-7
"""Square of the quaternion's first number below which it is 0: rounding can make it negative."""


def grid_of(fields: Fields, shape: tuple[int, int, int], where: str) -> tuple[Grid, bool, tuple[str, ...]]:
    """The grid in LPS, whether the header states an orientation, and what is worth telling.

    Args:
        fields: The header.
        shape: Slices, rows, columns.
        where: What the file is called in errors.

    Raises:
        GeometryError: Orientation or spacing is impossible, sheared, or stated twice and differently.
    """
    unit = UNITS_MM.get(fields.units & 7)
    if unit is None:
        raise GeometryError(f"{where} has an unknown unit of length", expected="m, mm or µm", got=fields.units & 7)
    spacing = np.abs(np.array(fields.pixdim[1:4], np.float64))
    if fields.dims[0] == 2 and not spacing[2] > 0:
        spacing[2] = 1.0  # one slice without a thickness
    qform = _qform(fields, spacing) if fields.codes[0] > 0 else None
    sform = np.array(fields.rows, np.float64).reshape(3, 4) if fields.codes[1] > 0 else None
    oriented = qform is not None or sform is not None
    affine = sform if sform is not None else qform
    if affine is None:
        affine = np.column_stack([np.diag(spacing), -spacing * (np.array(shape[::-1]) - 1) / 2])
    grid = _checked(affine * unit, shape, where)
    if sform is not None and qform is not None:
        return grid, oriented, _both(grid, _checked(qform * unit, shape, where), where)
    if sform is not None:
        _same_spacing(grid, spacing * unit, where)
    notes = () if oriented else (f"{where} states no orientation, so left and right are a guess",)
    return grid, oriented, notes


def _qform(fields: Fields, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 4) float64, from index to RAS, as the quaternion says."""
    b, c, d = fields.quaternion[:3]
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < _HALF_TURN:  # a half turn, whose rounding may make this negative
        length = math.sqrt(b * b + c * c + d * d) or 1.0
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = math.sqrt(rest)
    rotation = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    steps = rotation * spacing
    if fields.pixdim[0] < 0:
        steps[:, 2] *= -1
    return np.column_stack([steps, fields.quaternion[3:]])


def _checked(affine_ras: NDArray[np.float64], shape: tuple[int, int, int], where: str) -> Grid:
    """A grid from a matrix, if its axes are finite, of a sensible length and at right angles."""
    if not np.isfinite(affine_ras).all():
        raise GeometryError(f"{where} has a faulty orientation", expected="finite numbers", got="infinity or none")
    affine = affine_ras * np.array([[-1.0], [-1.0], [1.0]])
    steps = affine[:, :3].T[::-1]  # rows: slices, rows, columns
    spacing = np.linalg.norm(steps, axis=1)
    shown = " x ".join(f"{value:.4g}" for value in spacing)
    if not (spacing.min() >= _SMALLEST_MM and spacing.max() <= _LARGEST_MM):
        raise GeometryError(
            f"{where} has an impossible spacing", expected=f"{_SMALLEST_MM} to {_LARGEST_MM} mm", got=f"{shown} mm"
        )
    directions = steps / spacing[:, None]
    cosines = np.abs(directions @ directions.T - np.eye(3)).max()
    if cosines > _SHEAR:
        raise GeometryError(
            f"{where} has axes that are not at right angles", expected="an orientation without shear",
            got=f"{math.degrees(math.asin(min(1.0, cosines))):.2f} degrees off",
            remedy="resample it to a regular grid, or use the file before it was transformed",
        )  # fmt: skip
    return Grid(shape=shape, spacing=_three(spacing), directions=directions, origin=affine[:, 3].copy())


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Three numbers."""
    return float(values[0]), float(values[1]), float(values[2])


def _same_spacing(grid: Grid, spacing: NDArray[np.float64], where: str) -> None:
    """Refuse a matrix whose spacing is not the one that the header states: volumes in ml would be wrong."""
    stated = np.where(spacing > 0, spacing, np.array(grid.spacing[::-1]))
    if np.abs(np.array(grid.spacing[::-1]) / stated - 1).max() > _SPACINGS_AGREE:
        raise GeometryError(
            f"{where} states two spacings", expected="its sform's spacing and pixdim to agree",
            got=f"{_shown(grid.spacing[::-1])} mm and {_shown(_three(stated))} mm",
            remedy="correct the header, or use the file before it was transformed",
        )  # fmt: skip


def _shown(values: tuple[float, float, float]) -> str:
    """Three lengths."""
    return " x ".join(f"{value:.4g}" for value in values)


def _both(sform: Grid, qform: Grid, where: str) -> tuple[str, ...]:
    """Refuse two orientations that name the axes differently; tell of a smaller disagreement."""
    if np.sum(sform.directions * qform.directions, axis=1).min() < _AXES_AGREE:
        raise GeometryError(
            f"{where} states two orientations", expected="its sform and qform to agree",
            got="axes that point elsewhere, so left and right cannot be told",
            remedy="find out which is right, and write it into both",
        )  # fmt: skip
    _same_spacing(sform, np.array(qform.spacing[::-1]), where)
    apart = float(np.linalg.norm(sform.corners() - qform.corners(), axis=1).max())
    if apart <= _SAID_MM:
        return ()
    return (f"{where}: sform and qform differ by up to {apart:.1f} mm; the sform is used",)
