"""DICOM and NIfTI files out of a zip archive, into a folder of our own under names of our own.

A member's name never becomes a path: files are numbered, and the name is only shown. What is no DICOM or NIfTI is not
extracted at all. Sizes are counted while inflating, since an archive can state any; there are caps on the number of
members, on the sum of their sizes, on its ratio to the archive's size, and on the archive's own directory.
"""

from __future__ import annotations

import re
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from brainseg_runtime.errors import StudyError
from brainseg_runtime.images.formats import is_image_name
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.litter import is_hidden
from brainseg_runtime.studies.dicom.files import HEAD, MOST_BYTES, is_dicom, is_directory

SUFFIX: Final = ".zip"
_NIFTI: Final = (".nii", ".nii.gz")
_OTHER_PICTURES: Final = (".bmp", ".gif", ".webp")
"""Suffixes of pictures that are not read."""

_MOST_MEMBERS: Final = 200_000
_MOST_EXTRACTED: Final = 8 << 30
"""Bytes that one archive may fill the disk with."""

_MOST_RATIO: Final = 100
"""Largest ratio of extracted bytes to the archive's; a study shrinks to a half or a quarter."""

_FREE: Final = 1 << 26
"""Bytes that are extracted whatever the ratio: a made study of zeros is still small."""

_MOST_DIRECTORY: Final = 1 << 26
"""Bytes of the archive's directory, which is read at once; 200,000 members take a quarter."""

_CHUNK: Final = 1 << 20
_FAULTS: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, LookupError, MemoryError,
)  # fmt: skip
"""What `zipfile` raises on damaged and encrypted archives; RuntimeError holds NotImplementedError."""

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others decompress with dictionaries whose size the archive chooses."""


class Workspace:
    """A temporary folder, removed when nothing uses it any more, at the latest when the process ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="brainseg-study-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file of an archive.

    Attributes:
        path: Where it was extracted to; None if it was not.
        name: Its name in the archive, fit to be shown.
        fault: Why it was not extracted; "" if it was, or holds neither DICOM nor NIfTI.
    """

    path: Path | None
    name: str
    fault: str = ""


def extract(archive: Path, workspace: Workspace) -> Iterator[Member]:
    """Extract the DICOM and NIfTI files of a zip archive.

    Args:
        archive: The archive.
        workspace: Where to.

    Yields:
        One member for each file in it.

    Raises:
        StudyError: It is damaged, or exceeds a cap.
    """
    label = printable(archive.name)
    budget = _Budget(archive, label)
    try:
        _check_directory(archive, label)
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > _MOST_MEMBERS:
                raise StudyError(f"{label} has too many files", expected=f"{_MOST_MEMBERS:,} at most", got=len(members))
            for number, member in enumerate(members):
                yield _extracted(opened, member, workspace.folder, number, budget)
    except _FAULTS as error:
        raise StudyError(
            f"{label} is no zip archive that can be read",
            got=type(error).__name__,
            remedy="unpack it with another program and name the folder",
        ) from error


def holds_pictures_alone(archive: Path) -> bool:
    """Whether a zip archive holds pictures, such as a patient's slices, and neither DICOM nor NIfTI.

    Args:
        archive: The archive. Of one that cannot be read the answer is no; `extract` says what is wrong with it.
    """
    try:
        _check_directory(archive, archive.name)
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > _MOST_MEMBERS or not any(_is_picture(member.filename) for member in members):
                return False
            return not any(_may_be_of_study(opened, member) for member in members)
    except (StudyError, *_FAULTS):
        return False


def _is_picture(name: str) -> bool:
    """Whether a member's name is that of a picture, read or not."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return (is_image_name(last) or last.lower().endswith(_OTHER_PICTURES)) and not is_hidden(last)


def _may_be_of_study(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether a member is DICOM or NIfTI, or cannot be looked at."""
    if member.filename.lower().endswith(_NIFTI) or member.flag_bits & 1 or member.compress_type not in _METHODS:
        return True
    with opened.open(member) as stream:
        head = stream.read(HEAD)
    return is_dicom(head) and not is_directory(head)


class _Budget:
    """Bytes that may still be extracted."""

    def __init__(self, archive: Path, label: str) -> None:
        size = archive.stat().st_size
        free = shutil.disk_usage(tempfile.gettempdir()).free
        self.left = min(_MOST_EXTRACTED, _FREE + _MOST_RATIO * size, free * 9 // 10)
        self.label = label

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise StudyError(
                f"{self.label} grows too large when it is unpacked",
                expected=f"at most {_MOST_RATIO} times its size, {_MOST_EXTRACTED:,} bytes, and space on the disk",
                remedy="unpack it with another program and name the folder",
            )


def _extracted(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, number: int, budget: _Budget) -> Member:
    """Extract one file, if it is DICOM or NIfTI."""
    name = printable(member.filename[:512])
    if member.flag_bits & 1 or member.compress_type not in _METHODS:
        what = "is encrypted" if member.flag_bits & 1 else "is compressed by a method that is not read"
        return Member(path=None, name=name, fault=what)
    try:
        with opened.open(member) as stream:
            head = stream.read(HEAD)
            if not name.lower().endswith(_NIFTI) and (not is_dicom(head) or is_directory(head)):
                return Member(path=None, name=name)
            path = _path_for(folder, name, number, _harmless(Path(opened.filename or "").stem) or "study")
            with path.open("xb") as file:
                _copy(head, stream, file, budget)
    except _FAULTS as error:
        return Member(path=None, name=name, fault=f"is damaged ({type(error).__name__})")
    return Member(path=path, name=name)


def _copy(head: bytes, stream: IO[bytes], file: IO[bytes], budget: _Budget) -> None:
    """Copy the rest of a member; its checksum is compared at its end."""
    written = 0
    chunk = head
    while chunk:
        budget.take(len(chunk))
        written += len(chunk)
        if written > MOST_BYTES:
            raise ValueError("a file beyond the cap")
        file.write(chunk)
        chunk = stream.read(_CHUNK)


def _path_for(folder: Path, name: str, number: int, fallback: str) -> Path:
    """A path in our folder. NIfTI keeps its names' harmless characters, for they tell the sequence and the study."""
    if not name.lower().endswith(_NIFTI):
        return folder / f"{number:06d}.dcm"
    where = PurePosixPath(name.replace("\\", "/"))
    safe = _harmless(where.name)
    home = folder / f"nifti-{zlib.crc32(str(where.parent).encode()):08x}"
    home = home.joinpath(*[part for part in map(_harmless, where.parent.parts[-3:]) if part] or [fallback])
    home.mkdir(parents=True, exist_ok=True)
    path = home / safe
    return path if not path.exists() else home / f"{number:06d}-{safe}"


def _harmless(name: str) -> str:
    """A part of a path without what could lead elsewhere."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-")[-120:]


def _check_directory(archive: Path, label: str) -> None:
    """Refuses an archive whose directory is larger than any study's, before it is read into memory."""
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 16) - 22 - 20))
        tail = file.read()
        end = tail.rfind(b"PK\x05\x06")
        if end < 0:
            raise zipfile.BadZipFile("no end of directory")
        (length,) = struct.unpack_from("<I", tail, end + 12)
        if length == 0xFFFFFFFF and tail[end - 20 : end - 16] == b"PK\x06\x07":
            (where,) = struct.unpack_from("<Q", tail, end - 12)
            file.seek(min(where, size))
            (length,) = struct.unpack_from("<Q", file.read(56), 40)
    if length > _MOST_DIRECTORY:
        raise StudyError(f"{label} has too large a directory", expected=f"{_MOST_DIRECTORY:,} bytes", got=length)
