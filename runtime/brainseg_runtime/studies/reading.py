"""Studies in folders, archives and files: found, read as far as their headers, and their series given roles.

`find_studies` lists what is there, a faulty study beside good ones; `read_study` reads exactly one. Pixels are read
later, by `Series.load`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from brainseg_runtime.errors import ArgumentError, StudyError
from brainseg_runtime.images.formats import format_names, is_image_name
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import Problem, first_few, grouped, printable, without_folders
from brainseg_runtime.safe_io.arguments import check_path
from brainseg_runtime.studies.dicom.archives import SUFFIX, holds_pictures_alone
from brainseg_runtime.studies.dicom.finding import Found, FoundFile, find
from brainseg_runtime.studies.dicom.library import require_pydicom
from brainseg_runtime.studies.dicom.series import DicomStudy, read_studies
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.nifti.files import nifti_study, read_nifti
from brainseg_runtime.studies.nifti.names import by_study
from brainseg_runtime.studies.roles.choice import choose
from brainseg_runtime.studies.series import Role, Series, SeriesHeader
from brainseg_runtime.studies.study import Choice, Study

if TYPE_CHECKING:
    from brainseg_runtime.studies.roles.choice import ByHand

AnyPath = str | os.PathLike[str]

_OTHER_VOLUMES: Final = (".hdr", ".img", ".hdr.gz", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".mnc")
"""How names of volumes in other formats end, pairs of NIfTI's among them."""

