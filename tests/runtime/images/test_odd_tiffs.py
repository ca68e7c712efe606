"""TIFFs that writers get wrong: read where the pixels are certain, refused by name where they are not.

Where Pillow and tifffile see the same pixels, they are the oracle beside the array; two files are refused all the same,
as those readers fill up with zeros what is missing.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.formats import read_raster
from tests.runtime.images import made_tiffs as made
from tests.runtime.images.made_tiffs import (
    LONG,
    LONG8,
    SHORT,
    SLONG,
    differences,
    laid_out,
    lzw,
    packbits,
    strips,
    tiles,
)
from tests.runtime.images.peers import peers_agree

_RNG = np.random.default_rng(0)
IMAGE = np.concatenate(
    [
        np.repeat(np.arange(30, dtype=np.uint8), 40 * 3).reshape(30, 40, 3),
        _RNG.integers(0, 256, (18, 40, 3), dtype=np.uint8),
    ]
)
GREY = np.ascontiguousarray(IMAGE[..., 1])
OPAQUE = np.full((48, 40, 1), 255, np.uint8)
PREDICTED = differences(IMAGE)
DEFLATE = zlib.compress
STRIPS = [np.ascontiguousarray(IMAGE[top : top + 11]).tobytes() for top in range(0, 48, 11)]


def unsorted(*, compressed: bool) -> bytes:
    """Strips in another order than their offsets, and byte counts left out where they are compressed."""
    order = [3, 0, 4, 1, 2]
    stored = [lzw(strip) if compressed else strip for strip in STRIPS]
    entries: list[made.Entry] = [
        (made.WIDTH, SHORT, [40]),
        (made.HEIGHT, SHORT, [48]),
        (made.BITS, SHORT, [8] * 3),
        (made.COMPRESSION, SHORT, [5 if compressed else 1]),
        (made.PHOTOMETRIC, SHORT, [2]),
        (made.OFFSETS, LONG, [("segment", order.index(index)) for index in range(5)]),
        (made.SAMPLES, SHORT, [3]),
        (made.ROWS, SHORT, [11]),
    ]
    counts: list[made.Entry] = [] if compressed else [(made.COUNTS, LONG, [len(strip) for strip in stored])]
    return laid_out([*entries[::-1], *counts], [stored[index] for index in order])


def with_channel(extra: made.Pixels, kind: int | None = None) -> bytes:
    """RGB and a further channel."""
    return strips(np.dstack([IMAGE, extra]), tags={} if kind is None else {made.EXTRA: (SHORT, [kind])})


READ = {
    "plain": strips(IMAGE),
    "big-endian": strips(IMAGE, order=">"),
    "grey": strips(GREY),
    "last strip padded": strips(IMAGE, padded=True),
    "last strip padded, grey": strips(GREY, padded=True),
    "last strip padded, planes": strips(IMAGE, padded=True, planar=2),
    "last strip padded, LZW": strips(IMAGE, padded=True, compression=5, encode=lzw),
    "last strip padded, LZW planes": strips(IMAGE, padded=True, compression=5, encode=lzw, planar=2),
    "last strip padded, Deflate": strips(IMAGE, padded=True, compression=8, encode=DEFLATE),
    "last strip padded, PackBits": strips(IMAGE, padded=True, compression=32773, encode=packbits),
    "LZW with predictor": strips(PREDICTED, compression=5, encode=lzw, tags={made.PREDICTOR: (SHORT, [2])}),
    "LZW planes with predictor": strips(
        PREDICTED, compression=5, encode=lzw, planar=2, tags={made.PREDICTOR: (SHORT, [2])}
    ),
    "LZW of before 1992": strips(IMAGE, compression=5, encode=made.old_lzw),
    "byte counts absent": strips(IMAGE, without={made.COUNTS}),
    "byte counts absent, one strip": strips(IMAGE, rows=48, without={made.COUNTS}),
    "byte counts absent, LZW": strips(IMAGE, without={made.COUNTS}, compression=5, encode=lzw),
    "byte counts absent, Deflate": strips(IMAGE, without={made.COUNTS}, compression=8, encode=DEFLATE),
    "byte counts absent, PackBits": strips(IMAGE, without={made.COUNTS}, compression=32773, encode=packbits),
    "byte counts zero": strips(IMAGE, tags={made.COUNTS: (LONG, [0] * 5)}),
    "byte counts zero, LZW": strips(IMAGE, tags={made.COUNTS: (LONG, [0] * 5)}, compression=5, encode=lzw),
    "byte counts too large": strips(IMAGE, tags={made.COUNTS: (LONG, [2000] * 5)}),
    "byte counts past the end": strips(IMAGE, tags={made.COUNTS: (LONG, [10**8] * 5)}),
    "byte counts of all ones": strips(IMAGE, tags={made.COUNTS: (LONG, [2**32 - 1] * 5)}),
    "byte counts past the end, LZW": strips(IMAGE, tags={made.COUNTS: (LONG, [10**8] * 5)}, compression=5, encode=lzw),
    "byte counts of all ones, Deflate": strips(
        IMAGE, tags={made.COUNTS: (LONG, [2**32 - 1] * 5)}, compression=8, encode=DEFLATE
    ),
    "one byte count for five strips": strips(IMAGE, tags={made.COUNTS: (LONG, [1320])}),
    "byte counts in SHORT": strips(IMAGE, types={made.COUNTS: SHORT}),
    "offsets in LONG8": strips(IMAGE, types={made.OFFSETS: LONG8, made.COUNTS: LONG8}),
    "size in BYTE": strips(IMAGE, types={made.WIDTH: made.BYTE, made.HEIGHT: made.BYTE}),
    "size in LONG8": strips(IMAGE, types={made.WIDTH: LONG8, made.HEIGHT: LONG8}),
    "size in SLONG": strips(IMAGE, types={made.WIDTH: SLONG, made.HEIGHT: SLONG}),
    "bits in BYTE": strips(IMAGE, types={made.BITS: made.BYTE}),
    "compression in LONG": strips(IMAGE, types={made.COMPRESSION: LONG, made.PHOTOMETRIC: LONG, made.SAMPLES: LONG}),
    "a tag twice": strips(IMAGE, again=[(made.WIDTH, SHORT, [40]), (made.SAMPLES, SHORT, [3])]),
    "a tag twice with another value": strips(IMAGE, again=[(made.WIDTH, SHORT, [20])]),
    "a tag without effect twice": strips(
        IMAGE, again=[(made.SOFTWARE, made.ASCII, b"ab\0"), (made.SOFTWARE, made.ASCII, b"cd\0")]
    ),
    "fill order 2": strips(IMAGE, encode=made.mirrored_bits, tags={made.FILL_ORDER: (SHORT, [2])}),
    "fill order 2, LZW": strips(
        IMAGE,
        encode=lambda data: made.mirrored_bits(lzw(data)),
        compression=5,
        tags={made.FILL_ORDER: (SHORT, [2])},
    ),
    "fill order 2, Deflate": strips(
        IMAGE,
        encode=lambda data: made.mirrored_bits(DEFLATE(data)),
        compression=8,
        tags={made.FILL_ORDER: (SHORT, [2])},
    ),
    "orientation 0": strips(IMAGE, tags={made.ORIENTATION: (SHORT, [0])}),
    "orientation 1": strips(IMAGE, tags={made.ORIENTATION: (SHORT, [1])}),
    "orientation 9": strips(IMAGE, tags={made.ORIENTATION: (SHORT, [9])}),
    "orientation below 0": strips(IMAGE, tags={made.ORIENTATION: (SLONG, [-1])}),
    "rows of all ones": strips(IMAGE, rows=48, tags={made.ROWS: (LONG, [2**32 - 1])}),
    "rows 0, one strip": strips(IMAGE, rows=48, tags={made.ROWS: (SHORT, [0])}),
    "rows absent": strips(IMAGE, rows=48, without={made.ROWS}),
    "rows more than the image has": strips(IMAGE, rows=48, tags={made.ROWS: (SHORT, [100])}),
    "rows too few for the one strip": strips(IMAGE, rows=48, tags={made.ROWS: (SHORT, [8])}),
    "samples absent": strips(IMAGE, without={made.SAMPLES}),
    "samples absent, grey": strips(GREY, without={made.SAMPLES}),
    "one number of bits": strips(IMAGE, tags={made.BITS: (SHORT, [8])}),
    "four numbers of bits": strips(IMAGE, tags={made.BITS: (SHORT, [8, 8, 8, 1])}),
    "compression absent": strips(IMAGE, without={made.COMPRESSION}),
    "planes absent": strips(IMAGE, without={made.PLANAR}),
    "one grey plane": strips(GREY, tags={made.PLANAR: (SHORT, [2])}),
    "one sample format": strips(IMAGE, tags={made.FORMAT: (SHORT, [1])}),
    "next page beyond the file": strips(IMAGE, next_page=10**6),
    "next page in the header": strips(IMAGE, next_page=3),
    "next page in the pixels": strips(IMAGE, next_page=8),
    "a thumbnail by its own mark, alone": strips(IMAGE, tags={made.SUBFILE: (LONG, [1])}),
    "opaque channel, unmarked": with_channel(OPAQUE),
    "opaque channel, unspecified": with_channel(OPAQUE, 0),
    "opaque channel, associated": with_channel(OPAQUE, 1),
    "opaque channel, unassociated": with_channel(OPAQUE, 2),
    "strips in another order": unsorted(compressed=False),
    "strips in another order, LZW, no counts": unsorted(compressed=True),
    "more offsets than strips": strips(
        IMAGE,
        tags={
            made.OFFSETS: (LONG, [*(("segment", index) for index in range(5)), ("segment", 4)]),
            made.COUNTS: (LONG, [1320, 1320, 1320, 1320, 480, 480]),
        },
    ),
    "tiles": tiles(IMAGE, 16, 16),
    "tiles of odd sides": tiles(IMAGE, 10, 13),
    "tiles of odd sides, LZW": tiles(IMAGE, 10, 13, compression=5, encode=lzw),
    "tiles of odd sides, Deflate with predictor": tiles(IMAGE, 7, 9, compression=8, encode=DEFLATE, predicted=True),
    "tiles in planes, LZW with predictor": tiles(IMAGE, 16, 32, compression=5, encode=lzw, planar=2, predicted=True),
    "tiles larger than the image": tiles(IMAGE, 64, 128),
    "tiles as wide as may be": tiles(IMAGE, 48, 4096, compression=8, encode=DEFLATE),
    "tiles under the tags of strips": tiles(IMAGE, 16, 16, under=(made.OFFSETS, made.COUNTS)),
    "tiles without counts": tiles(IMAGE, 16, 16, tags={made.TILE_COUNTS: (LONG, [0] * 9)}),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_odd_and_certain_is_read(name: str) -> None:
    raster = read_raster(READ[name], "x.tif", DEFAULT_LIMITS)
    assert np.array_equal(raster.pixels, GREY if raster.pixels.ndim == 2 else IMAGE)
    peers = peers_agree(READ[name])
    assert peers is None or np.array_equal(peers, raster.pixels)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("byte counts absent", "Byte counts"),
        ("byte counts past the end", "Byte counts"),
        ("a tag twice with another value", "WIDTH is there twice"),
        ("next page beyond the file", "is invalid and was ignored"),
        ("rows too few for the one strip", "rows of a strip"),
        ("opaque channel, unmarked", "alpha channel"),
    ],
)
def test_what_was_assumed_is_noted(name: str, note: str) -> None:
    assert any(note in each for each in read_raster(READ[name], "x.tif", DEFAULT_LIMITS).notes)


def test_nothing_is_noted_of_a_usual_file() -> None:
    for name in ("plain", "big-endian", "last strip padded", "tiles", "LZW with predictor"):
        assert read_raster(READ[name], "x.tif", DEFAULT_LIMITS).notes == ()


def jpeg(pixels: made.Pixels, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    """A JPEG stream of an RGB strip."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def jpeg_strips(streams: list[bytes], *, photometric: int = 6, compression: int = 7, height: int = 48) -> bytes:
    """A TIFF of JPEG strips of 16 rows."""
    return laid_out(
        [
            (made.WIDTH, SHORT, [40]),
            (made.HEIGHT, SHORT, [height]),
            (made.BITS, SHORT, [8] * 3),
            (made.COMPRESSION, SHORT, [compression]),
            (made.PHOTOMETRIC, SHORT, [photometric]),
            (made.OFFSETS, LONG, [("segment", index) for index in range(len(streams))]),
            (made.SAMPLES, SHORT, [3]),
            (made.ROWS, SHORT, [16]),
            (made.COUNTS, LONG, [len(stream) for stream in streams]),
            (530, SHORT, [2, 2]),
        ],
        streams,
    )


