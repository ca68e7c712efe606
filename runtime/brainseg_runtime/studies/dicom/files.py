"""One DICOM file: recognised, and parsed as far as its pixels, within limits.

The file meta information is parsed here, so that a deflated file is inflated under a cap. What follows is parsed by
pydicom, and only the elements that are used are kept. Files without preamble and meta information, as some archives
still store them, are recognised by their first element.

Source: DICOM PS3.10, 7.1 (file meta information); PS3.5, 7.1 and A.1 to A.5 (encodings).
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom.elements import is_cut
from brainseg_runtime.studies.dicom.library import FAULTS, quiet

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
NATIVE: Final = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})
"""Transfer syntaxes whose pixels are not compressed one by one."""

MOST_BYTES: Final = 1 << 30
"""Largest file: an enhanced object of 2,000 frames of 512 × 512 has this size."""

MOST_INFLATED: Final = 1 << 28
"""Largest deflated file once inflated; deflation shrinks up to a thousandfold."""

_AT_ONCE: Final = 1 << 22
"""Largest file that is read into memory as a whole, which is faster: a slice, but not a series of frames."""

HEAD: Final = 512
"""Bytes that show whether a file is DICOM, and whether it is a medium's directory."""

_DIRECTORY: Final = b"\2\0\2\0UI\x14\x001.2.840.10008.1.3.10"
"""MediaStorageSOPClassUID of a DICOMDIR, as the file meta information of every one encodes it."""

_MOST_META: Final = 1 << 16
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Representations with a length of four bytes."""

_PIXELS: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_UNDEFINED: Final = 0xFFFFFFFF
_REMEDY: Final = "fetch the file again from where it came from"


@dataclass(frozen=True, kw_only=True)
class PixelElement:
    """Where the pixels are.

    Attributes:
        keyword: "PixelData", or that of pixels as floating-point numbers.
        representation: "OB", "OW"; "" in implicit encoding.
        offset: Of the value, in bytes from the file's start, or from that of the inflated data.
        length: In bytes; None if compressed frames follow one another until a delimiter.
    """

    keyword: str
    representation: str
    offset: int
    length: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Parsed:
    """A parsed file.

    Attributes:
        dataset: The elements that were asked for.
        syntax: Transfer syntax UID.
        pixels: Where the pixels are; None if there are none.
        size: Of the file, or of its inflated data, in bytes.
    """

    dataset: Dataset
    syntax: str
    pixels: PixelElement | None
    size: int


def is_dicom(head: bytes) -> bool:
    """Whether a file's first `HEAD` bytes are those of a DICOM file."""
    return head[128:132] == b"DICM" or _bare_syntax(head) is not None


def is_directory(head: bytes) -> bool:
    """Whether a file's first `HEAD` bytes are those of a DICOMDIR, which lists a medium's files and holds no image.

    Source: DICOM PS3.10, 8.6.
    """
    return head[128:132] == b"DICM" and _DIRECTORY in head


def parse(path: Path, label: str, tags: Iterable[int]) -> Parsed:
    """Parse a file as far as its pixels.

    Args:
        path: The file.
        label: Its name in messages.
        tags: The elements to keep.

    Raises:
        StudyError: It is damaged or too large.
    """
    try:
        with _Clamped(path) as opened:
            if opened.size > MOST_BYTES:
                raise StudyError(f"{label} is too large", expected=f"at most {MOST_BYTES:,} bytes", got=opened.size)
            small = opened.size <= _AT_ONCE
            syntax, data, size = _body(io.BytesIO(opened.read()) if small else opened, opened.size, label)
            with quiet():
                dataset, pixels = _elements(data, syntax, tags)
                cut = is_cut(dataset)
    except FAULTS as error:
        raise StudyError(f"{label} is damaged", got=type(error).__name__, remedy=_REMEDY) from error
    if cut:
        raise StudyError(f"{label} is cut off within its header", remedy=_REMEDY)
    return Parsed(dataset=dataset, syntax=syntax, pixels=pixels, size=size)


