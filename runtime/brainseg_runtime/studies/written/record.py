"""`study.json`: what was segmented, with what, and what was written; nothing in it says who the patient is.

The classes here are the file, field by field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from brainseg_runtime.safe_io.typed_json import Matches
from brainseg_runtime.segmentation.results import Provenance
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.study import Choice
from brainseg_runtime.studies.written.contours import LongAxis
from brainseg_runtime.studies.written.segmented import Registered, Segmented
from brainseg_runtime.studies.written.settings import SegmentSettings
from brainseg_runtime.version import __version__

SCHEMA: Final = "brainseg/study/1"
FILE: Final = "study.json"

Sha256: TypeAlias = Annotated[str, Matches(re.compile("[0-9a-f]{64}"), "64 hexadecimal digits")]
Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A file that was written.

    Attributes:
        kind: "seg", "sr", "sc", "rtstruct", "nifti", "preview" or "record".
        file: Its path, with "/", from the folder that was given for the results.
        sha256: Of its bytes.
    """

    kind: str
    file: str
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesEntry:
    """A series of the study.

    Attributes:
        uid: SeriesInstanceUID; for NIfTI the file's name.
        number: SeriesNumber, or null.
        role: "flair", "pre" or "post"; null if it was left out.
        reason: Why.
        notes: What was handled on reading.
    """

    uid: str
    number: int | None
    role: Literal["flair", "pre", "post"] | None
    reason: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, choice: Choice) -> SeriesEntry:
        """The entry of a choice."""
        series = choice.series
        uid = series.uid if series.source == "dicom" else Path(series.uid).name
        faulty = choice.role is None and series.fault is not None  # the fault names files, and their folders patients
        reason = "faulty" if faulty else choice.reason
        return cls(uid=uid, number=series.header.number, role=choice.role, reason=reason, notes=tuple(series.notes))


@dataclass(frozen=True, kw_only=True, slots=True)
class GridEntry:
    """FLAIR's grid, which the mask is on.

    Attributes:
        shape: Slices, rows, columns.
        spacing_mm: Between the centres of neighbouring slices, rows, columns, mm.
        directions: Unit vectors, LPS, along which the index of slices, rows, columns grows.
        origin_mm: Centre of the first voxel, LPS mm.
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple
    directions: tuple[Triple, Triple, Triple]
    origin_mm: Triple

    @classmethod
    def of(cls, grid: Grid) -> GridEntry:
        """The entry of a grid."""
        slices, rows, columns = (_triple(row) for row in grid.directions.tolist())
        return cls(
            shape=grid.shape,
            spacing_mm=_triple(grid.spacing),
            directions=(slices, rows, columns),
            origin_mm=_triple(grid.origin.tolist()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationRecord:
    """How a T1 was brought onto FLAIR.

    Attributes:
        quality: Similarity after registration; see docs/studies.md.
        rotation_deg: Angle of the rotation, degrees.
        translation_mm: Mean displacement inside the head, mm.
        applied: Whether the T1 was moved; false if the header's geometry was kept.
        note: What was done, in words.
        matrix: From a position in FLAIR's patient coordinates (LPS, mm) to the T1's; four rows of four.
    """

    quality: float
    rotation_deg: float
    translation_mm: float
    applied: bool
    note: str
    matrix: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, found: Registered) -> RegistrationRecord:
        """The record of a registration."""
        return cls(
            quality=found.quality,
            rotation_deg=found.rotation_deg,
            translation_mm=found.translation_mm,
            applied=found.applied,
            note=found.note,
            matrix=tuple(tuple(row) for row in found.matrix.tolist()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecord:
    """The whole file.

    Attributes:
        schema: The file's form.
        brainseg: Version of this package.
        study_uid: StudyInstanceUID; for NIfTI a name.
        name: The study's folder.
        source: The kind of its files.
        series: Every series and what it was used as.
        grid: Where the mask lies.
        volume_ml: Volume of the mask, mL, on FLAIR's own spacing.
        voxels: Number of voxels marked.
        long_axis: Longest line within one slice, edge to edge; null if nothing is marked.
        registration: By role; a role without a series of its own is missing.
        model: What computed the mask.
        segment: How the marked voxels are described.
        warnings: Reasons to distrust the mask.
        notes: What was repaired in the source's header for what is written.
        left_out: Files beside the study's that were not read, in words.
        outputs: The other files, by their path from this file's folder.
        seconds: Time by part, s; null if the files' bytes are not to depend on the time.
        use: What the result is for.
    """

    schema: Literal["brainseg/study/1"] = SCHEMA
    brainseg: str = __version__
    study_uid: str
    name: str
    source: Literal["dicom", "nifti"]
    series: tuple[SeriesEntry, ...]
    grid: GridEntry
    volume_ml: float
    voxels: int
    long_axis: LongAxis | None
    registration: Mapping[str, RegistrationRecord]
    model: Provenance
    segment: SegmentSettings
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    outputs: tuple[Output, ...]
    seconds: Mapping[str, float] | None
    use: str = "Research use only"


def study_record(
    result: Segmented,
    *,
    segment: SegmentSettings,
    axis: LongAxis | None,
    notes: Sequence[str],
    outputs: Sequence[Output],
    timed: bool,
) -> StudyRecord:
    """The record of a written study.

    Args:
        result: What was segmented.
        segment: How the marked voxels are described.
        axis: Longest axis.
        notes: Repairs of the source's header.
        outputs: The files written.
        timed: Whether to state the time that each part took.
    """
    study = result.study
    return StudyRecord(
        study_uid=study.uid,
        name=study.name,
        source=study.source,
        series=tuple(map(SeriesEntry.of, study.choices)),
        grid=GridEntry.of(result.grid),
        volume_ml=result.volume_ml,
        voxels=int(result.mask.sum(dtype=int)),
        long_axis=axis,
        registration={role: RegistrationRecord.of(each) for role, each in result.registration.items()},
        model=result.provenance,
        segment=segment,
        warnings=tuple(result.warnings),
        notes=tuple(notes),
        left_out=study.left_out,
        outputs=tuple(outputs),
        seconds=dict(result.seconds) if timed else None,
    )


def _triple(values: Sequence[float]) -> Triple:
    """Three numbers."""
    first, second, third = map(float, values)
    return first, second, third
