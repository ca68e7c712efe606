"""Strips and tiles decompressed, each to exactly its share of the image.

Deflate and LZMA are Python's own; PackBits, JPEG, LZW and CCITT are Pillow's, the last two by the libtiff within it.
libtiff needs a file around its data, so it gets one that holds nothing but strips, made with Pillow's writer of tags.

Source: TIFF revision 6.0, Adobe, 1992, sections 9 to 14; Adobe Photoshop TIFF technical notes, 2002 (Deflate).
"""

from __future__ import annotations

import io
import lzma
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import Final, TypeAlias

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.jpeg import decode_stream, read_frame
from brainseg_runtime.images.libraries import pillow
from brainseg_runtime.images.raster import COPY_AGAIN, UNCOMPRESSED, truncated
from brainseg_runtime.images.tiff.layout import Compression, Layout, Segment
from brainseg_runtime.images.tiff.lzw import is_old_style, with_tail
from brainseg_runtime.images.tiff.tags import Page, Tag

Buffer: TypeAlias = bytes | memoryview
_YCBCR: Final = 6
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_MOST_SECONDS: Final = 30  # the largest image takes 2
_END_OF_BLOCK: Final = 24  # bits
_LZMA_MEMORY: Final = 96 << 20  # of xz -9, the most that a writer offers, is 65 MiB
_TAILS: Final = (0xA5, 0x5A)
"""What the tails of LZW data decode to: unlike each other, and unlike what pictures usually end with."""
_SLACK: Final = bytes(8)
"""After the last code, so that libtiff, which reads a word ahead, does not complain of an end."""


def decoded(layout: Layout, page: Page, compression: Compression) -> Iterator[Buffer]:
    """The rows of each segment, `Segment.need` bytes, in order.

    Raises:
        ImageError: One is damaged, or holds fewer rows than its share of the image.
        MissingExtraError: Pillow is not installed, and one of its decoders is needed.
    """
    return _CODECS[compression](layout, page)


def _in_time(segments: Iterable[Segment]) -> Iterator[Segment]:
    """One segment after the other, as long as time allows.

    Raises:
        ImageError: It takes too long: a crafted file can name the same costly bytes tens of thousands of times.
    """
    latest = time.monotonic() + _MOST_SECONDS
    for segment in segments:
        if time.monotonic() > latest:
            raise ImageError("the TIFF takes too long to decode", expected=f"{_MOST_SECONDS} s at most", got="more")
        yield segment


def upright_bits(segment: memoryview, page: Page) -> Buffer:
    """A segment's bytes with the first pixel in the highest bit, whatever the file's bit order."""
    if page.one(Tag.FILL_ORDER, 1) != 2:
        return segment
    return bytes(segment).translate(_REVERSED)


def _plain(layout: Layout, page: Page) -> Iterator[Buffer]:
    """Uncompressed."""
    pieces = (segment.data for segment in layout.segments)
    if page.one(Tag.FILL_ORDER, 1) != 2:
        return pieces
    return (upright_bits(piece, page) for piece in pieces)


def _inflated(layout: Layout, page: Page) -> Iterator[Buffer]:
    """Deflate; if the data is longer than the strip (a padded strip), its checksum is verified too."""
    for segment in _in_time(layout.segments):
        inflator = zlib.decompressobj()
        try:
            rows = inflator.decompress(upright_bits(segment.data, page), segment.need)
            if len(rows) == segment.need and not inflator.eof:
                inflator.decompress(inflator.unconsumed_tail, layout.block_rows * layout.row_bytes + 1)
        except zlib.error as error:
            raise ImageError(
                "the TIFF is damaged", expected="whole Deflate data", got=error, remedy=COPY_AGAIN
            ) from error
        if len(rows) < segment.need or not (inflator.eof or inflator.unconsumed_tail):
            raise truncated(f"Deflate data of {len(rows)} bytes for {segment.need}, without its end")
        yield rows


def _from_lzma(layout: Layout, page: Page) -> Iterator[Buffer]:
    """LZMA in xz's container; a dictionary larger than any strip needs is refused."""
    for segment in _in_time(layout.segments):
        try:
            data = upright_bits(segment.data, page)
            rows = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY).decompress(data, segment.need)
        except (lzma.LZMAError, EOFError) as error:
            raise ImageError("the TIFF is damaged", expected="whole LZMA data", got=error, remedy=COPY_AGAIN) from error
        if len(rows) < segment.need:
            raise truncated(f"LZMA data of {len(rows)} bytes for {segment.need}")
        yield rows


