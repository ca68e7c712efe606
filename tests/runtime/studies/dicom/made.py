"""What the tests of DICOM series share: a small head, and reading one folder's only series."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from brainseg_runtime.studies.dicom.finding import find
from brainseg_runtime.studies.dicom.series import read_studies
from brainseg_runtime.studies.series import Series
from tests.studies_made.shapes import axial_grid, made_head, turned

GRID: Final = turned(axial_grid((6, 40, 48), spacing=(5.0, 4.5, 4.0), centre=(3, -20, 12)), degrees=(12, -5, 8))
"""Oblique, with pixels that are not square."""

VOXELS: Final = made_head(GRID).flair


def all_series(folder: Path) -> list[Series]:
    """The series below a folder, in order."""
    return [series for study in read_studies(find(folder).dicom)[0] for series in study.series]


def only_series(folder: Path) -> Series:
    """The only series below a folder."""
    (series,) = all_series(folder)
    return series
