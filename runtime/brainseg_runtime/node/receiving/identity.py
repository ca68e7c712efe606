"""What an image says that it is: read from the beginning of its data set, and nothing of it believed unchecked."""

from __future__ import annotations

import io
import itertools
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.studies.dicom.files import BIG_ENDIAN, DEFLATED, IMPLICIT
from brainseg_runtime.studies.dicom.library import FAULTS, quiet

if TYPE_CHECKING:
    from pydicom.tag import BaseTag

_UID: Final = re.compile(r"[0-9.]{1,64}")
_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_TAGS: Final = (_SOP_CLASS, _SOP_INSTANCE, _STUDY)

_MOST_BEFORE: Final = 1 << 22
"""Bytes within which the identifiers must come: what comes before are a few elements and a maker's private ones."""

_MOST_ELEMENTS: Final = 5000
"""Elements among which the identifiers must be; a damaged file can pretend to millions, which take seconds to read."""

MOST_HEAD: Final = 1 << 16
"""Bytes within which a file's meta information must end."""

_LONG: Final = frozenset({b"OB", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})
"""Representations in file meta information with a length of four bytes."""


class UnreadableError(ValueError):
    """What arrived is no DICOM data set, or does not say what it is. Never leaves this folder."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an image says that it is.

    Attributes:
        sop_class: SOPClassUID.
        sop_uid: SOPInstanceUID.
        study_uid: StudyInstanceUID.
    """

    sop_class: str
    sop_uid: str
    study_uid: str


def is_uid(text: str) -> bool:
    """Whether a text has the form of a UID: digits and full stops, at most 64. Real ones have leading zeros.

    Examples:
        >>> is_uid("1.2.840.10008.1.1"), is_uid("../../etc")
        (True, False)
    """
    return _UID.fullmatch(text) is not None


def read_identity(path: Path, offset: int, syntax: str) -> Identity:
    """Read what an image is.

    Args:
        path: The file.
        offset: Where its data set begins.
        syntax: Transfer syntax UID.

    Raises:
        UnreadableError: The data set is damaged, or one of the three identifiers is missing.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(_MOST_BEFORE)
    try:
        with quiet():
            return _identity(_inflated(data) if syntax == DEFLATED else data, syntax)
    except FAULTS as error:
        raise UnreadableError("the data set is damaged") from error


def meta_of(head: bytes) -> tuple[int, str]:
    """Where the data set of a file begins, and its transfer syntax.

    Args:
        head: The first `MOST_HEAD` bytes of the file, or all of it.

    Raises:
        UnreadableError: It is no DICOM file with file meta information.
    """
    if head[128:132] != b"DICM":
        raise UnreadableError("no DICOM file")
    data = io.BytesIO(head)
    data.seek(132)
    syntax = ""
    while len(element := data.read(8)) == 8:
        if element[:2] != b"\2\0":
            if not is_uid(syntax):
                break
            return data.tell() - 8, syntax
        length = int.from_bytes(element[6:8], "little")
        if element[4:6] in _LONG:
            length = int.from_bytes(data.read(4), "little")
        value = data.read(length)
        if len(value) < length:
            break
        if element[2:4] == b"\x10\0":
            syntax = value.decode("ascii", "replace").strip("\0 ")
    raise UnreadableError("the file meta information is damaged")


def _inflated(data: bytes) -> bytes:
    """The beginning of a deflated data set."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MOST_BEFORE)


def _identity(data: bytes, syntax: str) -> Identity:
    """The three identifiers."""
    from pydicom.filereader import read_dataset

    numbers = itertools.count(1)

    def after(tag: BaseTag, _: str | None, __: int) -> bool:
        if next(numbers) > _MOST_ELEMENTS:
            raise UnreadableError("too many elements")
        return int(tag) > _STUDY

    little, implicit = syntax != BIG_ENDIAN, syntax == IMPLICIT
    dataset = read_dataset(io.BytesIO(data), implicit, little, stop_when=after, specific_tags=list(_TAGS))
    texts = [str(dataset[tag].value or "").strip("\0 ") for tag in _TAGS]
    if not all(map(is_uid, texts)):
        raise UnreadableError("an identifier is no UID")
    return Identity(*texts)
