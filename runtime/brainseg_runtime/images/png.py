"""PNG bytes to pixels.

The chunks are walked here, each proven by its checksum, and only what the pixels need is handed on: Pillow's own way in
skips the checksums of pixel data, and a program can tell it to fill up what is missing.

Source: PNG, third edition, W3C, 2025.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.exif import refuse_turned
from brainseg_runtime.images.libraries import pillow
from brainseg_runtime.images.raster import (
    COPY_AGAIN,
    TO_8_BITS,
    WITHOUT_ALPHA,
    Raster,
    Reader,
    check_size,
    truncated,
    without_opaque,
)

_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS: Final = MappingProxyType({_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4})
_DEPTHS: Final = MappingProxyType(
    {_GREY: {1, 2, 4, 8, 16}, _PALETTE: {1, 2, 4, 8}} | {_RGB: {8, 16}, _GREY_ALPHA: {8, 16}, _RGB_ALPHA: {8, 16}}
)
_MODES: Final = MappingProxyType({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"})
_MAX_CHUNKS: Final = 100_000  # writers cut pixels into pieces of 8 KiB or more


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """The first chunk."""

    height: int
    width: int
    bits: int
    colour: int
    interlaced: bool


def _decode(data: bytes, limits: Limits) -> Raster:
    """Decode a PNG file."""
    chunks = _chunks(data)
    header = _header(chunks.get(b"IHDR", b""))
    check_size(header.height, header.width, limits)
    if header.bits == 16:
        raise ImageError("a 16-bit PNG", expected="8 bits a channel", got="16 bits", remedy=TO_8_BITS)
    if b"acTL" in chunks:
        raise ImageError(
            "an animated PNG", expected="one image", got="several", remedy="save one frame as its own file"
        )
    refuse_turned(chunks.get(b"eXIf", b""))
    samples = _samples(chunks.get(b"IDAT", b""), header)
    transparent = chunks.get(b"tRNS", b"")
    if header.colour == _PALETTE:
        return _looked_up(samples, chunks.get(b"PLTE", b""), transparent)
    _refuse_key(samples, transparent)
    if header.bits < 8:
        spread = samples * np.uint8(255 // ((1 << header.bits) - 1))
        return Raster(pixels=spread, coded=f"{header.bits}-bit samples")
    if samples.ndim == 2:
        return Raster(pixels=samples)
    pixels, notes = without_opaque(samples, 1 if header.colour == _GREY_ALPHA else 3)
    return Raster(pixels=pixels, notes=notes)


PNG: Final = Reader(
    name="PNG",
    suffixes=(".png",),
    in_data_sets=False,
    lossless=True,
    recognises=lambda data: data.startswith(_MAGIC),
    decode=_decode,
)


def _chunks(data: bytes) -> Mapping[bytes, bytes]:
    """Every chunk by type up to the end marker, pixel data joined, all checksums proven.

    Raises:
        ImageError: One is damaged, or the end is missing.
    """
    chunks: dict[bytes, bytes] = {}
    pieces: list[memoryview] = []
    view, at = memoryview(data), len(_MAGIC)
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(data):
            raise truncated("no end marker")
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise truncated("a chunk that runs past the end")
        body = view[at + 8 : at + 8 + length]
        if zlib.crc32(view[at + 4 : at + 8 + length]) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise ImageError(
                "the PNG is damaged", expected="chunks that fit their checksums", got=repr(kind), remedy=COPY_AGAIN
            )
        if kind == b"IEND":
            return chunks | {b"IDAT": b"".join(pieces)}
        if kind == b"IDAT":
            pieces.append(body)
        else:
            chunks.setdefault(kind, bytes(body))
        at += 12 + length
    raise ImageError("the PNG is damaged", expected=f"at most {_MAX_CHUNKS} chunks", got="more")


def _header(body: bytes) -> _Header:
    """The first chunk's values, refused where PNG has no such kind."""
    if len(body) != 13:
        raise ImageError("the PNG is damaged", expected="a header of 13 bytes", got=len(body))
    width, height, bits, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if bits not in _DEPTHS.get(colour, ()) or (compression, filtering) != (0, 0) or interlace > 1:
        raise ImageError("the PNG is damaged", expected="a header that PNG defines", got=body[8:].hex(" "))
    return _Header(height=height, width=width, bits=bits, colour=colour, interlaced=interlace == 1)


def _samples(packed: bytes, header: _Header) -> NDArray[np.uint8]:
    """(H, W) or (H, W, S) samples as they are stored; those of fewer than 8 bits from 0 on."""
    channels = _CHANNELS[header.colour]
    size = header.width, header.height
    # Fewer bits are unpacked as a palette's indices, which Pillow leaves as they are.
    mode, raw = (_MODES[channels],) * 2 if header.bits == 8 else ("P", f"P;{header.bits}")
    try:
        picture = pillow().frombytes(mode, size, packed, "zip", raw, int(header.interlaced))
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(
            "the PNG's pixels are truncated or damaged", expected="all of them", got=error, remedy=COPY_AGAIN
        ) from error
    return np.array(picture)


def _looked_up(indices: NDArray[np.uint8], colours: bytes, transparent: bytes) -> Raster:
    """A palette's colours in place of its indices."""
    table = np.frombuffer(colours[: len(colours) // 3 * 3], np.uint8).reshape(-1, 3)
    if int(indices.max()) >= len(table):
        raise ImageError("the PNG is damaged", expected=f"palette indices below {len(table)}", got=int(indices.max()))
    opacity = np.frombuffer(transparent.ljust(256, b"\xff")[:256], np.uint8)
    if int(opacity[indices].min()) != 255:
        raise ImageError(
            "the image has transparent pixels", expected="opaque ones", got="a palette of them", remedy=WITHOUT_ALPHA
        )
    return Raster(pixels=table[indices], coded="a palette")


def _refuse_key(samples: NDArray[np.uint8], key: bytes) -> None:
    """Raise where pixels have the one colour that stands for transparent."""
    if len(key) not in (2, 6) or (samples.ndim == 3 and len(key) == 2):
        return
    colour = np.frombuffer(key, ">u2")
    pixels = samples.reshape(*samples.shape[:2], -1)
    if pixels.shape[2] == colour.size and (pixels == colour).all(axis=2).any():
        raise ImageError(
            "the image has transparent pixels",
            expected="opaque ones",
            got=f"pixels of the transparent colour {colour.tolist()}",
            remedy=WITHOUT_ALPHA,
        )