def _unpacked(layout: Layout, page: Page) -> Iterator[Buffer]:
    """PackBits, by Pillow; a strip is one long row to it, so that runs may cross the image's rows."""
    frombytes = pillow().frombytes
    for segment in _in_time(layout.segments):
        packed = bytes(upright_bits(segment.data, page))
        try:
            yield frombytes("L", (segment.need, 1), packed, "packbits", "L").tobytes()
        except (OSError, ValueError) as error:
            raise truncated(error) from error


def _from_jpeg(layout: Layout, page: Page) -> Iterator[Buffer]:
    """JPEG streams, with the tables that they share."""
    tables = bytes(page.tags.get(Tag.JPEG_TABLES, ()))
    colours = ""
    if layout.row_samples == 3:  # a stream of a TIFF has no mark of its own for its colour space
        colours = "YCbCr" if page.one(Tag.PHOTOMETRIC) == _YCBCR else "RGB"
    for segment in _in_time(layout.segments):
        stream = bytes(segment.data)
        if tables.endswith(_JPEG_END) and stream.startswith(_JPEG_START):
            stream = tables[:-2] + stream[2:]
        if not stream.startswith(_JPEG_START):
            raise truncated("a strip or tile that does not begin as JPEG does")
        frame = read_frame(stream)
        found = frame.height, frame.width, frame.components
        # The last strip may be filled up to full length.
        fits = segment.rows <= frame.height <= layout.block_rows
        if not fits or found[1:] != (layout.columns, layout.row_samples):
            expected = f"{segment.rows}x{layout.columns} pixels of {layout.row_samples} channels"
            raise ImageError("the TIFF's JPEG data does not fit its strip or tile", expected=expected, got=found)
        if (frame.colours or colours) != colours or (frame.subsampled and colours == "RGB"):
            raise ImageError(
                "the TIFF's JPEG data has other colours than its tags say",
                expected=colours,
                got=frame.colours or "YCbCr",
                remedy=UNCOMPRESSED,
            )
        yield decode_stream(stream, frame, colours)[: segment.rows].tobytes()


def _from_lzw(layout: Layout, page: Page) -> Iterator[Buffer]:
    """LZW, by libtiff; a tail behind each segment's codes shows whether they end too early."""
    segments = [bytes(upright_bits(segment.data, page)) for segment in layout.segments]
    if len({is_old_style(data) for data in segments}) > 1:  # libtiff takes the first for all
        raise truncated("LZW data of two kinds in one file")
    wanted = list(range(len(segments)))
    found: dict[int, bytes] = {}
    for byte in _TAILS:
        few = [layout.segments[index] for index in wanted]
        fit = []
        for index, segment in zip(wanted, _in_time(few), strict=True):
            data = with_tail(segments[index], segment.need, byte)
            if data is None:
                raise truncated(f"an impossible code in strip or tile {index + 1}")
            fit.append(data + _SLACK)
        tags = {Tag.WIDTH: layout.row_bytes, Tag.BITS: 8, Tag.COMPRESSION: 5}
        found |= zip(wanted, _by_libtiff(few, fit, tags), strict=True)
        # A segment that ends as the tail does may have reached it.
        wanted = [index for index in wanted if found[index][-1] == byte]
        if not wanted:
            break
    else:
        raise truncated(f"LZW data that ends early or is impossible in strip or tile {wanted[0] + 1}")
    yield from (found[index] for index in range(len(segments)))


