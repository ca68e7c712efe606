"""Series with a header and a grid, without files: enough to give out roles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.geometry import AXIAL, Grid, Volume
from brainseg_runtime.studies.series import Series, SeriesHeader

Plane = Literal["axial", "sagittal", "coronal"]
_TURNED = {"axial": (0, 1, 2), "sagittal": (2, 0, 1), "coronal": (1, 0, 2)}

FLAIR = SeriesHeader(
    modality="MR", description="AX FLAIR", scanning_sequence=("SE", "IR"), repetition_ms=9000, echo_ms=90,
    inversion_ms=2500, image_type=("ORIGINAL", "PRIMARY"),
)  # fmt: skip
T1 = SeriesHeader(
    modality="MR", description="AX T1", scanning_sequence=("SE",), repetition_ms=500, echo_ms=10,
    image_type=("ORIGINAL", "PRIMARY"),
)  # fmt: skip
MPRAGE = replace(
    T1, description="SAG MPRAGE", scanning_sequence=("GR", "IR"), repetition_ms=2000, echo_ms=2.5, inversion_ms=900
)


def made_series(
    header: SeriesHeader,
    number: int,
    *,
    plane: Plane = "axial",
    at: float | None = None,
    fault: Exception | None = None,
    slices: int = 24,
    **changes: object,
) -> Series:
    """A series of a head of 230 mm; `at` is its time in s, `changes` replace fields of the header."""
    header = replace(header, number=number, acquired=at, **changes)  # type: ignore[arg-type]
    directions = AXIAL[list(_TURNED[plane])]
    half = np.array([slices * 2.5, 115.0, 115.0])
    grid = Grid(shape=(slices, 256, 256), spacing=(5.0, 0.9, 0.9), directions=directions, origin=-half @ directions)
    return Series(
        uid=f"1.2.3.{number}", source="dicom", header=header, grid=None if fault else grid, frame_of_reference="1.2",
        paths=(Path(f"study/{number}/1.dcm"),), load=_load, fault=fault,
    )  # fmt: skip


def _load() -> NoReturn:
    """Roles never need pixels."""
    raise StudyError("pixels were read")


__all__ = ["FLAIR", "MPRAGE", "T1", "Volume", "made_series"]
