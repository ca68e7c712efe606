"""What a study holds: its series, and why each is used or not, to be seen before anything is segmented.

`inspect_study` says it even where the roles cannot be given out, so that they can be chosen by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.reading import FoundStudy
from brainseg_runtime.studies.roles.choice import ByHand, choose
from brainseg_runtime.studies.roles.sequences import what_is
from brainseg_runtime.studies.series import Role, Series
from brainseg_runtime.studies.study import Choice

_PLANES: Final = ("sagittal", "coronal", "axial")
"""By the patient's axis, x, y or z, that the slices' normal is nearest to."""
_OBLIQUE_DEG: Final = 10.0
"""Angle between the normal and that axis from which a series is called oblique."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectedSeries:
    """One series.

    Attributes:
        uid: SeriesInstanceUID; for NIfTI the path.
        number: SeriesNumber, or null.
        description: SeriesDescription; for NIfTI the file's name.
        modality: Such as "MR"; "" for NIfTI.
        role: What it is used as; null if it is left out.
        reason: Why.
        plane: How its slices lie, such as "axial" or "sagittal, oblique"; null if its geometry is faulty.
        shape: Slices, rows, columns; null if its geometry is faulty.
        spacing_mm: Between slices, rows, columns; null if its geometry is faulty.
        frame_of_reference: FrameOfReferenceUID; "" if there is none.
        files: How many.
        notes: What was handled on reading.
        fault: Why it cannot be used, or null.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    role: Role | None
    reason: str
    plane: str | None
    shape: tuple[int, int, int] | None
    spacing_mm: tuple[float, float, float] | None
    frame_of_reference: str
    files: int
    notes: tuple[str, ...]
    fault: Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """The series of a study, with their roles.

    Attributes:
        series: In the order given.
        warnings: What a reader must know before trusting a mask.
        error: Why the study cannot be segmented as it is; None if it can.
    """

    series: tuple[InspectedSeries, ...]
    warnings: tuple[str, ...]
    error: BrainsegError | None


def inspect_series(
    series: Sequence[Series], *, flair: ByHand = None, pre: ByHand = None, post: ByHand = None
) -> Inspected:
    """Say of each series of a study whether it is used, and why.

    Args:
        series: All series of one study.
        flair: FLAIR by hand, as `choose` takes it.
        pre: T1 before contrast by hand.
        post: T1 after contrast by hand.

    Returns:
        Every series, also where the roles cannot be given out; then none has a role, and `error` says why.
    """
    return _told(series, partial(choose, series, flair=flair, pre=pre, post=post))


def inspect_study(found: FoundStudy, *, flair: ByHand = None, pre: ByHand = None, post: ByHand = None) -> Inspected:
    """Say of each series of a study whether it is used, and why, as segmenting it would.

    Args:
        found: The study.
        flair: FLAIR by hand, as `FoundStudy.read` takes it.
        pre: T1 before contrast by hand.
        post: T1 after contrast by hand.

    Returns:
        As `inspect_series`.
    """

    def read() -> tuple[tuple[Choice, ...], tuple[str, ...]]:
        study = found.read(flair=flair, pre=pre, post=post)
        return study.choices, study.warnings

    return _told(found.series, read)


def _told(series: Sequence[Series], give_roles: Callable[[], tuple[tuple[Choice, ...], tuple[str, ...]]]) -> Inspected:
    """Every series with its role, or with what it is where no roles can be given out."""
    try:
        choices, warnings = give_roles()
    except BrainsegError as error:
        reasons = [(each, what_is(each.header).reason) for each in series]
        found = tuple(_inspected(each, None, reason) for each, reason in reasons)
        return Inspected(series=found, warnings=(), error=error)
    found = tuple(_inspected(each.series, each.role, each.reason) for each in choices)
    return Inspected(series=found, warnings=warnings, error=None)


def plane_of(grid: Grid) -> str:
    """How a grid's slices lie.

    Args:
        grid: The grid.

    Examples:
        >>> from brainseg_runtime.studies.geometry import AXIAL
        >>> plane_of(Grid(shape=(20, 256, 256), spacing=(5.0, 0.9, 0.9), directions=AXIAL, origin=np.zeros(3)))
        'axial'
    """
    normal = np.abs(np.cross(grid.directions[1], grid.directions[2]))
    axis = int(np.argmax(normal))
    oblique = np.rad2deg(np.arccos(min(float(normal[axis]), 1.0))) >= _OBLIQUE_DEG
    return f"{_PLANES[axis]}, oblique" if oblique else _PLANES[axis]


def _inspected(series: Series, role: Role | None, reason: str) -> InspectedSeries:
    """One series as it is shown."""
    grid = series.grid
    fault = series.fault
    return InspectedSeries(
        uid=series.uid,
        number=series.header.number,
        description=series.header.description,
        modality=series.header.modality,
        role=role,
        reason=reason,
        plane=None if grid is None else plane_of(grid),
        shape=None if grid is None else grid.shape,
        spacing_mm=None if grid is None else grid.spacing,
        frame_of_reference=series.frame_of_reference,
        files=len(series.paths),
        notes=series.notes,
        fault=fault.to_json() if isinstance(fault, BrainsegError) else None,
    )