_LISTED: Final = 20
"""Most studies that an error lists."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundStudy:
    """A study that was found, its roles not yet given.

    Attributes:
        uid: StudyInstanceUID; for NIfTI its name.
        name: The name of its output folder; no two studies found together share one.
        source: Where it comes from.
        path: The folder, archive or file that it was found in.
        series: Its series.
        fault: Why it cannot be used whatever its series are, or None.
        warnings: What a reader must know, such as files that could not be read.
        left_out: Files beside the study's that were not read, in words.
    """

    uid: str
    name: str
    source: Literal["dicom", "nifti"]
    path: Path
    series: tuple[Series, ...]
    fault: StudyError | None = None
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def read(self, *, flair: ByHand = None, pre: ByHand = None, post: ByHand = None) -> Study:
        """Give the series their roles.

        Args:
            flair: FLAIR by hand: a SeriesInstanceUID, a SeriesNumber or a path; None: by the headers.
            pre: T1 before contrast by hand.
            post: T1 after contrast by hand.

        Raises:
            ArgumentError: A role is given as something else than text, a number or a path.
            StudyError: The study, or a series that is needed, is at fault.
            RolesError: It cannot be told which series is which.
            MissingExtraError: A codec is not installed.
        """
        for role, value in (("flair", flair), ("pre", pre), ("post", post)):
            if isinstance(value, bool) or not isinstance(value, str | int | os.PathLike | None):
                raise ArgumentError(f"{role} is wrong", expected="a UID, a number, a path or None", got=repr(value))
        if self.fault is not None:
            raise self.fault
        if self.source == "nifti":
            paths = [path for each in self.series for path in each.paths]
            study = nifti_study(paths, flair=flair, pre=pre, post=post)
            choices, warnings = self._held(study.choices), study.warnings
        else:
            choices, warnings = choose(self.series, flair=flair, pre=pre, post=post)
            used = [choice.series for choice in choices if choice.role is not None]
            warnings = (*warnings, *(note for each in used for note in each.notes))
        return Study(
            uid=self.uid,
            name=self.name,
            source=self.source,
            choices=choices,
            warnings=(*self.warnings, *warnings),
            root=self.path,
            left_out=self.left_out,
        )

    def _held(self, choices: Sequence[Choice]) -> tuple[Choice, ...]:
        """Choices whose series keep this study alive, and with it the files from an archive."""
        return tuple(
            replace(each, series=replace(each.series, load=partial(_load_held, each.series, self))) for each in choices
        )


def read_study(path: AnyPath, *, flair: ByHand = None, pre: ByHand = None, post: ByHand = None) -> Study:
    """Read exactly one study, as far as its headers.

    Args:
        path: A folder of DICOM files in any nesting or of NIfTI files, a zip archive, or a single file.
        flair: FLAIR by hand: a SeriesInstanceUID, a SeriesNumber or a path; None: by the headers.
        pre: T1 before contrast by hand.
        post: T1 after contrast by hand.

    Returns:
        The study: its series, which of them are used as what and why, and what was left out.

    Raises:
        ArgumentError: The path is none, or a role is given as something else than text, a number or a path.
        StudyError: There is no study or more than one, or the study, or a series that is needed, is at fault.
        RolesError: It cannot be told which series is which.
        MissingExtraError: The extra `study` is not installed.

    Examples:
        >>> read_study("not there")
        Traceback (most recent call last):
        ...
        brainseg_runtime.errors.StudyError: not there cannot be read; expected a folder, a zip archive, ...
    """
    by_hand: dict[Role, ByHand] = {"flair": flair, "pre": pre, "post": post}
    studies = find_studies([path])
    if not studies:
        raise no_study([path])
    if len(studies) > 1:
        names = first_few(
            [f"{each.name} ({counted(len(each.series), 'series', 'series')})" for each in studies], few=_LISTED
        )
        raise StudyError(
            f"{printable(str(path))} holds {len(studies)} studies",
            expected="one",
            got=names,
            remedy="name the folder of one of them, or use find_studies",
        )
    return studies[0].read(flair=by_hand["flair"], pre=by_hand["pre"], post=by_hand["post"])


def find_studies(paths: Iterable[AnyPath]) -> list[FoundStudy]:
    """Find all studies below some paths.

    Files of one study may lie in several of them. Where there are DICOM images, NIfTI files of the same path are
    left out, for they are usually made from them.

    Args:
        paths: Folders, zip archives and files.

    Returns:
        The studies, DICOM first, in order of their UIDs, then names.

    Raises:
        ArgumentError: `paths` is a single path, or one of them is none.
        StudyError: A path does not exist, or cannot be read.
        MissingExtraError: There is DICOM, and the extra `study` is not installed.

    Examples:
        >>> Path("export").mkdir()
        >>> find_studies(["export"])
        []
    """
    found = {path: find(path) for path in _checked(paths)}
    made: list[FoundStudy] = []
    files = [file for each in found.values() for file in each.dicom]
    if files:
        require_pydicom()
        made += _dicom_studies(files, found)
    images = any(map(_has_images, made))
    for path, each in found.items():
        if each.nifti and not (images and each.dicom):
            made += _nifti_studies(path, each)
    if any(map(_has_images, made)):
        made = [each for each in made if _has_images(each)]
    return _with_unique_names(made)


def _checked(paths: Iterable[AnyPath]) -> list[Path]:
    """The paths; never the letters of one, and never the current folder for a name that is empty."""
    if isinstance(paths, str | bytes | os.PathLike) or not isinstance(paths, Iterable):
        raise ArgumentError("paths is wrong", expected="a list of paths", got=repr(paths)[:100])
    given = list(paths)
    if any(isinstance(each, str) and not each for each in given):
        raise ArgumentError("path is wrong", expected="a path", got="empty text", remedy='for this folder give "."')
    return [check_path("path", each) for each in given]


def _dicom_studies(files: Sequence[FoundFile], found: dict[Path, Found]) -> list[FoundStudy]:
    """Studies of DICOM files."""
    studies, unread = read_studies(files)
    problems = [*unread, *(problem for each in found.values() for problem in each.problems)]
    warnings = tuple(f"a file could not be read: {line}" for line in grouped([*map(_unplaced, problems)]))
    return [
        FoundStudy(
            uid=each.uid,
            name=each.uid,
            source="dicom",
            path=_home(each, found),
            series=each.series,
            fault=_fault(each),
            warnings=warnings,
            left_out=_left_out(found),
        )
        for each in studies
    ]


def _unplaced(problem: Problem) -> Problem:
    """A problem without the file's folders: warnings are written into the results."""
    return replace(problem, where=without_folders(problem.where))


