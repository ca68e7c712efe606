"""TIFF bytes to pixels, with everything checked before a decoder sees it.

A TIFF can claim any size, point anywhere and hide gigabytes behind a few bytes. So `images.tiff_tags` reads
the tags that matter, and each segment of pixels must lie in the file and be exactly as long as its share of the image,
compressed ones after a decompression that stops at that length. Uncompressed strips, the data set's own form, are the
pixels then. The rest tifffile decodes, from a file rewritten from those tags and segments and nothing else: no further
page, no vendor tag, no offset of the original's choosing.

Taken: one page of 8-bit unsigned samples, in strips or tiles, samples interleaved or in planes, classic or BigTIFF,
either byte order; uncompressed, Deflate (with or without horizontal predictor) or PackBits. The rest is refused.

Legend: H rows, W columns, S samples a pixel.
Source: TIFF revision 6.0, Adobe, 1992; Adobe Photoshop TIFF technical notes, 2002 (Deflate); BigTIFF, Aware Systems.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import ImageError, MissingExtraError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.images.tiff_tags import RESAVE, Tag, Tags, one_value, read_tags

_NONE, _PACKBITS, _DEFLATE = 1, 32773, frozenset({8, 32946})
_COMPRESSIONS: Final = MappingProxyType(
    {2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 5: "LZW", 6: "old JPEG", 7: "JPEG", 34712: "JPEG 2000"}
    | {34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL"}
)
_DECODER_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Where the pixels lie, all of it checked against the file's size and the limits."""

    height: int
    width: int
    samples: int
    planar: bool
    compression: int
    predictor: int
    tile: tuple[int, int] | None  # height and width
    rows: int  # of a strip
    segments: tuple[bytes, ...]


