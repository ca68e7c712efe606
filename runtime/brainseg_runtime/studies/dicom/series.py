"""Series out of files: grouped by their UIDs, each with its header, its grid or its fault, and a way to its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from brainseg_runtime.errors import BrainsegError, GeometryError, MissingExtraError, StudyError
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import Problem, first_few, without_folders
from brainseg_runtime.studies.dicom.codestreams import LOSSY
from brainseg_runtime.studies.dicom.finding import FoundFile
from brainseg_runtime.studies.dicom.pixels import check_syntax, load, same_values
from brainseg_runtime.studies.dicom.slices import Slice, SourceFile, read_slices
from brainseg_runtime.studies.dicom.stacking import Stack, stack
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.series import Instance, Series, SeriesHeader

_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, kw_only=True, eq=False)
class DicomStudy:
    """The series of one study.

    Attributes:
        uid: StudyInstanceUID.
        series: By number, then UID.
        fault: Why the study as a whole cannot be used, or None.
    """

    uid: str
    series: tuple[Series, ...]
    fault: StudyError | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """A file that was read, its slices, and what keeps it alive."""

    file: SourceFile
    slices: tuple[Slice, ...]
    found: FoundFile


def read_studies(files: Iterable[FoundFile]) -> tuple[tuple[DicomStudy, ...], tuple[Problem, ...]]:
    """Read the headers of files and sort them into studies and series.

    Args:
        files: DICOM files.

    Returns:
        The studies, in order of their UIDs, and the files that could not be read.
    """
    studies: dict[str, dict[str, list[_Read]]] = {}
    problems: list[Problem] = []
    for found in files:
        try:
            file, slices = read_slices(found.path, found.label)
        except StudyError as error:
            problems.append(Problem(found.label, _without(found.label, str(error))))
            continue
        by_series = studies.setdefault(file.study_uid, {})
        by_series.setdefault(file.series_uid, []).append(_Read(file=file, slices=slices, found=found))
    made = [_study(uid, by_series) for uid, by_series in sorted(studies.items())]
    return tuple(made), tuple(problems)


def _study(uid: str, by_series: Mapping[str, Sequence[_Read]]) -> DicomStudy:
    """A study out of its files."""
    reads = [read for group in by_series.values() for read in group]
    patients = {read.file.patient for read in reads if read.file.patient}
    fault = None
    if len(patients) > 1:
        examples = [next(read.file.label for read in reads if read.file.patient == each) for each in sorted(patients)]
        fault = StudyError(
            f"study {uid} holds files of {len(patients)} patients",
            expected="one PatientID",
            got=first_few(examples),
            remedy="separate the patients' files, and correct their UIDs",
        )
    days = [day for read in reads if read.file.moment is not None and (day := read.file.moment[0]) is not None]
    first_day = min(days, default=None)
    series = [_series(series_uid, group, first_day) for series_uid, group in by_series.items()]
    ordered = sorted(series, key=lambda each: (each.header.number is None, each.header.number or 0, each.uid))
    return DicomStudy(uid=uid, series=tuple(ordered), fault=fault)


def _series(uid: str, reads: Sequence[_Read], first_day: int | None) -> Series:
    """A series out of its files."""
    header = _header(reads, first_day)
    name = series_name(header, uid)
    kept, notes = _without_copies(reads, name)
    slices = [each for read in kept for each in read.slices]
    fault: BrainsegError | None = None
    made: Stack | None = None
    try:
        _check_usable(kept, name)
        made = stack(slices, name, same_values)
        for syntax in {read.file.syntax for read in kept}:
            check_syntax(next(read.file for read in kept if read.file.syntax == syntax))
    except (StudyError, MissingExtraError) as error:
        fault, made = error, None
    ordered = slices if made is None else made.slices
    keep_alive = [read.found.workspace for read in reads]
    return Series(
        uid=uid,
        source="dicom",
        header=header,
        grid=None if made is None else made.grid,
        frame_of_reference=kept[0].file.frame_of_reference,
        instances=tuple(_instance(each) for each in ordered),
        paths=tuple(dict.fromkeys(read.file.path for read in reads)),
        load=_loader(made, fault, name, keep_alive),
        fault=fault,
        notes=(*notes, *(() if made is None else made.notes), *_notes(kept, name)),
    )


def series_name(header: SeriesHeader, uid: str) -> str:
    """A series as messages name it.

    >>> series_name(SeriesHeader(number=3, description="AX FLAIR"), "1.2.3")
    'series 3 "AX FLAIR"'
    """
    number = "" if header.number is None else f" {header.number}"
    described = header.description or header.protocol
    return f'series{number} "{described}"' if described else f"series{number or f' {uid}'}"


def _header(reads: Sequence[_Read], first_day: int | None) -> SeriesHeader:
    """The header of the first image, with the earliest time of all, as seconds since the study's first midnight."""
    first = min(reads, key=lambda read: (not read.slices, read.file.instance_number or 0, read.file.sop_uid))
    moments = [read.file.moment for read in reads if read.file.moment is not None]
    times = [_since(moment, first_day) for moment in moments]
    return replace(first.file.header, acquired=min(times, default=None))


