"""NIfTI files as series and studies: read without trust, with roles by their usual names.

The header is checked before anything is decoded, and a compressed file is decoded no further than its header says, so
a small file cannot ask for more than `nifti_header.MAX_VOXELS`. A JSON file of the same name, as dcm2niix and BIDS
keep beside an image, adds the tags that tell what the sequence is.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import RolesError, StudyError
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.nifti.fields import HEADER_BYTES
from brainseg_runtime.studies.nifti.header import NiftiHeader, parse_header
from brainseg_runtime.studies.nifti.names import by_study, is_made, role_by_name, stem, study_name
from brainseg_runtime.studies.nifti.sidecar import read_sidecar, with_tags
from brainseg_runtime.studies.roles.choice import ByHand, choose
from brainseg_runtime.studies.series import Role, Series, SeriesHeader
from brainseg_runtime.studies.study import Choice, Study

MAX_FILES: Final = 10_000
"""Most NIfTI files that a folder of studies may hold."""
_CHUNK: Final = 1 << 22
"""Voxels decoded at a time."""
_MOST_BEHIND: Final = 1 << 20
"""Bytes behind the voxels that are read to find a wrong checksum; a file with more of them is taken as it is."""


def is_nifti(path: Path) -> bool:
    """Whether a file's name is a NIfTI file's.

    Args:
        path: Any path.

    Examples:
        >>> [is_nifti(Path(name)) for name in ("a.nii", "a.nii.gz", "a.img")]
        [True, True, False]
    """
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti(path: Path) -> Series:
    """Read a file's header; the voxels are read by the series' `load`.

    Args:
        path: A .nii or .nii.gz file.

    Returns:
        The series; its uid is the path, its description the file's name.

    Raises:
        StudyError: The file cannot be read, is no NIfTI file, holds several volumes, colours or complex numbers, or
            more voxels than `nifti_header.MAX_VOXELS`.
        GeometryError: Its orientation or spacing is faulty.

    Examples:
        >>> from brainseg_runtime.studies.geometry import AXIAL, Grid
        >>> from brainseg_runtime.studies.written.nifti import nifti
        >>> grid = Grid(shape=(2, 3, 4), spacing=(5.0, 0.5, 0.5), directions=AXIAL, origin=np.zeros(3))
        >>> made = nifti(np.zeros(grid.shape, np.uint8), grid, description="example")
        >>> _ = Path("P1_flair.nii.gz").write_bytes(made)
        >>> read_nifti(Path("P1_flair.nii.gz")).grid.spacing
        (5.0, 0.5, 0.5)
    """
    path = Path(path)
    with _opened(path) as file:
        header = parse_header(file.read(HEADER_BYTES), path.name)
    tags, notes = read_sidecar(path)
    return Series(
        uid=str(path), source="nifti", header=with_tags(path, tags, oriented=header.oriented), grid=header.grid,
        frame_of_reference="", paths=(path,), load=partial(_load, path, header), notes=(*header.notes, *notes),
        nifti=header.fields,
    )  # fmt: skip


def nifti_study(
    source: Path | Sequence[Path], *, flair: ByHand = None, pre: ByHand = None, post: ByHand = None
) -> Study:
    """Read one study from NIfTI files.

    Args:
        source: A folder, searched with its folders, one file, or files.
        flair: FLAIR by hand: a path. Files by hand need not be in `source`.
        pre: T1 before contrast by hand: a path; "none": there is none.
        post: T1 after contrast by hand: a path; "none": there is none.

    Returns:
        The study; roles by hand, by usual names (BraTS, BIDS), else by words in the names and by the JSON files.

    Raises:
        StudyError: There is no NIfTI file, or they belong to several studies, or one that is needed cannot be read.
        RolesError: It cannot be told which file is which.
    """
    root, files = _files(source)
    by_hand: dict[Role, ByHand] = {"flair": flair, "pre": pre, "post": post}
    given = [Path(value) for value in by_hand.values() if isinstance(value, str | Path) and _is_file(value)]
    files = list(dict.fromkeys([*files, *given]))
    if flair is None:
        _one_study(files)
    series = [_series(path) for path in files]
    images = [each for each in series if each.paths[0] in given or not is_made(stem(each.paths[0]))]
    named = _by_name(images, by_hand)
    values: dict[Role, ByHand] = {**by_hand, **{role: each.uid for role, each in named.items()}}
    choices, warnings = choose(images, flair=values["flair"], pre=values["pre"], post=values["post"])
    made = [Choice(series=each, role=None, reason="") for each in series if each not in images]
    choices = tuple(_with_name(choice, named) for choice in (*choices, *made))
    used = {choice.role: choice.series for choice in choices if choice.role is not None}
    name = study_name([used["flair"].paths[0], *(each.paths[0] for role, each in used.items() if role != "flair")])
    return Study(
        uid=used["flair"].uid, name=name, source="nifti", choices=choices,
        warnings=(*warnings, *_notes(used.values())), root=root,
    )  # fmt: skip


def nifti_files(folder: Path) -> list[Path]:
    """NIfTI files in a folder and its folders, sorted; hidden ones are left out.

    Args:
        folder: An existing folder.

    Raises:
        StudyError: There are more than `MAX_FILES`.

    Examples:
        >>> Path("BraTS").mkdir()
        >>> nifti_files(Path("BraTS"))
        []
    """
    found = []
    for path in folder.rglob("*.[nN][iI][iI]*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_nifti(path) and not hidden and path.is_file():
            found.append(path)
        if len(found) > MAX_FILES:
            raise StudyError("too many NIfTI files", expected=f"at most {MAX_FILES:,} in a folder", got="more")
    return sorted(found)


# --- a study


def _files(source: Path | Sequence[Path]) -> tuple[Path, list[Path]]:
    """The folder or file that was given, and the files in it."""
    if isinstance(source, str | Path):
        source = Path(source)
        return source, nifti_files(source) if source.is_dir() else [source]
    paths = [Path(path) for path in source]
    if not paths:
        raise StudyError("no file was given", expected="NIfTI files", got="none")
    return paths[0].parent, paths


def _is_file(value: str | Path) -> bool:
    """Whether a value by hand is the path of a NIfTI file."""
    return is_nifti(Path(value)) and Path(value).is_file()


def _one_study(files: Sequence[Path]) -> None:
    """Refuse files of several studies, and none."""
    groups = by_study(path for path in files if role_by_name(path) != "other")
    if not groups:
        raise StudyError("no NIfTI image was found", expected="files that end in .nii or .nii.gz", got="none")
    if len(groups) > 1:
        raise StudyError(
            "the files belong to several studies", expected="one study", got=", ".join(list(groups)[:20]),
            remedy="give one study's folder, or its files with --flair, --pre and --post",
        )  # fmt: skip


def _series(path: Path) -> Series:
    """A file as a series; one that cannot be read is a faulty series, which matters only if it is needed."""
    try:
        return read_nifti(path)
    except StudyError as error:
        header = SeriesHeader(description=stem(path))
        return Series(
            uid=str(path), source="nifti", header=header, grid=None, frame_of_reference="", paths=(path,),
            load=partial(_raise, error), fault=error,
        )  # fmt: skip


def _raise(error: StudyError) -> Volume:
    """What loading a faulty series gives."""
    raise error


def _by_name(series: Sequence[Series], by_hand: dict[Role, ByHand]) -> dict[Role, Series]:
    """Roles by usual names, where one name alone says so; two names for FLAIR are an error."""
    named: dict[Role, Series] = {}
    taken = {str(value) for value in by_hand.values() if value is not None}
    for role, value in by_hand.items():
        matches = [each for each in series if role_by_name(each.paths[0]) == role and each.uid not in taken]
        if value is not None or not matches:
            continue
        if len(matches) == 1:
            named[role] = matches[0]
        else:
            raise RolesError(
                f"{len(matches)} files are named as {role}", expected="one",
                got=", ".join(each.paths[0].name for each in matches), remedy=f"choose one with --{role}",
            )  # fmt: skip
    return named


def _with_name(choice: Choice, named: dict[Role, Series]) -> Choice:
    """A choice by name says so; a file that its name rules out says that."""
    path = choice.series.paths[0]
    if choice.role is not None and named.get(choice.role) is choice.series:
        return Choice(series=choice.series, role=choice.role, reason=f"by its file name, {path.name}")
    if choice.role is None and role_by_name(path) == "other" and (choice.series.fault is None or not choice.reason):
        return Choice(series=choice.series, role=None, reason=f"by its file name, {path.name}: none of the three")
    return choice


def _notes(used: object) -> Iterator[str]:
    """What readers of the study must know of the files used."""
    for series in used:  # type: ignore[attr-defined]
        yield from series.notes


# --- a file


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file for reading, decompressed as it is read; faults of the system and of gzip are errors of the study."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.open(raw) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        raise StudyError(f"{path.name} cannot be read", expected="a whole NIfTI file", got=_told(error)) from error


def _told(error: Exception) -> str:
    """A system's or gzip's fault without the path, which may hold a name."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _load(path: Path, header: NiftiHeader) -> Volume:
    """Read the voxels, a part at a time."""
    grid = header.grid
    count = int(np.prod(grid.shape))
    voxels = np.empty(count, np.float32)
    with _opened(path) as file:
        _skip(file, header.offset)
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start) * header.dtype.itemsize
            data = file.read(size)
            if len(data) != size:
                raise StudyError(
                    f"{path.name} is cut off", expected=f"{count:,} voxels",
                    got=f"{start + len(data) // header.dtype.itemsize:,}", remedy="copy the file again",
                )  # fmt: skip
            voxels[start : start + _CHUNK] = _scaled(np.frombuffer(data, header.dtype), header)
        _compare_checksum(file)
    if not np.isfinite(voxels).all():
        raise StudyError(
            f"{path.name} has voxels that are no numbers", expected="finite values",
            got=f"{count - int(np.isfinite(voxels).sum()):,} of {count:,} are NaN, infinite or beyond 32-bit floats",
            remedy="replace them by the background's value",
        )  # fmt: skip
    return Volume(voxels=voxels.reshape(grid.shape), grid=grid)


def _compare_checksum(file: IO[bytes]) -> None:
    """Read to the end: gzip compares the checksum only there, and damage seldom shows in any other way."""
    try:
        file.read(_MOST_BEHIND)
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):  # bytes that follow the data are left, as gzip does
            raise


def _skip(file: IO[bytes], count: int) -> None:
    """Read past the header and its extensions; their size is capped by the header's check."""
    while count > 0:
        data = file.read(min(count, 1 << 20))
        if not data:
            return
        count -= len(data)


def _scaled(stored: NDArray[np.generic], header: NiftiHeader) -> NDArray[np.float32]:
    """Values from stored values, in double precision where they are scaled."""
    with np.errstate(over="ignore", invalid="ignore"):
        if (header.slope, header.intercept) == (1.0, 0.0):
            return stored.astype(np.float32)
        return (stored.astype(np.float64) * header.slope + header.intercept).astype(np.float32)
