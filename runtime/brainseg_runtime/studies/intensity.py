"""Voxel values to grey levels as the training data has them: linear, 0 for air, 255 for about the brightest voxel.

Legend: K slices, R rows, C columns.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.geometry import Volume

WHITE: Final = 255.0
"""Grey level of the brightest tissue."""

BRIGHT: Final = 99.5
"""Percentile of the voxels other than air that stands for bright tissue."""

HEADROOM: Final = 2.75
"""Most that grey level 255 may be of the value of bright tissue.

The training data is scaled to a volume's maximum, which is 1.25 to 2.6 times the percentile in 95 of 100 volumes. Where
it is more, single voxels, such as a vessel or metal, would make all tissue dark.
"""

_DARK: Final = 0.5
"""Percentile that stands for the darkest voxels, without single dark ones."""

_NEAR_ZERO: Final = 0.1
"""Part of bright tissue within which the darkest voxels count as 0: noise, ringing, rounding."""

_FAR_FROM_ZERO: Final = 0.25
"""Part of bright tissue above which the darkest voxels are an offset; grey matter in a volume without air is below."""

_MANY: Final = 0.01
"""Part of the voxels that must share one value for it to be a background that something filled in."""


def grey_levels(volume: Volume, name: str) -> Volume:
    """A volume in grey levels.

    A volume of whole numbers from 0 to at most 255, of which the highest is at least 128, is in grey levels already and
    is returned as it is. Otherwise the scale is linear, from air to the volume's maximum, or to `HEADROOM` times its
    bright tissue if that is lower. Air is 0, unless the darkest voxels are far from it (an offset); a padding value
    becomes 0 too.

    Args:
        volume: Any range.
        name: What an error calls the volume, such as "FLAIR".

    Returns:
        (K, R, C) float32, 0 to 255, not rounded, on the same grid.

    Raises:
        StudyError: A voxel is not a number, all are equal, or the values are standardised around an air of 0.

    Examples:
        >>> from brainseg_runtime.studies.geometry import AXIAL, Grid
        >>> grid = Grid(shape=(1, 1, 3), spacing=(1.0, 1.0, 1.0), directions=AXIAL, origin=np.zeros(3))
        >>> grey_levels(Volume(voxels=np.array([[[0, 500, 1000]]], np.float32), grid=grid), "FLAIR").voxels.tolist()
        [[[0.0, 127.5, 255.0]]]
    """
    voxels = volume.voxels
    low, high = float(voxels.min()), float(voxels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _unusable(name, "has voxels that are not numbers", "finite values", "NaN or infinity")
    if low == high:
        raise _unusable(name, "is blank", "voxels that differ", f"{low:g} in every voxel")
    if low >= 0 and 128 <= high <= WHITE and _whole(voxels):
        return volume
    above = voxels - np.float32(_air(voxels, name))
    above[voxels == _padding(voxels)] = 0
    bright = above[above > 0]
    top = min(float(bright.max()), HEADROOM * float(np.percentile(bright, BRIGHT)))
    above *= np.float32(WHITE / top)
    return Volume(voxels=np.clip(above, 0, WHITE, out=above), grid=volume.grid)


def _air(voxels: NDArray[np.float32], name: str) -> float:
    """The value of air: 0, or where the darkest voxels are far from it, theirs or the padding's."""
    padding = _padding(voxels)
    if padding is not None and not padding.is_integer():
        return padding  # no scanner pads with a fraction: it is the air of a volume that was standardised as a whole
    rest = voxels.ravel() if padding is None else voxels[voxels != padding]
    dark, bright = (float(value) for value in np.percentile(rest, [_DARK, BRIGHT]))
    if abs(dark) <= _NEAR_ZERO * max(bright, 0):
        return 0.0
    if padding is not None and dark - padding <= bright - dark:  # else it lies outside the scale, as -32768 does
        return padding
    if dark < 0 and float((voxels == 0).mean()) >= _MANY:
        raise _unusable(
            name, "has standardised values around an air of 0", "values in which air is the darkest",
            f"values from {dark:g} to {bright:g} with air at 0",
            remedy="give the volume as the scanner or its converter wrote it",
        )  # fmt: skip
    return dark if dark < 0 or dark > _FAR_FROM_ZERO * bright else 0.0


def _padding(voxels: NDArray[np.float32]) -> float | None:
    """The lowest value, if it is not 0 and so many voxels have it that something filled it in."""
    lowest = float(voxels.min())
    return lowest if lowest != 0 and float((voxels == lowest).mean()) >= _MANY else None


def _whole(voxels: NDArray[np.float32]) -> bool:
    """Whether all values are whole numbers."""
    return bool((voxels == np.rint(voxels)).all())


def _unusable(name: str, what: str, expected: str, got: str, remedy: str = "leave the series out") -> StudyError:
    """The error of a volume that cannot be scaled."""
    return StudyError(f"{name} {what}", expected=expected, got=got, remedy=remedy)
