"""The tags of a TIFF that say where its pixels lie and what they mean, read under caps.

Nothing is followed but the first page; every offset must lie in the file.
Source: TIFF revision 6.0, Adobe, 1992, section 2; BigTIFF, Aware Systems.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from brainseg_runtime.errors import ImageError

RESAVE: Final = "save it as an uncompressed 8-bit TIFF with one page"
"""The remedy for a TIFF of another kind."""


class Tag(IntEnum):
    """The tags that say where pixels lie and what they mean; all others are passed over."""

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
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_SIZES = 325
    SAMPLE_FORMAT = 339
    DEPTH = 32997


Tags = Mapping[Tag, tuple[int, ...]]

_MAX_TAGS: Final = 512  # writers of microscopes reach about 100
_MAX_VALUES: Final = 3 * 2048  # of one tag: one strip a row of the largest image, in three planes
_INTEGERS: Final = MappingProxyType({1: "B", 3: "H", 4: "I", 16: "Q"})  # field types BYTE, SHORT, LONG, LONG8


def read_tags(data: bytes) -> Tags:
    """The known tags of the only page.

    Args:
        data: The file's bytes.

    Raises:
        ImageError: It is no TIFF, a tag that matters is damaged, or there is more than one page.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    version = struct.unpack(f"{order}H", data[2:4])[0] if order and len(data) >= 16 else None
    if order is None or version not in (42, 43):
        raise ImageError("not a TIFF", expected="II or MM, then 42 or 43", got=_shown(data[:4]))
    if version == 43:
        size, zero, first = struct.unpack(f"{order}HHQ", data[4:16])
        if (size, zero) != (8, 0):
            raise ImageError("not a TIFF", expected="BigTIFF offsets of 8 bytes", got=f"{size} bytes")
        return _read_page(data, first, order, head="Q", entry="HHQ", value="Q")
    return _read_page(data, struct.unpack(f"{order}I", data[4:8])[0], order, head="H", entry="HHI", value="I")


def _read_page(data: bytes, start: int, order: str, *, head: str, entry: str, value: str) -> Tags:
    """The known tags of the page that begins at an offset; there must be no page after it."""
    count = _unpack(data, start, order + head)[0]
    if not 0 < count <= _MAX_TAGS:
        raise ImageError("the TIFF's page is damaged", expected=f"1 to {_MAX_TAGS} tags", got=count)
    at = start + struct.calcsize(order + head)
    inline = struct.calcsize(value)
    step = struct.calcsize(order + entry) + inline
    tags: dict[Tag, tuple[int, ...]] = {}
    for position in range(at, at + count * step, step):
        code, kind, n = _unpack(data, position, order + entry)
        if code not in Tag.__members__.values():
            continue
        tag = Tag(code)
        if tag in tags or kind not in _INTEGERS or not 0 < n <= _MAX_VALUES:
            raise ImageError(
                "a TIFF tag is damaged", expected=f"one tag {tag.name} of whole numbers", got=f"{n} values"
            )
        layout = f"{order}{n}{_INTEGERS[kind]}"
        offset = position + step - inline
        if struct.calcsize(layout) > inline:
            offset = _unpack(data, offset, order + value)[0]
        tags[tag] = _unpack(data, offset, layout)
    if _unpack(data, at + count * step, order + value)[0]:
        raise ImageError("the TIFF has more than one page", expected="one page", got="a further page", remedy=RESAVE)
    return tags


def one_value(tags: Tags, tag: Tag, default: int | None = None) -> int:
    """The only value of a tag.

    Raises:
        ImageError: It has none or several.
    """
    values = tags.get(tag, () if default is None else (default,))
    if len(values) != 1:
        raise ImageError("a TIFF tag is missing or damaged", expected=f"one value of {tag.name}", got=len(values))
    return values[0]


def _unpack(data: bytes, offset: int, layout: str) -> tuple[int, ...]:
    """Numbers at an offset, which must lie in the file."""
    if offset + struct.calcsize(layout) > len(data):
        raise ImageError("the TIFF is truncated or damaged", expected="a tag inside the file", got="one beyond its end")
    return struct.unpack_from(layout, data, offset)


def _shown(head: bytes) -> str:
    """First bytes as an error shows them."""
    return head.hex(" ") or "an empty file"
