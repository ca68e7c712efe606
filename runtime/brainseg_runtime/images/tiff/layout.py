"""Where a TIFF's pixels lie: the grid of strips or tiles, and the bytes of each, checked against the file and the caps.

A byte count that is absent, zero or beyond the end is accepted as long as the pixels are there. Missing pixels are a
fault: a strip without a place in the file, or one that is shorter than its share of the image.

Legend: H rows, W columns, S samples a pixel.
Source: TIFF revision 6.0, Adobe, 1992, sections 8 and 15.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, NamedTuple

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.raster import COPY_AGAIN, check_size, truncated
from brainseg_runtime.images.tiff.tags import Page, Tag

_MAX_TILE_SIDE: Final = 4096  # twice the largest image: one tile may be the whole of it, rounded up
_MAX_SEGMENTS: Final = 1 << 16


class Compression(IntEnum):
    """The compressions that are decoded."""

    NONE = 1
    CCITT_RLE = 2
    CCITT_4 = 4
    LZW = 5
    JPEG = 7
    DEFLATE = 8
    PACKBITS = 32773
    OLD_DEFLATE = 32946
    LZMA = 34925


class Segment(NamedTuple):
    """One strip or tile of one plane.

    Attributes:
        data: The bytes that it may use.
        plane: Index of its plane; 0 where samples are interleaved.
        top: Its first row.
        left: Its first column.
        rows: Rows of it that lie in the image.
        need: Bytes of those rows once decoded.
    """

    data: memoryview
    plane: int
    top: int
    left: int
    rows: int
    need: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How the pixels are stored.

    Attributes:
        height: H.
        width: W.
        samples: S, as many as are stored.
        bits: Of each sample: 1, 2, 4 or 8, or 32 of floating point.
        planes: S where each sample has a plane of its own, else 1.
        columns: Width of a strip or tile.
        block_rows: Its rows when full; the last strip may have fewer.
        segments: Plane by plane, row by row.
        notes: What was assumed.
    """

    height: int
    width: int
    samples: int
    bits: int
    planes: int
    columns: int
    block_rows: int
    segments: tuple[Segment, ...]
    notes: tuple[str, ...]

    @property
    def row_samples(self) -> int:
        """Samples of a pixel that lie beside each other."""
        return self.samples // self.planes

    @property
    def row_bytes(self) -> int:
        """Bytes of a decoded row of a strip or tile."""
        return (self.columns * self.row_samples * self.bits + 7) // 8


def read_layout(
    data: bytes, page: Page, *, samples: int, bits: int, compression: Compression, limits: Limits
) -> Layout:
    """Find every strip or tile.

    Args:
        data: The file's bytes.
        page: Its tags.
        samples: Samples a pixel.
        bits: Bits a sample.
        compression: How segments are compressed.
        limits: No side may exceed `max_side`.

    Raises:
        ImageError: The size is out of range, the grid is impossible, or a segment is missing or cut off.
    """
    height, width = page.one(Tag.HEIGHT), page.one(Tag.WIDTH)
    check_size(height, width, limits)
    planes = samples if page.one(Tag.PLANAR, 1) == 2 else 1
    tiled = Tag.TILE_OFFSETS in page.tags or _has_tiles(page)
    offsets = page.tags.get(Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS, ())
    # Some writers put the places of tiles under the tags of strips.
    offsets = offsets or page.tags.get(Tag.STRIP_OFFSETS, ())
    sizes = page.tags.get(Tag.TILE_SIZES, ()) or page.tags.get(Tag.STRIP_SIZES, ())
    notes: list[str] = []
    rows, columns = _tile_sides(page) if tiled else (_strip_rows(page, height, planes, len(offsets), notes), width)
    grid = [(top, left) for top in range(0, height, rows) for left in range(0, width, columns)]
    count = planes * len(grid)
    if count > _MAX_SEGMENTS or len(offsets) < count:
        got = f"{len(offsets)} offsets"
        raise ImageError(
            "the TIFF's pixels are incomplete", expected=f"{count} strips or tiles", got=got, remedy=COPY_AGAIN
        )
    layout = Layout(
        height=height,
        width=width,
        samples=samples,
        bits=bits,
        planes=planes,
        columns=columns,
        block_rows=rows,
        segments=(),
        notes=(),
    )
    row_bytes = layout.row_bytes
    places = _Places(data, offsets, sizes, compression, rows * row_bytes)
    segments = []
    for index in range(count):
        plane, position = divmod(index, len(grid))
        top, left = grid[position]
        inside = min(rows, height - top)
        need = inside * row_bytes
        segments.append(Segment(places.bytes_of(index, need), plane, top, left, inside, need))
    if places.guessed:
        notes.append(
            "Byte counts are absent, zero or run past the end of the file; the pixels are there and were read."
        )
    return replace(layout, segments=tuple(segments), notes=tuple(notes))