def _from_ccitt(layout: Layout, page: Page) -> Iterator[Buffer]:
    """CCITT run lengths or group 4, by libtiff. It fills missing rows with white, so the result is encoded again."""
    method = page.one(Tag.COMPRESSION)
    segments = [bytes(upright_bits(segment.data, page)) for segment in layout.segments]
    tags = {Tag.WIDTH: layout.columns, Tag.BITS: 1, Tag.COMPRESSION: method}
    for number, (data, rows) in enumerate(zip(segments, _by_libtiff(layout.segments, segments, tags), strict=True), 1):
        again = _encoded(rows, layout.columns, len(rows) // layout.row_bytes, method)
        if not _same_rows(data, again, marked=method == Compression.CCITT_4):
            raise truncated(f"strip or tile {number} that is damaged or cut off")
        yield rows


def _same_rows(data: bytes, again: bytes, *, marked: bool) -> bool:
    """Whether CCITT data begins with what its rows encode to; the mark at the end of group 4 may be missing."""
    if len(data) < len(again):
        data = data.ljust(len(again), b"\0")
    found, expected = (int.from_bytes(each[: len(again)], "big") for each in (data, again))
    # The mark is the last 24 bits before the padding, and ends with a 1.
    behind = (expected & -expected).bit_length() - 1 + _END_OF_BLOCK if marked and expected else 0
    return found >> behind == expected >> behind


def _encoded(packed: bytes, columns: int, rows: int, method: int) -> bytes:
    """One strip of CCITT data."""
    image = pillow()
    from PIL import TiffImagePlugin

    picture = image.frombytes("1", (columns, rows), packed)
    file = io.BytesIO()
    name = "group4" if method == Compression.CCITT_4 else "tiff_ccitt"
    picture.save(file, "TIFF", compression=name, strip_size=len(packed), tiffinfo={int(Tag.PHOTOMETRIC): 1})
    file.seek(0)
    with TiffImagePlugin.TiffImageFile(file) as written:
        offsets, sizes = written.tag_v2[int(Tag.STRIP_OFFSETS)], written.tag_v2[int(Tag.STRIP_SIZES)]
        return b"".join(file.getvalue()[at : at + size] for at, size in zip(offsets, sizes, strict=True))


def _by_libtiff(shapes: Sequence[Segment], segments: list[bytes], tags: dict[Tag, int]) -> Iterator[bytes]:
    """Decode strips of single samples, those of one height together; in the order in which they came."""
    heights = [segment.rows for segment in shapes]
    strips: dict[int, Iterator[bytes]] = {}
    for rows in sorted(set(heights)):
        alike = [data for data, each in zip(segments, heights, strict=True) if each == rows]
        packed = _bare_tiff_decoded(alike, rows, tags)
        size = len(packed) // len(alike)
        strips[rows] = iter([packed[at : at + size] for at in range(0, len(packed), size)])
    for rows in heights:
        yield next(strips[rows])


def _bare_tiff_decoded(segments: list[bytes], rows: int, tags: dict[Tag, int]) -> bytes:
    """The bytes of strips of equal height, decoded by libtiff through Pillow."""
    image = pillow()
    from PIL import TiffImagePlugin

    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    starts = [0, *accumulate(len(segment) for segment in segments)]
    lists = {Tag.STRIP_OFFSETS: starts[:-1], Tag.STRIP_SIZES: [len(segment) for segment in segments]}
    numbers = {Tag.HEIGHT: rows * len(segments), Tag.ROWS_PER_STRIP: rows, Tag.SAMPLES: 1, Tag.PHOTOMETRIC: 1, **tags}
    for tag, value in sorted({**numbers, **lists}.items()):
        directory.tagtype[int(tag)] = 4
        directory[int(tag)] = value
    file = io.BytesIO()
    directory.save(file)  # moves the strips' offsets behind itself
    file.write(b"".join(segments))
    file.seek(0)
    try:
        # Not by `Image.open`, and with memory that is there already: else a setting of the whole process decides how
        # many pixels are too many.
        with TiffImagePlugin.TiffImageFile(file) as picture:
            picture.im = image.new(picture.mode, picture.size).im
            return picture.tobytes()
    except (OSError, ValueError, SyntaxError) as error:
        raise truncated(error) from error


_CODECS: Final[Mapping[Compression, Callable[[Layout, Page], Iterator[Buffer]]]] = MappingProxyType(
    {
        Compression.NONE: _plain,
        Compression.PACKBITS: _unpacked,
        Compression.DEFLATE: _inflated,
        Compression.OLD_DEFLATE: _inflated,
        Compression.LZMA: _from_lzma,
        Compression.LZW: _from_lzw,
        Compression.JPEG: _from_jpeg,
        Compression.CCITT_RLE: _from_ccitt,
        Compression.CCITT_4: _from_ccitt,
    }
)