STREAMS = [jpeg(IMAGE[top : top + 16], quality=90) for top in range(0, 48, 16)]


@pytest.mark.parametrize("height", [48, 40], ids=["whole", "last strip padded"])
def test_jpeg_strips_are_read_as_another_reader_sees_them(height: int) -> None:
    data = jpeg_strips(STREAMS, height=height)
    with Image.open(io.BytesIO(data)) as picture:
        assert np.array_equal(read_raster(data, "x.tif", DEFAULT_LIMITS).pixels, np.asarray(picture))


TRUNCATED = {
    "offsets are fewer than strips": strips(
        IMAGE, tags={made.OFFSETS: (LONG, [("segment", index) for index in range(4)]), made.COUNTS: (LONG, [1320] * 4)}
    ),
    "a strip has no place": strips(
        IMAGE, tags={made.OFFSETS: (LONG, [("segment", 0), ("segment", 1), 0, ("segment", 3), ("segment", 4)])}
    ),
    "a strip has no bytes": strips(IMAGE, tags={made.COUNTS: (LONG, [1320, 1320, 0, 1320, 480])}),
    "a strip lies beyond the end": strips(
        IMAGE, tags={made.OFFSETS: (LONG, [("segment", 0), ("segment", 1), 10**7, ("segment", 3), ("segment", 4)])}
    ),
    "byte counts are too small": strips(IMAGE, tags={made.COUNTS: (LONG, [100] * 5)}),
    "rows are more than a strip holds": strips(IMAGE, tags={made.ROWS: (SHORT, [12])}),
    "rows are fewer than the strips say": strips(IMAGE, tags={made.ROWS: (SHORT, [8])}),
    "rows are absent": strips(IMAGE, without={made.ROWS}),
    "LZW is short": strips(IMAGE, compression=5, encode=lambda data: lzw(data[:-1])),
    "LZW is cut": strips(IMAGE, compression=5, encode=lambda data: lzw(data)[:-3]),
    "Deflate is short": strips(IMAGE, compression=8, encode=lambda data: DEFLATE(data[:-1])),
    "Deflate lacks its checksum": strips(IMAGE, compression=8, encode=lambda data: DEFLATE(data)[:-4]),
    "PackBits is short": strips(IMAGE, compression=32773, encode=lambda data: packbits(data[:-1])),
    "PackBits is cut": strips(IMAGE, compression=32773, encode=lambda data: packbits(data)[:-1]),
    "PackBits is cut, byte counts absent": strips(
        IMAGE, without={made.COUNTS}, compression=32773, encode=lambda data: packbits(data)[:-1]
    ),
    "LZW is cut, byte counts absent": strips(
        IMAGE, without={made.COUNTS}, compression=5, encode=lambda data: lzw(data)[:-3]
    ),
    "a tile is short": tiles(IMAGE, 16, 16, compression=8, encode=lambda data: DEFLATE(data[:-500])),
    "a JPEG strip is cut": jpeg_strips([STREAMS[0], STREAMS[1][:-200], STREAMS[2]]),
    "a JPEG strip is cut and ended": jpeg_strips([STREAMS[0], STREAMS[1][:-200] + b"\xff\xd9", STREAMS[2]]),
    "a JPEG strip is empty": jpeg_strips([STREAMS[0], b"", STREAMS[2]]),
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_pixels_that_are_missing_are_an_error_and_never_filled_up(name: str) -> None:
    with pytest.raises(ImageError, match=r"truncated|incomplete") as caught:
        read_raster(TRUNCATED[name], "x.tif", DEFAULT_LIMITS)
    assert "copy or export the file again" in str(caught.value.remedy)


def pages(*, marked: bool) -> bytes:
    """Two pages, the second perhaps marked as a thumbnail of the first."""
    first = bytearray(strips(IMAGE))
    second = strips(GREY, tags={made.SUBFILE: (LONG, [1])} if marked else {})
    # The second file's offsets count from its own beginning, so only its directory is used, which nobody decodes.
    directory = int.from_bytes(first[4:8], "little")
    entries = int.from_bytes(first[directory : directory + 2], "little")
    at = len(first) + len(first) % 2
    pointer = directory + 2 + 12 * entries
    first[pointer : pointer + 4] = (at + int.from_bytes(second[4:8], "little")).to_bytes(4, "little")
    return bytes(first).ljust(at, b"\0") + second


def test_several_pages_are_an_error_that_counts_them() -> None:
    with pytest.raises(ImageError, match="a TIFF of 2 pages") as caught:
        read_raster(pages(marked=False), "x.tif", DEFAULT_LIMITS)
    assert "tiffcp IN,0 OUT" in str(caught.value.remedy)


def test_a_further_page_that_is_marked_as_a_thumbnail_is_left_out_with_a_note() -> None:
    raster = read_raster(pages(marked=True), "x.tif", DEFAULT_LIMITS)
    assert np.array_equal(raster.pixels, IMAGE)
    assert any("thumbnails" in note for note in raster.notes)


KINDS = {
    "16-bit": (strips(IMAGE, tags={made.BITS: (SHORT, [16] * 3)}), "16-bit", "one factor for the whole patient"),
    "float": (
        strips(IMAGE, tags={made.BITS: (SHORT, [32] * 3), made.FORMAT: (SHORT, [3] * 3)}),
        "32-bit floating point",
        "one factor for the whole patient",
    ),
    "signed": (strips(IMAGE, tags={made.FORMAT: (SHORT, [2] * 3)}), "8-bit signed", "whole patient"),
    "complex": (strips(GREY, tags={made.BITS: (SHORT, [64]), made.FORMAT: (SHORT, [6])}), "complex", "whole patient"),
    "12-bit": (strips(GREY, tags={made.BITS: (SHORT, [12])}), "12-bit", "whole patient"),
    "CMYK": (strips(np.dstack([IMAGE, OPAQUE]), tags={made.PHOTOMETRIC: (SHORT, [5])}), "CMYK", "convert it to RGB"),
    "CIELab": (strips(IMAGE, tags={made.PHOTOMETRIC: (SHORT, [8])}), "CIELab", "convert it to RGB"),
    "YCbCr": (strips(IMAGE, tags={made.PHOTOMETRIC: (SHORT, [6])}), "YCbCr TIFF without JPEG", "convert it to RGB"),
    "colour filter": (strips(GREY, tags={made.PHOTOMETRIC: (SHORT, [32803])}), "colour filter", "convert it to RGB"),
    "photometric absent": (strips(IMAGE, without={made.PHOTOMETRIC}), "what its values mean", "writes this tag"),
    "white is zero": (strips(GREY, tags={made.PHOTOMETRIC: (SHORT, [0])}), "inverted grey", "invert"),
    "alpha": (with_channel(GREY, 2), "not opaque", "-alpha off"),
    "associated alpha": (with_channel(GREY, 1), "not opaque", "-alpha off"),
    "a fourth sequence": (with_channel(GREY, 0), "not opaque", "save only the three"),
    "5 channels": (strips(np.dstack([IMAGE, IMAGE[..., :2]])), "5 channels", "pre-contrast, FLAIR and post-contrast"),
    "2 channels": (strips(IMAGE[..., :2]), "not opaque", "-alpha off"),
    "old-style JPEG": (jpeg_strips(STREAMS, compression=6), "compression is not supported", "tiffcp -c none"),
    "Zstandard": (strips(IMAGE, compression=50000), "compression is not supported", "tiffcp -c none"),
    "JPEG of other colours": (jpeg_strips(STREAMS, photometric=2), "other colours", "without compression"),
    "floating-point predictor": (
        strips(IMAGE, compression=5, encode=lzw, tags={made.PREDICTOR: (SHORT, [3])}),
        "predictor",
        "without compression",
    ),
    **{
        f"orientation {number}": (
            strips(IMAGE, tags={made.ORIENTATION: (SHORT, [number])}),
            "turned or mirrored",
            "-auto-orient",
        )
        for number in range(2, 9)
    },
}


@pytest.mark.parametrize("name", KINDS)
def test_another_kind_is_refused_by_its_name_with_a_remedy_for_it(name: str) -> None:
    data, what, remedy = KINDS[name]
    with pytest.raises(ImageError, match=what) as caught:
        read_raster(data, "x.tif", DEFAULT_LIMITS)
    assert remedy in str(caught.value.remedy)
    assert caught.value.expected is not None
    assert caught.value.got is not None


DAMAGED = {
    "width in FLOAT": strips(IMAGE, tags={made.WIDTH: (made.FLOAT, [40.0])}),
    "rows as a fraction": strips(IMAGE, tags={made.ROWS: (made.RATIONAL, [11, 1])}),
    "width below 0": strips(IMAGE, tags={made.WIDTH: (SLONG, [-40])}),
    "width 0": strips(IMAGE, tags={made.WIDTH: (SHORT, [0])}),
    "height of all ones": strips(IMAGE, tags={made.HEIGHT: (LONG, [2**32 - 1])}),
    "two widths": strips(IMAGE, tags={made.WIDTH: (SHORT, [40, 20])}),
    "planes 3": strips(IMAGE, tags={made.PLANAR: (SHORT, [3])}),
    "fill order 7": strips(IMAGE, tags={made.FILL_ORDER: (SHORT, [7])}),
    "tiles of no width": tiles(IMAGE, 16, 16, tags={made.TILE_WIDTH: (SHORT, [0])}),
    "tiles too wide": tiles(IMAGE, 16, 16, tags={made.TILE_WIDTH: (SHORT, [4097])}),
    "JPEG of another size": jpeg_strips([STREAMS[0], jpeg(IMAGE[16:32, :30]), STREAMS[2]]),
    "an impossible code": strips(IMAGE, compression=5, encode=lambda data: b"\x80\x7f\xff" + lzw(data)[3:]),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_structure_is_refused(name: str) -> None:
    with pytest.raises(ImageError):
        read_raster(DAMAGED[name], "x.tif", DEFAULT_LIMITS)
