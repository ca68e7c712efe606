"""`brainseg inspect`: what a study holds, which series would be used as what, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from brainseg_runtime.html.page import NOT_DEFINED
from brainseg_runtime.plurals import counted
from brainseg_runtime.prediction.layout import path_text
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.studies.inspection import InspectedSeries
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console, one_line

if TYPE_CHECKING:
    from brainseg_runtime.studies.reading import FoundStudy


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyInspection:
    """One study.

    Attributes:
        study_uid: StudyInstanceUID; for NIfTI a name.
        name: What its folder in OUT would be called.
        input: Where it was found.
        source: The kind of its files.
        usable: Whether it can be segmented as it is.
        series: Every series, and why it is used or not.
        warnings: What a reader must know before trusting a mask.
        left_out: Files beside the study's that were not read, in words.
        error: Why it cannot be segmented: kind, what, expected, got, remedy; null if it can.
    """

    study_uid: str
    name: str
    input: str
    source: Literal["dicom", "nifti"]
    usable: bool
    series: tuple[InspectedSeries, ...]
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]
    error: Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What `brainseg inspect --json` writes.

    Attributes:
        usable: Whether every study can be segmented as it is.
        studies: In the order of the inputs.
    """

    usable: bool
    studies: tuple[StudyInspection, ...]


@command("brainseg inspect STUDY", "brainseg inspect STUDY --flair 5 --json study.json")
def inspect(
    console: Console,
    *,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="STUDY...", help="DICOM or NIfTI files, folders of them, or zips.")
    ],
    flair: Annotated[
        str | None, typer.Option(metavar="SERIES", help="The series that is FLAIR: its UID, number or path.")
    ] = None,
    pre: Annotated[
        str | None, typer.Option(metavar="SERIES", help="The series that is T1 before contrast; none leaves it out.")
    ] = None,
    post: Annotated[
        str | None, typer.Option(metavar="SERIES", help="The series that is T1 after contrast; none leaves it out.")
    ] = None,
) -> int:
    """Show the series of studies, which would be used as FLAIR and T1s, and why; no pixel is read.

    The JSON has: usable, studies (study_uid, name, input, source, usable, series, warnings, left_out, error); a series
    has: uid, number, description, modality, role, reason, plane, shape, spacing_mm, frame_of_reference, files, notes,
    fault. The exit code is 1 if a study cannot be segmented as it is.
    """
    from brainseg_runtime.studies.reading import find_studies, no_study

    check_outputs(
        {"--json": console.json_target},
        files=[each for each in inputs if each.is_file()],
        folders=[each for each in inputs if each.is_dir()],
    )
    found = find_studies(inputs)
    if not found:
        raise no_study(inputs)
    studies = tuple(_inspected(each, flair, pre, post) for each in found)
    inspection = Inspection(usable=all(each.usable for each in studies), studies=studies)
    console.emit(to_json(inspection))
    for each in studies:
        _show(console, each)
    return DONE if inspection.usable else FAULT


def _inspected(found: FoundStudy, flair: str | None, pre: str | None, post: str | None) -> StudyInspection:
    """One study."""
    from brainseg_runtime.studies.inspection import inspect_study

    told = inspect_study(found, flair=flair, pre=pre, post=post)
    error = told.error
    return StudyInspection(
        study_uid=found.uid,
        name=found.name,
        input=path_text(found.path),
        source=found.source,
        usable=error is None,
        series=told.series,
        warnings=(*found.warnings, *told.warnings),
        left_out=found.left_out,
        error=None if error is None else error.to_json(),
    )


def _show(console: Console, study: StudyInspection) -> None:
    """Shows one study: its series in a table, then what is wrong."""
    of_all = counted(len(study.series), "series", "series")
    console.say(f"study {study.name}: {of_all}, {study.source.upper()}, {printable(study.input)}")
    headers = ["number", "series", "role", "slices", "spacing (mm)", "plane", "why"]
    console.table(headers, [_row(each) for each in study.series])
    for each in study.series:
        for note in (note for note in each.notes if note not in study.warnings):
            console.say(f"note: {printable(note)}")
    for text in study.left_out:
        console.say(f"left out: {printable(text)}")
    for text in study.warnings:
        console.warn(f"{study.name}: {printable(text)}")
    if study.error is not None:
        console.error(f"{study.name}: {printable(one_line(study.error))}")
    console.say("can be segmented" if study.usable else "cannot be segmented as it is")
    console.say("")


def _row(series: InspectedSeries) -> tuple[str, ...]:
    """A series' row of the table."""
    shape = NOT_DEFINED if series.shape is None else "×".join(map(str, series.shape))
    spacing = NOT_DEFINED if series.spacing_mm is None else " × ".join(f"{each:.3g}" for each in series.spacing_mm)
    number = NOT_DEFINED if series.number is None else str(series.number)
    fault = "" if series.fault is None else f"; faulty: {series.fault['what']}"
    why = printable(f"{series.reason}{fault}")
    role = series.role or NOT_DEFINED
    return (number, printable(_named(series)), role, shape, spacing, series.plane or NOT_DEFINED, why)


def _named(series: InspectedSeries) -> str:
    """A series' description, or its UID."""
    return series.description or series.uid