def decode(data: bytes, where: str, *, samples: int, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Decode a TIFF that may hold anything.

    Args:
        data: The file's bytes; its size is the caller's to cap.
        where: What it is called in errors.
        samples: Samples a pixel that it must have: 3 for an image, 1 for a mask.
        limits: Caps on H and W.

    Returns:
        (H, W, S) uint8, or (H, W) for one sample; C-contiguous, writable, the caller's own.

    Raises:
        ImageError: The bytes are not a TIFF of the kind above.
        MissingExtraError: The pixels are compressed or in tiles, and tifffile is not installed.
    """
    try:
        layout = _layout(data, read_tags(data), samples, limits)
        plain = layout.compression == _NONE and layout.tile is None
        return _arranged(np.frombuffer(b"".join(layout.segments), np.uint8) if plain else _decoded(layout), layout)
    except ImageError as error:
        named = ImageError(f"{where}: {error.what}", expected=error.expected, got=error.got, remedy=error.remedy)
        raise named from error.__cause__


def _layout(data: bytes, tags: Tags, samples: int, limits: Limits) -> _Layout:
    """What the tags say of the pixels, refused where it is not what is taken."""
    height, width = one_value(tags, Tag.HEIGHT), one_value(tags, Tag.WIDTH)
    low, high = limits.min_side, limits.max_side
    if not (low <= height <= high and low <= width <= high):
        raise ImageError(
            "the image's size is out of range", expected=f"{low} to {high} pixels", got=f"{height}x{width}"
        )
    _check_meaning(tags, samples)
    compression, predictor = one_value(tags, Tag.COMPRESSION, 1), one_value(tags, Tag.PREDICTOR, 1)
    if compression not in {_NONE, _PACKBITS, *_DEFLATE}:
        got = _COMPRESSIONS.get(compression, f"method {compression}")
        raise ImageError("compression not taken", expected="none, Deflate or PackBits", got=got, remedy=RESAVE)
    _expect("predictor", predictor, {1, 2} if compression in _DEFLATE else {1})
    planar = one_value(tags, Tag.PLANAR, 1) == 2 and samples > 1
    tile = None
    rows = min(one_value(tags, Tag.ROWS_PER_STRIP, height), height)
    if Tag.TILE_WIDTH in tags:
        tile = one_value(tags, Tag.TILE_HEIGHT), one_value(tags, Tag.TILE_WIDTH)
        if any(side % 16 or not 0 < side <= 2048 for side in tile):
            raise ImageError("the TIFF's tiles are damaged", expected="sides of 16 to 2048 by 16", got=tile)
    elif rows < 1:
        raise ImageError("the TIFF's strips are damaged", expected="a row or more", got=rows)
    sizes = _segment_sizes(height, width, rows, tile) * (samples if planar else 1)
    scale = 1 if planar else samples
    segments = _segments(data, tags, tile is not None, [size * scale for size in sizes], compression)
    return _Layout(
        height=height,
        width=width,
        samples=samples,
        planar=planar,
        compression=compression,
        predictor=predictor,
        tile=tile,
        rows=rows,
        segments=segments,
    )


def _check_meaning(tags: Tags, samples: int) -> None:
    """Refuse pixels that do not mean intensity, eight bits of it, upright."""
    _expect("samples a pixel", one_value(tags, Tag.SAMPLES, 1), {samples})
    for name, tag, expected, default in (
        ("bits a sample", Tag.BITS, 8, 1),
        ("sample format (1 is unsigned)", Tag.SAMPLE_FORMAT, 1, 1),
    ):
        values = tags.get(tag, (default,))
        if set(values) != {expected} or len(values) not in (1, samples):
            raise ImageError(f"wrong {name}", expected=expected, got=", ".join(map(str, values[:8])), remedy=RESAVE)
    # An inverted grey scale, a palette, or YCbCr under the same bytes would be a wrong image without a word.
    _expect(
        "photometric interpretation (1 grey, 2 RGB)", one_value(tags, Tag.PHOTOMETRIC), {1} if samples == 1 else {1, 2}
    )
    _expect("planar configuration", one_value(tags, Tag.PLANAR, 1), {1, 2})
    _expect("fill order", one_value(tags, Tag.FILL_ORDER, 1), {1})
    _expect("orientation (1 is upright)", one_value(tags, Tag.ORIENTATION, 1), {1})
    _expect("image depth", one_value(tags, Tag.DEPTH, 1), {1})


def _segment_sizes(height: int, width: int, rows: int, tile: tuple[int, int] | None) -> list[int]:
    """Pixels in each strip or tile of one plane."""
    if tile is not None:
        return [tile[0] * tile[1]] * (-(-height // tile[0]) * -(-width // tile[1]))
    return [min(rows, height - top) * width for top in range(0, height, rows)]


def _segments(data: bytes, tags: Tags, tiled: bool, lengths: list[int], compression: int) -> tuple[bytes, ...]:
    """The bytes of every strip or tile, each proven to hold `lengths` bytes once decompressed."""
    offsets = tags.get(Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS, ())
    sizes = tags.get(Tag.TILE_SIZES if tiled else Tag.STRIP_SIZES, ())
    if not len(offsets) == len(sizes) == len(lengths):
        found = f"{len(offsets)} offsets, {len(sizes)} sizes"
        raise ImageError("the TIFF's segments are damaged", expected=f"{len(lengths)} strips or tiles", got=found)
    segments = []
    for offset, size, length in zip(offsets, sizes, lengths, strict=True):
        # Twice the pixels is more than either method ever needs, and bounds the time that a crafted file costs.
        if not 0 < size <= 2 * length + 64:
            expected = f"1 to {2 * length + 64} bytes for {length} pixels and channels"
            raise ImageError("the TIFF's segments are damaged", expected=expected, got=size)
        segment = data[offset : offset + size]  # shorter where the file ends before
        held = _plain_length(segment, length, compression)
        if held != length:
            raise ImageError("the TIFF is truncated or damaged", expected=f"{length} bytes of pixels", got=held)
        segments.append(segment)
    return tuple(segments)


def _plain_length(segment: bytes, length: int, compression: int) -> int:
    """Bytes that a segment holds once decompressed; it is followed no further than one above `length`."""
    if compression == _NONE:
        return len(segment)
    if compression == _PACKBITS:
        return _packbits_length(segment, length)
    inflator = zlib.decompressobj()
    try:
        held = len(inflator.decompress(segment, length + 1))
    except zlib.error as error:
        raise ImageError("the TIFF is damaged", expected="whole Deflate data", got=error) from error
    if held == length and not inflator.eof:
        raise ImageError("the TIFF is truncated", expected="whole Deflate data", got="no end to it")
    return held


def _packbits_length(segment: bytes, length: int) -> int:
    """Bytes that PackBits data stands for."""
    at = held = 0
    while at < len(segment) and held <= length:
        code = segment[at]
        if code < 128:
            held, at = held + code + 1, at + code + 2
        else:
            held, at = (held, at + 1) if code == 128 else (held + 257 - code, at + 2)
    return held if at <= len(segment) else -1


def _arranged(pixels: NDArray[np.uint8], layout: _Layout) -> NDArray[np.uint8]:
    """(H, W, S), or (H, W) for one sample, of the caller's own."""
    if layout.samples == 1:
        return np.array(pixels.reshape(layout.height, layout.width))
    if layout.planar:
        return np.array(np.moveaxis(pixels.reshape(layout.samples, layout.height, layout.width), 0, -1), order="C")
    return np.array(pixels.reshape(layout.height, layout.width, layout.samples))


def _decoded(layout: _Layout) -> NDArray[np.uint8]:
    """Let tifffile decode what has been checked: planes, rows and columns in the file's own order."""
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError(
            "TIFF files cannot be read", expected="tifffile", got=error, remedy=install_remedy("io")
        ) from error
    try:
        with tifffile.TiffFile(io.BytesIO(_rewritten(layout))) as file:
            decoded = file.pages.first.asarray(maxworkers=1)
    except (*_DECODER_FAULTS, zlib.error) as error:
        raise ImageError("the TIFF cannot be decoded", expected="pixels", got=error) from error
    plane = (layout.height, layout.width)
    expected = plane if layout.samples == 1 else (layout.samples, *plane) if layout.planar else (*plane, layout.samples)
    if decoded.shape != expected or decoded.dtype != np.uint8:
        raise ImageError("the TIFF decoded to something else", expected=expected, got=decoded.shape)
    pixels: NDArray[np.uint8] = decoded
    return pixels


def _rewritten(layout: _Layout) -> bytes:
    """A little-endian classic TIFF with the checked tags and segments alone."""
    sizes = [len(segment) for segment in layout.segments]
    entries: dict[Tag, list[int]] = {
        Tag.WIDTH: [layout.width],
        Tag.HEIGHT: [layout.height],
        Tag.BITS: [8] * layout.samples,
        Tag.COMPRESSION: [layout.compression],
        Tag.PHOTOMETRIC: [1 if layout.samples == 1 else 2],
        Tag.SAMPLES: [layout.samples],
        Tag.PLANAR: [2 if layout.planar else 1],
        Tag.PREDICTOR: [layout.predictor],
    }
    if layout.tile is None:
        entries |= {Tag.ROWS_PER_STRIP: [layout.rows]}
        offsets_tag, sizes_tag = Tag.STRIP_OFFSETS, Tag.STRIP_SIZES
    else:
        entries |= {Tag.TILE_HEIGHT: [layout.tile[0]], Tag.TILE_WIDTH: [layout.tile[1]]}
        offsets_tag, sizes_tag = Tag.TILE_OFFSETS, Tag.TILE_SIZES
    starts = np.cumsum([8, *sizes])
    entries |= {offsets_tag: starts[:-1].tolist(), sizes_tag: sizes}
    pixels_end = int(starts[-1])
    values_at = pixels_end + 2 + 12 * len(entries) + 4
    page, values = [struct.pack("<H", len(entries))], b""
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        field = packed
        if len(packed) > 4:
            field = struct.pack("<I", values_at + len(values))
            values += packed
        page.append(struct.pack("<HHI", tag, 4, len(numbers)) + field)
    return b"".join([struct.pack("<2sHI", b"II", 42, pixels_end), *layout.segments, *page, bytes(4), values])


def _expect(name: str, got: int, allowed: set[int]) -> None:
    """Refuse a tag's value by name."""
    if got not in allowed:
        raise ImageError(f"wrong {name}", expected=" or ".join(map(str, sorted(allowed))), got=got, remedy=RESAVE)