def read_bytes(path: Path, syntax: str, offset: int, length: int | None) -> bytes:
    """Some of a file's bytes, or of what it is inflated to.

    Args:
        path: A file that `parse` has accepted.
        syntax: Its transfer syntax.
        offset: Where to begin.
        length: How many; None: all that follow.

    Raises:
        StudyError: The file has changed, or its deflated data is damaged.
        OSError: It cannot be read.
    """
    with _Clamped(path) as opened:
        data: BinaryIO = opened
        if syntax == DEFLATED:
            _, data, _ = _body(opened, opened.size, path.name)
        data.seek(offset)
        return data.read(-1 if length is None else length)


class _Clamped(io.BufferedReader):
    """A file whose `read` allocates no more than is left, whatever length a damaged element asks for."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = self.seek(0, io.SEEK_END)
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes."""
        left = max(0, self.size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _body(opened: BinaryIO, size: int, label: str) -> tuple[str, BinaryIO, int]:
    """Transfer syntax, and the dataset after the meta information, inflated if need be, at its beginning."""
    head = opened.read(HEAD)
    opened.seek(0)
    if head[128:132] != b"DICM":
        syntax = _bare_syntax(head)
        if syntax is None:
            raise StudyError(f"{label} is not DICOM")
    else:
        syntax = _meta_syntax(opened)
    if syntax != DEFLATED:
        return syntax, opened, size
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(opened.read(), MOST_INFLATED + 1)
    if len(data) > MOST_INFLATED:
        raise StudyError(f"{label} is too large once inflated", expected=f"at most {MOST_INFLATED:,} bytes")
    if not inflater.eof:
        raise StudyError(f"{label} is cut off within its deflated data", remedy=_REMEDY)
    return syntax, io.BytesIO(data), len(data)


def _bare_syntax(head: bytes) -> str | None:
    """The encoding of a dataset without preamble; None if it does not begin with group 8."""
    if len(head) < 16 or head[:2] != b"\x08\x00" or head[2:4] > b"\x60\x00":
        return None
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[6:8] if explicit else head[4:8], "little")
    return None if length > 1024 else EXPLICIT if explicit else IMPLICIT


def _meta_syntax(opened: BinaryIO) -> str:
    """The transfer syntax that the meta information names; leaves the file at the dataset that follows."""
    opened.seek(132)
    syntax = IMPLICIT  # the default where none is named
    while opened.tell() < _MOST_META:
        start = opened.tell()
        head = opened.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            opened.seek(start)
            return syntax or IMPLICIT
        length = int.from_bytes(head[6:8], "little")
        if head[4:6] in _LONG:
            length = int.from_bytes(opened.read(4), "little")
        if head[2:4] == b"\x10\x00" and length <= 64:
            syntax = opened.read(length).decode("ascii").strip("\0 ")
        else:
            opened.seek(length, io.SEEK_CUR)
    raise ValueError("the file meta information does not end")


def _elements(data: BinaryIO, syntax: str, tags: Iterable[int]) -> tuple[Dataset, PixelElement | None]:
    """The elements asked for, and where the pixels are."""
    from pydicom.filereader import read_dataset

    def at_pixels(tag: BaseTag, _: str | None, __: int) -> bool:
        return int(tag) >= 0x7FE00008

    little, implicit = syntax != BIG_ENDIAN, syntax == IMPLICIT
    dataset = read_dataset(data, implicit, little, stop_when=at_pixels, specific_tags=list(tags))
    is_implicit = dataset.original_encoding[0]
    return dataset, _pixel_element(data, implicit if is_implicit is None else is_implicit, little)


def _pixel_element(data: BinaryIO, implicit: bool, little: bool) -> PixelElement | None:
    """The element at which parsing stopped; None if it is no pixel data."""
    order: Literal["little", "big"] = "little" if little else "big"
    head = data.read(8)
    if len(head) < 8:
        return None
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in _PIXELS:
        return None
    explicit = not implicit and head[4:6] in _LONG
    length = int.from_bytes(data.read(4) if explicit else head[4:8], order)
    return PixelElement(
        keyword=_PIXELS[tag],
        representation=head[4:6].decode("ascii") if explicit else "",
        offset=data.tell(),
        length=None if length == _UNDEFINED else length,
    )
