"""The tags of a TIFF that say where its pixels lie and what they mean, read under caps.

Harmless mistakes of writers are accepted: numbers of an unusual width, a tag that is there twice, a pointer to a next
page that leads nowhere. Further pages are counted, never decoded.

Source: TIFF revision 6.0, Adobe, 1992, section 2; BigTIFF, Aware Systems; TIFF Tech Note 3 (ZIP, predictor).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.raster import COPY_AGAIN


class Tag(IntEnum):
    """The tags that say where pixels lie and what they mean; all others are ignored."""

    SUBFILE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_SIZES = 279
    PLANAR = 284
    FAX_OPTIONS = 292
    SOFTWARE = 305
    PREDICTOR = 317
    COLOURS = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_SIZES = 325
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    DEPTH = 32997


Tags = Mapping[Tag, tuple[int, ...]]

_KNOWN: Final = MappingProxyType({int(tag): tag for tag in Tag})
_DISPENSABLE: Final = frozenset({Tag.SUBFILE, Tag.ORIENTATION, Tag.STRIP_SIZES, Tag.TILE_SIZES, Tag.SOFTWARE})
"""Tags that count as absent if they cannot be read."""
_MAX_TAGS: Final = 4096  # writers of microscopes reach some hundreds
_MAX_VALUES: Final = 1 << 16  # of one tag; 4 planes of 2048 strips of one row are 8192
MAX_PAGES: Final = 100
"""Pages are counted up to this number, for an error's text."""
_REDUCED, _MASK = 1, 4  # bits of SUBFILE: a smaller copy of another page, a transparency mask for it
_NUMBERS: Final = MappingProxyType(
    {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
)
"""Formats of numbers by field type; no tag that is read holds fractions or floating point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The first page of a TIFF.

    Attributes:
        tags: Values of the known tags.
        pages: How many full pages the file has, including this one.
        notes: What was ignored.
    """

    tags: Tags
    pages: int
    notes: tuple[str, ...]

    def one(self, tag: Tag, default: int | None = None) -> int:
        """The value of a tag that has one value, or several equal ones.

        Raises:
            ImageError: It has none, or several that differ.
        """
        values = self.tags.get(tag, () if default is None else (default,))
        if len(values) == 1:
            return values[0]
        if not values or any(value != values[0] for value in values):
            got = f"{len(values)} different values" if values else "none"
            raise ImageError(
                "a TIFF tag is missing or damaged", expected=f"one value of {tag.name}", got=got, remedy=COPY_AGAIN
            )
        return values[0]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file's numbers are written."""

    order: str
    count: str
    entry: str
    offset: str

    @property
    def step(self) -> int:
        """Bytes of one entry, its value among them."""
        return struct.calcsize(self.order + self.entry) + struct.calcsize(self.offset)


def is_tiff(data: bytes) -> bool:
    """Whether the bytes begin as a classic or a big TIFF does, in either byte order."""
    return data[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


def read_page(data: bytes) -> Page:
    """Read the known tags of the first page, and count the pages after it.

    Raises:
        ImageError: The file is cut off, or a tag that matters is damaged.
    """
    order = "<" if data[:2] == b"II" else ">"
    if b"+" in data[2:4]:
        size, zero, start = _unpack(data, 4, f"{order}HHQ")
        if (size, zero) != (8, 0):
            raise ImageError("the TIFF is damaged", expected="BigTIFF offsets of 8 bytes", got=f"{size} bytes")
        form = _Form(order, "Q", "HHQ", "Q")
    else:
        (start,) = _unpack(data, 4, f"{order}I")
        form = _Form(order, "H", "HHI", "I")
    notes: list[str] = []
    tags, after = _tags(data, start, form, notes)
    pages, passed_over = _further_pages(data, start, after, form)
    return Page(tags=tags, pages=pages, notes=(*notes, *passed_over))


def _tags(data: bytes, start: int, form: _Form, notes: list[str]) -> tuple[dict[Tag, tuple[int, ...]], int]:
    """The known tags of the page at an offset, and where the pointer to the next page stands."""
    (count,) = _unpack(data, start, form.order + form.count)
    if not 0 < count <= _MAX_TAGS:
        raise ImageError("the TIFF's page is damaged", expected=f"1 to {_MAX_TAGS} tags", got=count, remedy=COPY_AGAIN)
    at = start + struct.calcsize(form.count)
    end = at + count * form.step
    if end > len(data):
        raise _cut()
    tags: dict[Tag, tuple[int, ...]] = {}
    taken = 0
    entry = struct.Struct(form.order + form.entry)
    for position in range(at, end, form.step):
        code, kind, n = entry.unpack_from(data, position)
        tag = _KNOWN.get(code)
        if tag is None or not n:
            continue
        taken += n  # a crafted page could name the same long list thousands of times
        try:
            values = _values(data, position + entry.size, kind, n if taken <= 4 * _MAX_VALUES else taken, form)
        except ImageError:
            if tag not in _DISPENSABLE:
                raise
            if tag is Tag.SOFTWARE:
                tags.setdefault(tag, ())  # there, and nobody knows what it says
            continue
        if tags.setdefault(tag, values) != values and tag is not Tag.SOFTWARE:
            notes.append(f"Its tag {tag.name} is there twice; the first one holds, as in other readers.")
    return tags, end


def _values(data: bytes, at: int, kind: int, n: int, form: _Form) -> tuple[int, ...]:
    """The numbers of one entry, whose value or its offset stands at `at`."""
    if kind not in _NUMBERS or n > _MAX_VALUES:
        got = f"{n} values of type {kind}"
        raise ImageError("a TIFF tag is damaged", expected="whole numbers, not too many", got=got, remedy=COPY_AGAIN)
    layout = f"{form.order}{n}{_NUMBERS[kind]}"
    if struct.calcsize(layout) > struct.calcsize(form.offset):
        (at,) = _unpack(data, at, form.order + form.offset)
    values = _unpack(data, at, layout)
    if min(values) < 0:
        raise ImageError("a TIFF tag is damaged", expected="no negative number", got=min(values), remedy=COPY_AGAIN)
    return values


def _further_pages(data: bytes, start: int, pointer: int, form: _Form) -> tuple[int, tuple[str, ...]]:
    """How many full pages there are, and what was passed over on the way."""
    seen, pages, small = {start}, 1, 0
    while len(seen) < MAX_PAGES:
        if pointer + struct.calcsize(form.offset) > len(data):
            return pages, ("The file ends before the pointer to a next page; it was read as one page.",)
        (following,) = _unpack(data, pointer, form.order + form.offset)
        if not following:
            break
        found = None if following in seen else _subfile(data, following, form)
        if found is None:
            return pages, ("The pointer to a next page is invalid and was ignored.",)
        seen.add(following)
        subfile, pointer = found
        if subfile & (_REDUCED | _MASK):
            small += 1
        else:
            pages += 1
    return pages, (f"Further pages that are marked as thumbnails or masks were left out: {small}.",) if small else ()


def _subfile(data: bytes, start: int, form: _Form) -> tuple[int, int] | None:
    """What kind of page begins at an offset, and where its pointer to the next one stands; None if none does."""
    at = start + struct.calcsize(form.count)
    if at > len(data):
        return None
    (count,) = _unpack(data, start, form.order + form.count)
    end = at + count * form.step
    if not 0 < count <= _MAX_TAGS or end > len(data):
        return None
    entry = struct.Struct(form.order + form.entry)
    found: set[int] = set()
    subfile = 0
    for position in range(at, end, form.step):
        code, kind, _ = entry.unpack_from(data, position)
        found.add(code)
        if code == Tag.SUBFILE and kind in _NUMBERS:
            (subfile,) = struct.unpack_from(form.order + _NUMBERS[kind], data, position + entry.size)
    return (subfile, end) if {Tag.WIDTH, Tag.HEIGHT} <= found else None


def _unpack(data: bytes, offset: int, layout: str) -> tuple[int, ...]:
    """Numbers at an offset, which must lie in the file."""
    if offset + struct.calcsize(layout) > len(data):
        raise _cut()
    return struct.unpack_from(layout, data, offset)


def _cut() -> ImageError:
    """The error for an offset outside the file."""
    return ImageError(
        "the TIFF is truncated or damaged",
        expected="tags inside the file",
        got="one beyond its end",
        remedy=COPY_AGAIN,
    )
