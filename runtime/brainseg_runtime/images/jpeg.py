"""JPEG bytes to pixels: files of their own, and the strips and tiles of a TIFF.

libjpeg fills missing pixels with grey, silently. So a stream must be complete: it must have an end marker, and bytes
added before that marker must change nothing; if data were missing, the decoder would read them as pixels.

Source: ITU-T T.81 (markers); TIFF technical note 2, 1995 (tables that strips share).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.exif import refuse_turned
from brainseg_runtime.images.libraries import pillow
from brainseg_runtime.images.raster import TO_8_BITS, TO_RGB, Raster, Reader, check_size, truncated

_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_FRAMES: Final = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: Huffman-coded
_OTHER_FRAMES: Final = {0xC3: "lossless", 0xC9: "arithmetic coding", 0xCA: "arithmetic coding", 0xF7: "JPEG-LS"}
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # past stuffed bytes and restart markers
_BITS: Final = b"\xb7\x2d\x5a\xc3\x96" * 16
_TAIL: Final = _BITS + b"".join(bytes((0xFF, 0xD0 + number)) + _BITS for number in range(8))
"""Bytes that decode to something else than zeros from their first bits on, also behind any restart marker."""
_FILL: Final = 0xFF  # may stand before a marker, any number of times
_MAX_SCANS: Final = 100  # each goes over the whole image; encoders write about a dozen
_MAX_MARKERS: Final = 1000  # a progressive stream has about a dozen scans with their tables
_UNSEEN: Final = 16  # more bits than a coefficient has


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The header of a stream.

    Attributes:
        height: Rows.
        width: Columns.
        components: 1 for grey, 3 for colour, 4 for CMYK.
        colours: The colour space that a marker names, "RGB" or "YCbCr"; empty without one.
        subsampled: Whether components differ in resolution, as only those of YCbCr do.
        end: Where the end-of-image marker begins.
        exif: The EXIF block; empty without one.
    """

    height: int
    width: int
    components: int
    colours: str
    subsampled: bool
    end: int
    exif: bytes


def _decode(data: bytes, limits: Limits) -> Raster:
    """Decode a JPEG file."""
    frame = read_frame(data)
    check_size(frame.height, frame.width, limits)
    refuse_turned(frame.exif)
    pixels = decode_stream(data, frame)
    note = "JPEG compression is lossy and changed the intensities slightly."
    return Raster(pixels=pixels[..., 0] if frame.components == 1 else pixels, notes=(note,))


JPEG: Final = Reader(
    name="JPEG",
    suffixes=(".jpg", ".jpeg"),
    in_data_sets=False,
    lossless=False,
    recognises=lambda data: data.startswith(_START + b"\xff"),
    decode=_decode,
)


def decode_stream(data: bytes, frame: Frame, colours: str = "") -> NDArray[np.uint8]:
    """Decode one whole stream.

    Args:
        data: From start-of-image on, with all tables.
        frame: What `read_frame` said of it.
        colours: The colour space that the components are in, "RGB" or "YCbCr"; as the stream says where empty.

    Returns:
        (H, W, 1) or (H, W, 3) uint8, the caller's own.

    Raises:
        ImageError: It is damaged or ends early.
        MissingExtraError: Pillow is not installed.
    """
    # A marker may have such bytes in front; before others they would make one.
    scans = data[: frame.end].rstrip(b"\xff")
    pixels = _decoded(scans + _END, frame, colours)
    longer = _decoded(scans + _TAIL + _END, frame, colours)
    if not np.array_equal(pixels, longer):
        raise truncated("JPEG data that ends early")
    return pixels


def _decoded(data: bytes, frame: Frame, colours: str) -> NDArray[np.uint8]:
    """Pixels by libjpeg, which Pillow brings; an argument of Pillow's own is relied on, none of its global settings."""
    mode = "L" if frame.components == 1 else "RGB"
    try:
        picture = pillow().frombytes(mode, (frame.width, frame.height), data, "jpeg", mode, colours)
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError("the JPEG data is damaged", expected="a whole stream", got=error) from error
    return np.array(picture).reshape(frame.height, frame.width, frame.components)


