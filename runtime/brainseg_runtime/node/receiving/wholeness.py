"""Whether an image is whole: its elements, read by their lengths alone, reach to the end of its pixels.

A sender whose own file was cut off says nothing of it: the message ends in order, and what arrives has the identifiers
of the whole image. What follows the pixels, such as padding, may be anything.

Source: DICOM PS3.5, 7.1 (elements), 7.5 (sequences), A.4 (encapsulated pixels), 6.2.2 note 2 (UN of undefined length).
"""

from __future__ import annotations

import mmap
import zlib
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.studies.dicom.files import BIG_ENDIAN, DEFLATED, MOST_INFLATED

_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ITEM: Final = 0xFFFEE000
_SEQUENCE_ENDS: Final = 0xFFFEE0DD
_ENDS: Final = frozenset({0xFFFEE00D, _SEQUENCE_ENDS})
_UNDEFINED: Final = 0xFFFFFFFF

_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Representations with a length of four bytes after two that are reserved."""

_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_KNOWN: Final = _LONG | _SHORT

_MOST_ELEMENTS: Final = 1_000_000
"""More than an enhanced object of 2,000 frames has; each costs a few microseconds."""

_MOST_DEPTH: Final = 32
"""Sequences within sequences."""

_PIECE: Final = 1 << 20


def is_whole(path: Path, offset: int, syntax: str) -> bool:
    """Whether an image's data set is not cut off before the end of its pixels, and has pixels at all.

    Of a deflated data set only the deflated stream is followed to its end.

    Args:
        path: The file.
        offset: Where its data set begins.
        syntax: Transfer syntax UID.

    Raises:
        OSError: The file cannot be read.
    """
    if syntax == DEFLATED:
        return _inflates(path, offset)
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return False
        with data:
            try:
                return _Walk(data, offset, "big" if syntax == BIG_ENDIAN else "little").reaches_the_end_of_pixels()
            except _CutError:
                return False


class _CutError(ValueError):
    """The data ends within something, or nothing follows it that could. Never leaves this module."""


class _Walk:
    """Goes through a data set from length to length, and reads no value.

    Args:
        data: The file.
        at: Where its data set begins.
        order: Of bytes.
    """

    def __init__(self, data: mmap.mmap, at: int, order: Literal["little", "big"]) -> None:
        self._data = data
        self._size = len(data)
        self._at = at
        self._order = order
        self._elements = 0

    def reaches_the_end_of_pixels(self) -> bool:
        """Whether it finds pixels that are whole.

        Raises:
            _CutError: The data set is cut off.
        """
        return self._dataset(0)

    def _dataset(self, depth: int, *, implicit: bool | None = None) -> bool:
        """Go to the end of a data set, or of the pixels of the outermost one; whether those were found."""
        if implicit is None:  # the elements show it; some files' transfer syntax does not say the truth
            implicit = self._data[self._at + 4 : self._at + 6] not in _KNOWN
        while True:
            if depth == 0 and self._at == self._size:
                return False
            tag, head = self._head()
            if depth and tag in _ENDS:
                self._skip(8)
                return False
            representation = head[4:6]
            if implicit or not (representation.isalpha() and representation.isupper()):
                width, length = 8, int.from_bytes(head[4:8], self._order)
            elif representation in _LONG:
                width, length = 12, int.from_bytes(head[8:12], self._order)
            else:
                width, length = 8, int.from_bytes(head[6:8], self._order)
            self._skip(width)
            if length != _UNDEFINED:
                self._skip(length)
            else:
                inside = True if implicit or representation == b"UN" else None
                self._items(depth + 1, implicit=inside)
            if depth == 0 and tag in _PIXELS:
                return True

    def _items(self, depth: int, *, implicit: bool | None) -> None:
        """Go past the items of a sequence, or the fragments of compressed pixels, and what ends them."""
        if depth > _MOST_DEPTH:
            raise _CutError
        while True:
            tag, head = self._head()
            self._skip(8)
            if tag == _SEQUENCE_ENDS:
                return
            if tag != _ITEM:
                raise _CutError
            length = int.from_bytes(head[4:8], self._order)
            if length == _UNDEFINED:
                self._dataset(depth, implicit=implicit)
            else:
                self._skip(length)

    def _head(self) -> tuple[int, bytes]:
        """The tag that follows, and the bytes from it on that hold the element's representation and length."""
        self._elements += 1
        head = self._data[self._at : self._at + 12]
        if self._elements > _MOST_ELEMENTS or len(head) < 8:
            raise _CutError
        return int.from_bytes(head[:2], self._order) << 16 | int.from_bytes(head[2:4], self._order), head

    def _skip(self, count: int) -> None:
        """Go on by some bytes, all of which must be there."""
        if count > self._size - self._at:
            raise _CutError
        self._at += count


def _inflates(path: Path, offset: int) -> bool:
    """Whether deflated data comes to its end, within the size that is read."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    with path.open("rb") as file:
        file.seek(offset)
        try:
            while not inflater.eof and total <= MOST_INFLATED:
                piece = inflater.unconsumed_tail or file.read(_PIECE)
                if not piece:
                    return False
                total += len(inflater.decompress(piece, _PIECE))
        except zlib.error:
            return False
    return inflater.eof and total <= MOST_INFLATED
