"""What compressed pixel data claims to hold, checked before a codec allocates memory for it.

A codec believes the size in the codestream, not the one in the DICOM header, so a few bytes could ask for gigabytes.

Source: ITU-T T.81 B.2.2 (JPEG), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 (JPEG 2000); DICOM PS3.5 annex G (RLE).
"""

from __future__ import annotations

import struct
from typing import Final

from brainseg_runtime.errors import StudyError

RLE: Final = "1.2.840.10008.1.2.5"
_JPEG: Final = "1.2.840.10008.1.2.4."
_JPEG_2000: Final = frozenset({f"{_JPEG}{number}" for number in (90, 91, 92, 93, 201, 202, 203)})
_JPEG_ALL: Final = frozenset({f"{_JPEG}{number}" for number in (50, 51, 57, 70, 80, 81)})

SYNTAXES: Final = frozenset({RLE, *_JPEG_2000 - {f"{_JPEG}92", f"{_JPEG}93"}, *_JPEG_ALL})
"""Compressed transfer syntaxes that are read; part 2 of JPEG 2000 and films are not."""

LOSSY: Final = frozenset({f"{_JPEG}{number}" for number in (50, 51, 81, 91, 203)})
"""Syntaxes made for compression with loss; a file may still be compressed without."""

_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Markers of a JPEG frame header, JPEG-LS's among them."""

_END: Final = b"\xff\xd9"
"""The marker that ends a codestream. Some codecs make up what was cut off; another takes 15 s over it."""

_REMEDY: Final = "fetch the file again from where it came from"
_MOST_TILES: Final = 4096
"""JPEG 2000 codecs keep a structure for each tile."""

_PADDING: Final = b"\0\xff"
"""What writers pad a frame to an even length with: 0 by the standard, 255 by some makers of JPEG 2000."""

_SLACK: Final = 1 << 16
"""Bytes that headers and tables may add to a frame that compression has made no smaller."""


def check_codestream(frame: bytes, syntax: str, size: tuple[int, int], pixel_bytes: int, label: str) -> None:
    """Check that a compressed frame is as large as its DICOM header says.

    Args:
        frame: The codestream.
        syntax: Transfer syntax UID, one of `SYNTAXES`.
        size: Rows and columns.
        pixel_bytes: Bytes of a stored value.
        label: The file's name in messages.

    Raises:
        StudyError: It is not.
    """
    pixels = size[0] * size[1]
    if len(frame) > 2 * pixels * pixel_bytes + _SLACK:
        raise StudyError(f"{label}: more compressed data than its pixels need", got=f"{len(frame):,} bytes")
    try:
        if syntax == RLE:
            _check_rle(frame, pixels, pixel_bytes, label)
            return
        if not frame.rstrip(_PADDING).endswith(_END):
            raise StudyError(f"{label}: its compressed pixels are cut off", remedy=_REMEDY)
        rows, columns, samples = _jpeg_2000(frame) if syntax in _JPEG_2000 else _jpeg(frame)
    except (struct.error, ValueError, IndexError) as error:
        raise StudyError(f"{label}: its compressed pixels are damaged", remedy=_REMEDY) from error
    if (rows, columns, samples) != (*size, 1):
        raise StudyError(
            f"{label}: its compressed pixels have another size than its header says",
            expected=f"{size[0]} × {size[1]}, one sample",
            got=f"{rows} × {columns}, samples: {samples}",
        )


def _jpeg(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples of a JPEG or JPEG-LS codestream."""
    if frame[:2] != b"\xff\xd8":
        raise ValueError("no start of image")
    at = 2
    while frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", frame, at + 2)
        if marker in _FRAMES:
            _, rows, columns, samples = struct.unpack_from(">BHHB", frame, at + 4)
            return rows, columns, samples
        at += 2 + length
    raise ValueError("no frame header")


def _jpeg_2000(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples of a JPEG 2000 codestream, bare or in its file format."""
    at = 0 if frame[:4] == b"\xff\x4f\xff\x51" else frame.index(b"\xff\x4f\xff\x51", 0, 4096)
    right, bottom, left, top, wide, high, tile_left, tile_top, samples = struct.unpack_from(">8IH", frame, at + 8)
    if wide == 0 or high == 0 or right <= left or bottom <= top or tile_left > left or tile_top > top:
        raise ValueError("an empty image or tile")
    tiles = -((tile_left - right) // wide) * -((tile_top - bottom) // high)
    if tiles > _MOST_TILES:
        raise ValueError("too many tiles")
    return bottom - top, right - left, samples


def _check_rle(frame: bytes, pixels: int, pixel_bytes: int, label: str) -> None:
    """Checks that each segment of run-length encoding expands to one byte a pixel."""
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != pixel_bytes:
        raise StudyError(f"{label}: its run-length encoded pixels have {count} segments", expected=pixel_bytes)
    ends = [*offsets[1:count], len(frame)]
    for start, end in zip(offsets[:count], ends, strict=True):
        if not 64 <= start < end <= len(frame):
            raise ValueError("segments out of order")
        length = _expanded(frame[start:end])
        if not pixels <= length <= pixels + _SLACK:
            raise StudyError(f"{label}: wrong run-length encoded pixels", expected=f"{pixels:,} bytes", got=length)


def _expanded(segment: bytes) -> int:
    """Bytes that a segment of run-length encoding expands to."""
    at = length = 0
    while at < len(segment):
        head = segment[at]
        if head > 128:
            length += 257 - head
            at += 2
        elif head < 128:
            length += head + 1
            at += head + 2
        else:
            at += 1
    return length
