"""Studies in memory: volumes given as the series of a study, without files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.series import Role, Series, SeriesHeader
from brainseg_runtime.studies.study import Choice, Study
from tests.studies_made.shapes import made_head


def head_on(
    grid: Grid, *, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), size: float = 0.85
) -> dict[Role, Volume]:
    """The made head on a grid, in the scanner's values, by role."""
    head = made_head(grid, size=size, shift_mm=shift_mm)
    return {
        "pre": Volume(voxels=head.pre.astype(np.float32), grid=grid),
        "flair": Volume(voxels=head.flair.astype(np.float32), grid=grid),
        "post": Volume(voxels=head.post.astype(np.float32), grid=grid),
    }


def study_of(
    volumes: Mapping[Role, Volume], *, frames: Mapping[Role, str] | None = None, warnings: tuple[str, ...] = ()
) -> Study:
    """A study whose series give these volumes; `frames` are their frames of reference."""
    choices = []
    for number, (role, volume) in enumerate(volumes.items(), 1):
        series = Series(
            uid=f"1.2.3.{number}", source="dicom", header=SeriesHeader(modality="MR", number=number), grid=volume.grid,
            frame_of_reference=(frames or {}).get(role, "1.2"), load=partial(_given, volume),
        )  # fmt: skip
        choices.append(Choice(series=series, role=role, reason="by hand"))
    return Study(
        uid="1.2.3", name="1.2.3", source="dicom", choices=tuple(choices), warnings=warnings, root=Path("made")
    )


def _given(volume: Volume) -> Volume:
    return volume


def as_image(volume: Volume) -> SimpleITK.Image:
    """A volume as SimpleITK's image, written out here so that the runtime's own way is not its own proof."""
    grid = volume.grid
    image = SimpleITK.GetImageFromArray(volume.voxels)
    image.SetSpacing((grid.spacing[2], grid.spacing[1], grid.spacing[0]))
    image.SetOrigin(tuple(map(float, grid.origin)))
    image.SetDirection([float(grid.directions[axis, row]) for row in range(3) for axis in (2, 1, 0)])
    return image


def by_simpleitk(volume: Volume, grid: Grid, transform: SimpleITK.Transform | None = None) -> NDArray[np.float32]:
    """A volume on another grid, as SimpleITK resamples it."""
    target = as_image(Volume(voxels=np.zeros(grid.shape, np.float32), grid=grid))
    image = SimpleITK.Resample(
        as_image(volume), target, transform or SimpleITK.Transform(3, SimpleITK.sitkIdentity), SimpleITK.sitkLinear
    )
    return np.asarray(SimpleITK.GetArrayFromImage(image), np.float32)
