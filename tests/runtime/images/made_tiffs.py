"""TIFFs laid out tag by tag, as no library would write them.

`strips` and `tiles` write an image rightly and take what is to be wrong: tags with other values, other types, twice, or
left out; strips that are padded, compressed, or in another order.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

Pixels: TypeAlias = NDArray[np.uint8]
Encoder: TypeAlias = Callable[[bytes], bytes]
Entry: TypeAlias = tuple[int, int, Sequence[Any]]  # tag, field type, values; ("segment", i) is the place of segment i

BYTE, ASCII, SHORT, LONG, RATIONAL, SLONG, FLOAT, LONG8 = 1, 2, 3, 4, 5, 9, 11, 16
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS, PLANAR = (
    *(256, 257, 258, 259, 262),
    *(273, 277, 278, 279, 284),
)
SUBFILE, FILL_ORDER, ORIENTATION, SOFTWARE, PREDICTOR, EXTRA, FORMAT = 254, 266, 274, 305, 317, 338, 339
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
_FORMATS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 16: "Q"}


def as_is(data: bytes) -> bytes:
    """No compression."""
    return data


def laid_out(entries: Iterable[Entry], segments: Sequence[bytes], *, order: str = "<", next_page: int = 0) -> bytes:
    """A classic TIFF of one page: header, segments, directory, and what does not fit into it."""
    places, at = [], 8
    for segment in segments:
        places.append(at)
        at += len(segment)
    at += at % 2
    entries = list(entries)
    behind = at + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, found in entries:
        numbers = [places[each[1]] if isinstance(each, tuple) else each for each in found]
        packed = struct.pack(f"{order}{len(numbers)}{_FORMATS[kind]}", *numbers)
        count = len(numbers) // 2 if kind == RATIONAL else len(numbers)
        field = packed.ljust(4, b"\0")
        if len(packed) > 4:
            field = struct.pack(f"{order}I", behind + len(values))
            values += packed
        directory += struct.pack(f"{order}HHI", tag, kind, count) + field
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, at)
    body = (head + b"".join(segments)).ljust(at, b"\0")
    return body + directory + struct.pack(f"{order}I", next_page) + values


def strips(  # noqa: PLR0913 - each says what is to be odd
    pixels: Pixels,
    *,
    rows: int = 11,
    order: str = "<",
    compression: int = 1,
    encode: Encoder = as_is,
    padded: bool = False,
    planar: int = 1,
    without: Iterable[int] = (),
    tags: Mapping[int, tuple[int, Sequence[Any]]] | None = None,
    types: Mapping[int, int] | None = None,
    again: Sequence[Entry] = (),
    next_page: int = 0,
) -> bytes:
    """An image in strips; `tags`, `types`, `without` and `again` change what its tags say."""
    height = pixels.shape[0]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    planes = [pixels.reshape(height, -1)] if planar == 1 else [pixels[..., index] for index in range(samples)]
    segments = []
    for plane in planes:
        for top in range(0, height, rows):
            strip = np.ascontiguousarray(plane[top : top + rows]).tobytes()
            segments.append(encode(strip.ljust(rows * plane.shape[1], b"\0") if padded else strip))
    found: dict[int, tuple[int, Sequence[Any]]] = {
        WIDTH: (SHORT, [pixels.shape[1]]),
        HEIGHT: (SHORT, [height]),
        BITS: (SHORT, [8] * samples),
        COMPRESSION: (SHORT, [compression]),
        PHOTOMETRIC: (SHORT, [2 if samples >= 3 else 1]),
        OFFSETS: (LONG, [("segment", index) for index in range(len(segments))]),
        SAMPLES: (SHORT, [samples]),
        ROWS: (SHORT, [rows]),
        COUNTS: (LONG, [len(segment) for segment in segments]),
        PLANAR: (SHORT, [planar]),
        **(tags or {}),
    }
    for tag, kind in (types or {}).items():
        found[tag] = kind, found[tag][1]
    entries = [(tag, kind, values) for tag, (kind, values) in found.items() if tag not in set(without)]
    return laid_out(sorted([*entries, *again], key=lambda entry: entry[0]), segments, order=order, next_page=next_page)


def tiles(  # noqa: PLR0913 - each says what is to be odd
    pixels: Pixels,
    height: int,
    width: int,
    *,
    compression: int = 1,
    encode: Encoder = as_is,
    planar: int = 1,
    predicted: bool = False,
    under: tuple[int, int] = (TILE_OFFSETS, TILE_COUNTS),
    tags: Mapping[int, tuple[int, Sequence[Any]]] | None = None,
) -> bytes:
    """An RGB image in tiles of any size."""
    segments = []
    for plane in [pixels] if planar == 1 else [pixels[..., index : index + 1] for index in range(3)]:
        for top in range(0, pixels.shape[0], height):
            for left in range(0, pixels.shape[1], width):
                tile = np.zeros((height, width, plane.shape[2]), np.uint8)
                part = plane[top : top + height, left : left + width]
                tile[: part.shape[0], : part.shape[1]] = part
                segments.append(encode((differences(tile) if predicted else tile).tobytes()))
    found: dict[int, tuple[int, Sequence[Any]]] = {
        WIDTH: (SHORT, [pixels.shape[1]]),
        HEIGHT: (SHORT, [pixels.shape[0]]),
        BITS: (SHORT, [8] * 3),
        COMPRESSION: (SHORT, [compression]),
        PHOTOMETRIC: (SHORT, [2]),
        SAMPLES: (SHORT, [3]),
        PLANAR: (SHORT, [planar]),
        PREDICTOR: (SHORT, [2 if predicted else 1]),
        TILE_WIDTH: (SHORT, [width]),
        TILE_HEIGHT: (SHORT, [height]),
        under[0]: (LONG, [("segment", index) for index in range(len(segments))]),
        under[1]: (LONG, [len(segment) for segment in segments]),
        **(tags or {}),
    }
    return laid_out(sorted((tag, kind, values) for tag, (kind, values) in found.items()), segments)


def differences(pixels: Pixels) -> Pixels:
    """What the horizontal predictor stores."""
    return np.concatenate([pixels[:, :1], np.diff(pixels, axis=1)], axis=1).astype(np.uint8)


def mirrored_bits(data: bytes) -> bytes:
    """Each byte with its lowest bit first, as under fill order 2."""
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)


def packed_by_pillow(data: bytes, compression: str) -> bytes:
    """Bytes compressed as one strip, by the libtiff in Pillow."""
    file = io.BytesIO()
    picture = Image.frombytes("L", (len(data), 1), data)
    picture.save(file, "TIFF", compression=compression, strip_size=len(data))
    file.seek(0)
    with TiffImagePlugin.TiffImageFile(file) as written:
        (at,), (count,) = written.tag_v2[OFFSETS], written.tag_v2[COUNTS]
        return file.getvalue()[at : at + count]


def lzw(data: bytes) -> bytes:
    """LZW."""
    return packed_by_pillow(data, "tiff_lzw")


def packbits(data: bytes) -> bytes:
    """PackBits."""
    return packed_by_pillow(data, "packbits")


def old_lzw(data: bytes) -> bytes:
    """LZW as before 1992: lowest bit first, a width kept for one code longer; every code a literal."""
    codes, width, entries = [(256, 9)], 9, 0
    for byte in data:
        codes.append((byte, width))
        entries += 1
        if entries == 255:  # the next code is the first of 10 bits
            codes.append((256, 10))
            entries = 0
    codes.append((257, width))
    packed = bits = 0
    for code, size in codes:
        packed |= code << bits
        bits += size
    return packed.to_bytes((bits + 7) // 8, "little")
