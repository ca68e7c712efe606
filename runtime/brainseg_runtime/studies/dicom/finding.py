"""Files that may belong to a study: DICOM and NIfTI, in folders of any nesting and in zip archives among them.

DICOM is recognised by its first bytes, for scanners' exports have any name. Links are followed, but each folder is
visited once, and none above what is searched, so loops end. Hidden files and litter are passed over; devices and pipes
are not opened.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import StudyError
from brainseg_runtime.problems import Problem, printable
from brainseg_runtime.safe_io.litter import is_hidden
from brainseg_runtime.studies.dicom.archives import SUFFIX, Member, Workspace, extract
from brainseg_runtime.studies.dicom.files import HEAD, is_dicom, is_directory

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")
_MOST_FILES: Final = 500_000
_DEEPEST: Final = 64
"""Levels of folders; systems allow more than Python's recursion does."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFile:
    """A file to read.

    Attributes:
        path: The file; in `workspace` if it came from an archive.
        label: Its name in messages, "NAME", ".../NAME" or "ARCHIVE: .../NAME": archives name folders after patients.
        workspace: Keeps an extracted file alive; None for others.
    """

    path: Path
    label: str
    workspace: Workspace | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What was found.

    Attributes:
        dicom: DICOM files, in order of path.
        nifti: NIfTI files, in order of path.
        others: Files of other kinds, by name.
        problems: What looks like a part of a study and could not be read.
    """

    dicom: tuple[FoundFile, ...]
    nifti: tuple[FoundFile, ...]
    others: tuple[str, ...]
    problems: tuple[Problem, ...]


def find(root: Path) -> Found:
    """Search a folder, an archive or a file.

    Args:
        root: An existing path.

    Raises:
        StudyError: It does not exist, cannot be listed, is a damaged archive, or holds too many files.
    """
    search = _Search(root)
    try:
        search.leave_out_above()
        if stat.S_ISDIR(root.stat().st_mode):
            search.folder(root, 0)
        else:
            search.file(root, alone=True)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{printable(str(root))} cannot be read",
            expected="a folder, a zip archive, or a DICOM or NIfTI file",
            got=error.strerror if isinstance(error, OSError) else "a name that no file can have",
        ) from error
    return Found(
        dicom=tuple(search.dicom),
        nifti=tuple(search.nifti),
        others=tuple(search.others),
        problems=tuple(search.problems),
    )


class _Search:
    """One search and what it has found so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: set[tuple[int, int]] = set()
        self.dicom: list[FoundFile] = []
        self.nifti: list[FoundFile] = []
        self.others: list[str] = []
        self.problems: list[Problem] = []

    def leave_out_above(self) -> None:
        """Keeps links from leading to a folder above the one that is searched, which holds others' studies."""
        for above in self.root.absolute().resolve().parents:
            with contextlib.suppress(OSError):  # one that may not be looked at
                status = above.stat()
                self.seen.add((status.st_dev, status.st_ino))

    def folder(self, folder: Path, level: int) -> None:
        """Look through a folder and those in it."""
        status = folder.stat()
        key = (status.st_dev, status.st_ino)
        if key in self.seen and status.st_ino:
            return
        self.seen.add(key)
        for path in self._listed(folder, level):
            try:
                mode = path.stat().st_mode
            except (OSError, ValueError):
                self.problems.append(Problem(self._label(path), "cannot be accessed"))
                continue
            if stat.S_ISDIR(mode) and level >= _DEEPEST:
                self.problems.append(Problem(self._label(path), "lies too deep and was not searched"))
            elif stat.S_ISDIR(mode):
                self.folder(path, level + 1)
            elif stat.S_ISREG(mode):
                self.file(path)

    def file(self, path: Path, *, alone: bool = False) -> None:
        """Look at a file."""
        label = self._label(path)
        if self._count() > _MOST_FILES:
            raise StudyError(f"{printable(str(self.root))} holds too many files", expected=f"{_MOST_FILES:,} at most")
        if not stat.S_ISREG(path.stat().st_mode):
            raise StudyError(f"{printable(str(path))} is neither a folder nor a regular file")
        try:
            with path.open("rb") as opened:
                head = opened.read(HEAD)
        except OSError as error:
            self.problems.append(Problem(label, f"cannot be read: {error.strerror}"))
            return
        if path.name.lower().endswith(NIFTI_SUFFIXES):
            self.nifti.append(FoundFile(path=path, label=label))
        elif is_directory(head):
            if alone:
                raise StudyError(f"{label} lists the files of a medium", remedy="name the folder that it lies in")
            self.others.append(label)
        elif is_dicom(head):
            self.dicom.append(FoundFile(path=path, label=label))
        elif head[:2] == b"PK" and (alone or path.suffix.lower() == SUFFIX):
            self._archive(path, label, alone=alone)
        else:
            self.others.append(label)

    def _archive(self, path: Path, label: str, *, alone: bool) -> None:
        """Look through an archive; one that lies among other files may be anything, so its fault is only reported."""
        workspace = Workspace()
        prefix = "" if alone else f"{label}: "
        try:
            for member in extract(path, workspace):
                folder, _, name = member.name.replace("\\", "/").rpartition("/")
                self._member(member, prefix + _shown(name, inner=bool(folder)), workspace)
        except StudyError as error:
            if alone:
                raise
            self.problems.append(Problem(label, f"was not read to its end: {error}"))

    def _member(self, member: Member, name: str, workspace: Workspace) -> None:
        """Sort in what an archive held."""
        if member.fault:
            self.problems.append(Problem(name, member.fault))
        elif member.path is None:
            self.others.append(name)
        else:
            found = FoundFile(path=member.path, label=name, workspace=workspace)
            nifti = member.path.name.lower().endswith(NIFTI_SUFFIXES)
            (self.nifti if nifti else self.dicom).append(found)

    def _listed(self, folder: Path, level: int) -> Iterator[Path]:
        """What lies in a folder, in order."""
        try:
            paths: Sequence[Path] = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
        except OSError as error:
            if level == 0:
                raise
            self.problems.append(Problem(self._label(folder), f"cannot be listed: {error.strerror}"))
            return
        yield from paths

    def _label(self, path: Path) -> str:
        return _shown(path.name, inner=self.root not in {path, path.parent})

    def _count(self) -> int:
        return len(self.dicom) + len(self.nifti) + len(self.others) + len(self.problems)


def _shown(name: str, *, inner: bool) -> str:
    """A file's name for messages, without the folders that it lies in."""
    return printable(f".../{name}" if inner else name)