def _tile_sides(page: Page) -> tuple[int, int]:
    """Rows and columns of a tile."""
    rows, columns = page.one(Tag.TILE_HEIGHT), page.one(Tag.TILE_WIDTH)
    if not (0 < rows <= _MAX_TILE_SIDE and 0 < columns <= _MAX_TILE_SIDE):
        expected = f"sides of 1 to {_MAX_TILE_SIDE} pixels"
        raise ImageError("the TIFF's tiles are damaged", expected=expected, got=f"{rows}x{columns}")
    return rows, columns


def _has_tiles(page: Page) -> bool:
    """Whether a page without offsets of tiles has tiles all the same, as libtiff reads it."""
    sides = (page.tags.get(tag, (0,))[0] for tag in (Tag.TILE_WIDTH, Tag.TILE_HEIGHT))
    return Tag.ROWS_PER_STRIP not in page.tags and all(sides)


def _strip_rows(page: Page, height: int, planes: int, offsets: int, notes: list[str]) -> int:
    """Rows of a full strip."""
    rows = min(page.one(Tag.ROWS_PER_STRIP, height), height)
    expected = planes * -(-height // rows) if rows else 0
    if rows and offsets >= expected:
        return rows
    if offsets == planes:  # one strip holds a whole plane, whatever the tag says
        notes.append(
            "The number of rows of a strip does not fit the number of strips; one strip was read as the image."
        )
        return height
    if not rows:
        raise ImageError("the TIFF's strips are damaged", expected="a row or more in each", got=rows)
    return rows


class _Places:
    """The bytes of each segment."""

    def __init__(
        self, data: bytes, offsets: tuple[int, ...], sizes: tuple[int, ...], compression: Compression, full: int
    ) -> None:
        self._data = memoryview(data)
        self._offsets = offsets
        # Where every count is zero they say nothing; where one is, that strip or tile was never written.
        self._sizes = sizes if len(sizes) >= len(offsets) and any(sizes) else ()
        self._plain = compression is Compression.NONE
        self._ends: list[int] = []
        # More than any method needs, so that a crafted file cannot have the same bytes gone through again and again;
        # tables and notes of a JPEG come on top.
        self._most = 2 * full + (1 << 16)
        self.guessed = not self._sizes

    def bytes_of(self, index: int, need: int) -> memoryview:
        """A segment's bytes; `need` of them where nothing is compressed.

        Raises:
            ImageError: It has no place in the file, or ends before its pixels.
        """
        offset, size = self._offsets[index], self._sizes[index] if self._sizes else 0
        if not offset or offset >= len(self._data) or (self._sizes and not size):
            where = "beyond the end of the file" if offset and (size or not self._sizes) else "left out by its writer"
            raise truncated(f"strip or tile {index + 1} {where}")
        room = len(self._data) - offset
        if not 0 < size <= room:
            self.guessed = True
            size = room if self._plain else self._next(offset) - offset
        if not self._plain:
            return self._data[offset : offset + min(size, self._most)]
        if size < need:
            raise truncated(f"{size} bytes of {need} in strip or tile {index + 1}")
        return self._data[offset : offset + need]

    def _next(self, offset: int) -> int:
        """Where the next segment begins, or the file ends."""
        self._ends = self._ends or sorted({*self._offsets, len(self._data)})
        return self._ends[bisect_right(self._ends, offset)]