def _since(moment: tuple[int | None, float], first_day: int | None) -> float:
    day, seconds = moment
    return seconds if day is None or first_day is None else seconds + (day - first_day) * _SECONDS_A_DAY


def _without_copies(reads: Sequence[_Read], name: str) -> tuple[list[_Read], tuple[str, ...]]:
    """Files without those that repeat an object, such as a study that was copied twice; stacking finds the others."""
    kept: dict[str, _Read] = {}
    copies: list[str] = []
    others: list[_Read] = []
    for read in reads:
        there = kept.setdefault(read.file.sop_uid, read)
        if there is read:
            continue
        if _same_object(there, read):
            copies.append(without_folders(read.file.label))
        else:
            others.append(read)
    notes = (f"{name}: {counted(len(copies), 'copy', 'copies')} left out: {first_few(copies)}",) if copies else ()
    return [*kept.values(), *others], notes


def _same_object(one: _Read, other: _Read) -> bool:
    """Whether two files hold the same slices."""
    if len(one.slices) != len(other.slices):
        return False
    try:
        return all(
            mine.place == its.place and same_values(mine, its)
            for mine, its in zip(one.slices, other.slices, strict=True)
        )
    except (StudyError, MissingExtraError):
        return False


def _check_usable(reads: Sequence[_Read], name: str) -> None:
    """Refuses a series with a file that holds no slice: without it the volume would not be whole."""
    faulty = [read for read in reads if read.file.fault is not None]
    if not faulty:
        return
    first = faulty[0].file
    if len(faulty) == len(reads) == 1 and first.fault is not None:
        raise StudyError(f"{name}: {first.fault}")
    labels = first_few([read.file.label for read in faulty])
    raise StudyError(f"{name}: {len(faulty)} of {len(reads)} files cannot be used: {labels}", got=first.fault)


def _instance(one: Slice) -> Instance:
    file = one.file
    return Instance(path=file.path, sop_class=file.sop_class, sop_uid=file.sop_uid, frame=one.frame)


def _loader(
    made: Stack | None, fault: BrainsegError | None, name: str, keep_alive: Sequence[object]
) -> Callable[[], Volume]:
    """What reads the pixels; it holds what keeps the files alive."""
    return partial(_load, made, fault, name, tuple(keep_alive))


def _load(made: Stack | None, fault: BrainsegError | None, name: str, _keep_alive: tuple[object, ...]) -> Volume:
    if fault is not None:
        raise fault
    if made is None:
        raise GeometryError(f"{name} has no slices")
    return load(made.slices, made.grid)


def _notes(reads: Sequence[_Read], name: str) -> tuple[str, ...]:
    """What a reader should know of how the series is stored."""
    notes = []
    if any(read.file.lossy or read.file.syntax in LOSSY for read in reads):
        notes.append(f"{name} was compressed with loss")
    expected = max((read.file.images_expected or 0 for read in reads), default=0)
    if expected > sum(len(read.slices) for read in reads) and len(reads) > 1:
        notes.append(f"{name} says that it has {expected} images, and {len(reads)} are here: some may be missing")
    if any(read.file.format is not None and read.file.format.photometric == "MONOCHROME1" for read in reads):
        notes.append(f"{name} is stored with low values bright (MONOCHROME1), and was turned over")
    return tuple(notes)


def _without(label: str, message: str) -> str:
    """A message without the file's name at its beginning, which the problem states."""
    return message.removeprefix(label).lstrip(" :") if message.startswith(label) else message