def _fault(study: DicomStudy) -> StudyError | None:
    """Why a study cannot be used whatever its roles."""
    if study.fault is not None or any(each.instances for each in study.series):
        return study.fault
    faults = [str(each.fault) for each in study.series]
    return StudyError(f"study {study.uid} holds no image", expected="MR images", got=first_few(faults))


def _home(study: DicomStudy, found: dict[Path, Found]) -> Path:
    """The given path that a study's first file was found in."""
    first = study.series[0].paths[0]
    return next(path for path, each in found.items() if any(file.path == first for file in each.dicom))


def _left_out(found: dict[Path, Found]) -> tuple[str, ...]:
    others = [Problem(name, "is no DICOM image and no zip archive") for each in found.values() for name in each.others]
    nifti = [
        Problem(file.label, "is NIfTI beside DICOM") for each in found.values() for file in each.nifti if each.dicom
    ]
    return grouped([*others, *nifti])


def _nifti_studies(path: Path, found: Found) -> list[FoundStudy]:
    """Studies of NIfTI files."""
    by_path = {file.path: file for file in found.nifti}
    return [
        FoundStudy(
            uid=name,
            name=name,
            source="nifti",
            path=path,
            series=tuple(_nifti_series(by_path[file]) for file in files),
            warnings=tuple(f"a file could not be read: {line}" for line in grouped([*map(_unplaced, found.problems)])),
        )
        for name, files in by_study(by_path).items()
    ]


def _nifti_series(file: FoundFile) -> Series:
    """A NIfTI file as a series; one that cannot be read is a faulty series, which matters only if it is needed."""
    try:
        made = read_nifti(file.path)
    except StudyError as error:
        return Series(
            uid=str(file.path),
            source="nifti",
            header=SeriesHeader(description=file.path.name),
            grid=None,
            frame_of_reference="",
            paths=(file.path,),
            load=partial(_raise, error),
            fault=error,
        )
    return replace(made, load=partial(_load_held, made, file))


def _raise(error: StudyError) -> Volume:
    raise error


def _load_held(series: Series, _holder: object) -> Volume:
    """Load a series; the holder keeps its files from being removed until then."""
    return series.load()


def _has_images(study: FoundStudy) -> bool:
    """Whether a study is more than objects without images."""
    return study.source == "nifti" or any(each.instances for each in study.series)


def _with_unique_names(studies: Sequence[FoundStudy]) -> list[FoundStudy]:
    """Studies whose names differ, also where case does not count."""
    taken: set[str] = set()
    made = []
    for each in studies:
        name, number = each.name, 2
        while name.casefold() in taken:
            name, number = f"{each.name}-{number}", number + 1
        taken.add(name.casefold())
        made.append(replace(each, name=name))
    return made


def no_study(paths: Iterable[AnyPath]) -> StudyError:
    """The error for paths without a study, with what is there instead.

    Args:
        paths: Folders, zip archives and files in which `find_studies` found nothing.
    """
    given = [Path(path) for path in paths]
    found = [find(path) for path in given]
    others = [name for each in found for name in each.others]
    there = [Problem(name, "is neither DICOM, NIfTI nor a zip archive") for name in others]
    problems = [problem for each in found for problem in each.problems]
    unread = read_studies([file for each in found for file in each.dicom])[1]
    remedy = "name the folder that the scanner's or archive's export was written to"
    if any(path.suffix.lower() == SUFFIX and holds_pictures_alone(path) for path in given):
        remedy = f"unpack the zip and name the folder: slices are read from folders, as {format_names()}"
    elif any(map(is_image_name, others)):
        remedy += "; slices (TIFF, PNG, JPEG) are no study: brainseg predict takes them as they are"
    elif any(name.lower().endswith(_OTHER_VOLUMES) for name in others):
        remedy = "give the DICOM files, or convert them to NIfTI in one file (.nii.gz)"
    return StudyError(
        f"{first_few([printable(str(path)) for path in given])} holds no study",
        expected="DICOM images or NIfTI files, in folders or a zip archive",
        got="; ".join(grouped([*problems, *unread, *there])) or "nothing",
        remedy=remedy,
    )
