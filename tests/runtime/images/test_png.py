"""PNG: what Pillow and OpenCV see, or a named error; no checksum is skipped and nothing is filled up."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images import decode_image, decode_mask
from brainseg_runtime.images.formats import read_raster

IMAGE = np.random.default_rng(0).integers(0, 256, (33, 45, 3), dtype=np.uint8)
MASK = (IMAGE[..., 0] > 128).astype(np.uint8)
MAGIC = b"\x89PNG\r\n\x1a\n"


def saved(picture: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: bytes, *, size: tuple[int, int] = (45, 33), bits: int = 8, colour: int = 2, **more: Any) -> bytes:  # noqa: ANN401
    """A PNG of rows with their filter bytes; `more` are chunks before the pixels."""
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, more.pop("interlace", 0))
    between = b"".join(chunk(kind.encode(), body) for kind, body in more.items())
    return MAGIC + chunk(b"IHDR", header) + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def unfiltered(pixels: NDArray[np.uint8]) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def interlaced(pixels: NDArray[np.uint8]) -> bytes:
    """The rows of Adam7's seven passes."""
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    passes = (pixels[top::down, left::right] for top, left, down, right in starts)
    return b"".join(unfiltered(np.ascontiguousarray(part)) for part in passes if part.size)


def test_rgb_is_read_as_it_was_written() -> None:
    for options in ({}, {"optimize": True}, {"compress_level": 0}):
        assert np.array_equal(decode_image(saved(Image.fromarray(IMAGE), **options), "x.png").pixels, IMAGE)


def test_interlaced_is_read() -> None:
    data = png(interlaced(IMAGE), interlace=1)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), IMAGE)  # the oracle agrees that it is one
    assert np.array_equal(decode_image(data, "x.png").pixels, IMAGE)


def test_an_opaque_alpha_channel_is_dropped_with_a_note_and_another_is_an_error() -> None:
    opaque = np.dstack([IMAGE, np.full((33, 45), 255, np.uint8)])
    found = decode_image(saved(Image.fromarray(opaque)), "x.png")
    assert np.array_equal(found.pixels, IMAGE)
    assert "alpha" in found.notes[0]
    opaque[3, 4, 3] = 254
    with pytest.raises(ImageError, match="not opaque"):
        decode_image(saved(Image.fromarray(opaque)), "x.png")


def test_a_transparent_colour_matters_only_where_pixels_have_it() -> None:
    pixels = np.maximum(IMAGE, 1)
    key = struct.pack(">3H", 0, 0, 0)
    assert np.array_equal(decode_image(png(unfiltered(pixels), tRNS=key), "x.png").pixels, pixels)
    pixels[5, 5] = 0
    with pytest.raises(ImageError, match="transparent"):
        decode_image(png(unfiltered(pixels), tRNS=key), "x.png")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_mask_of_few_bits_is_read(bits: int) -> None:
    per_byte = 8 // bits
    padded = np.pad(MASK * (2**bits - 1), ((0, 0), (0, -45 % per_byte))).reshape(33, -1, per_byte)
    packed = (padded << np.arange(8 - bits, -1, -bits, dtype=np.uint8)).sum(axis=2).astype(np.uint8)
    data = png(unfiltered(packed), bits=bits, colour=0)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("L")) > 0, MASK > 0)
    assert np.array_equal(decode_mask(data, "m.png"), MASK)
    with pytest.raises(ImageError, match=f"{bits}-bit"):
        decode_image(data, "m.png")


def test_a_mask_with_a_palette_of_black_and_white_is_read_and_one_with_colours_is_not() -> None:
    for colours, good in ((b"\0\0\0\xff\xff\xff", True), (b"\0\0\0\xff\0\0", False), (b"\xff\xff\xff\0\0\0", True)):
        data = png(unfiltered(MASK), colour=3, PLTE=colours)
        if good:
            assert np.array_equal(decode_mask(data, "m.png"), MASK if colours[0] == 0 else 1 - MASK)
        else:
            with pytest.raises(ImageError, match="channels differ"):
                decode_mask(data, "m.png")
    with pytest.raises(ImageError, match="palette"):
        decode_image(png(unfiltered(MASK), colour=3, PLTE=bytes(6)), "x.png")
    with pytest.raises(ImageError, match="transparent"):
        decode_mask(png(unfiltered(MASK), colour=3, PLTE=b"\0\0\0\xff\xff\xff", tRNS=b"\0"), "m.png")
    with pytest.raises(ImageError, match="damaged"):
        decode_mask(png(unfiltered(MASK), colour=3, PLTE=bytes(3)), "m.png")


def test_grey_is_read_as_it_was_written() -> None:
    assert np.array_equal(
        read_raster(saved(Image.fromarray(IMAGE[..., 1])), "x.png", DEFAULT_LIMITS).pixels, IMAGE[..., 1]
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (saved(Image.fromarray(IMAGE[..., 0].astype(np.uint16) << 8)), "16-bit"),
        (png(unfiltered(IMAGE), acTL=bytes(8)), "animated"),
        (png(unfiltered(IMAGE), eXIf=b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0"), "turned"),
        (png(unfiltered(IMAGE), eXIf=b"MM\0*\0\0\0\x08\0\1\x01\x12\0\4\0\0\0\1\0\0\0\6"), "turned"),
        (png(unfiltered(IMAGE), eXIf=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\3\0\0\0"), "turned"),
        (png(unfiltered(IMAGE), size=(4000, 33)), "out of range"),
        (png(unfiltered(IMAGE), size=(0, 33)), "out of range"),
        (png(unfiltered(IMAGE), bits=3), "damaged"),
        (png(unfiltered(IMAGE), colour=5), "damaged"),
        (png(unfiltered(IMAGE)[:-1]), "truncated or damaged"),
        (png(b"\x07" + unfiltered(IMAGE)[1:]), "truncated or damaged"),
    ],
)
def test_other_kinds_are_refused_by_name(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what) as caught:
        decode_image(data, "x.png")
    assert caught.value.expected is not None


def test_upright_exif_is_no_fault() -> None:
    exif = b"II*\0\x08\0\0\0\1\0\x12\x01\3\0\1\0\0\0\1\0\0\0"
    assert np.array_equal(decode_image(png(unfiltered(IMAGE), eXIf=exif), "x.png").pixels, IMAGE)


def test_a_file_cut_off_anywhere_or_changed_in_its_pixels_is_an_error() -> None:
    data = saved(Image.fromarray(IMAGE))
    for end in (*range(60), *range(60, len(data) - 12, 97), len(data) - 12, len(data) - 1):
        with pytest.raises(ImageError):
            decode_image(data[:end], "x.png")
    at = data.index(b"IDAT") + 40
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "x.png")


def test_a_bomb_costs_no_memory() -> None:
    packed = zlib.compress(bytes(64 << 20), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    data = MAGIC + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    assert decode_image(data, "x.png").pixels.shape == (16, 16, 3)  # what follows its pixels is not unpacked