def read_frame(data: bytes) -> Frame:
    """Walk a stream's markers to its end; nothing is decoded.

    Raises:
        ImageError: It has no frame or no end, lacks scans, or is of a kind that is not read.
    """
    seen, at = _Seen(), 2
    for _ in range(_MAX_MARKERS):
        marker = _marker(data, at)
        if marker == _FILL:
            at += 1
            continue
        if marker == _END[1]:
            return seen.frame(at)
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise truncated("a marker that runs past the end")
        at += 2 + length
        seen.take(marker, body)
        if marker == _SCAN:
            following = _NEXT_MARKER.search(data, at)
            if following is None:
                raise truncated("no end-of-image marker")
            at = following.start()
    raise ImageError("the JPEG data is damaged", expected=f"at most {_MAX_MARKERS} markers", got="more")


class _Seen:
    """What has been read from the markers so far."""

    def __init__(self) -> None:
        self._size: tuple[int, int, int] | None = None
        self._missing: dict[int, list[int]] = {}  # by component, down to which bit each coefficient is still missing
        self._sampling: set[int] = set()
        self._scans = 0
        self._colours = ""
        self._exif = b""

    def take(self, marker: int, body: bytes) -> None:
        """Record what one marker says."""
        if marker in _FRAMES or marker in _OTHER_FRAMES:
            if self._size is not None:
                raise ImageError("the JPEG data is damaged", expected="one frame", got="a second")
            self._size = _frame(marker, body)
            self._missing = {component: [_UNSEEN] * 64 for component in body[6::3]}
            self._sampling = set(body[7::3])
        elif marker == _SCAN:
            self._scans += 1
            if self._scans > _MAX_SCANS:
                raise ImageError("the JPEG data is damaged", expected=f"at most {_MAX_SCANS} scans", got="more")
            _count_scan(body, self._missing)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            self._exif = self._exif or body[6:]  # viewers go by the first
        elif marker == 0xE0 and body.startswith(b"JFIF\0"):
            self._colours = "YCbCr"
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            self._colours = self._colours or ("YCbCr" if body[11] else "RGB")

    def frame(self, end: int) -> Frame:
        """The stream's frame, once its end is reached; nothing of it may be missing."""
        if self._size is None or any(any(bits) for bits in self._missing.values()):
            raise truncated("a stream that lacks scans")
        height, width, components = self._size
        return Frame(
            height=height,
            width=width,
            components=components,
            colours=self._colours if components == 3 else "",
            subsampled=len(self._sampling) > 1,
            end=end,
            exif=self._exif,
        )


def _count_scan(body: bytes, missing: dict[int, list[int]]) -> None:
    """Record which coefficients a scan holds, and down to which bit."""
    count = body[0] if body else 0
    components = body[1 : 1 + 2 * count : 2]
    if not 1 <= count <= 4 or len(body) != 4 + 2 * count or not missing.keys() >= set(components):
        raise ImageError("the JPEG data is damaged", expected="a scan of the frame's components", got=body.hex(" "))
    first, last, bits = body[-3], min(body[-2], 63), body[-1] & 15
    for component in components:
        for coefficient in range(first, last + 1):
            missing[component][coefficient] = bits


def _marker(data: bytes, at: int) -> int:
    """The code of the marker at an offset."""
    if at + 2 > len(data):
        raise truncated("no end-of-image marker")
    if data[at] != 0xFF:
        raise ImageError("the JPEG data is damaged", expected="a marker", got=data[at : at + 2].hex(" "))
    return data[at + 1]


def _frame(marker: int, body: bytes) -> tuple[int, int, int]:
    """Height, width and components of a frame that is read."""
    if marker in _OTHER_FRAMES:
        raise ImageError(
            "this kind of JPEG is not supported",
            expected="baseline or progressive JPEG",
            got=_OTHER_FRAMES[marker],
            remedy="save it again as PNG or uncompressed TIFF",
        )
    if len(body) < 6:
        raise truncated("a cut frame header")
    bits, height, width, components = struct.unpack_from(">BHHB", body)
    if bits != 8:
        raise ImageError("a JPEG of more than 8 bits", expected="8 bits", got=f"{bits} bits", remedy=TO_8_BITS)
    if components not in (1, 3):
        kind = "CMYK" if components == 4 else f"{components} channels"
        raise ImageError(f"a {kind} JPEG", expected="grey or colour (RGB, YCbCr)", got=kind, remedy=TO_RGB)
    if len(body) != 6 + 3 * components:
        raise ImageError("the JPEG data is damaged", expected="a frame header for its components", got=len(body))
    return height, width, components
