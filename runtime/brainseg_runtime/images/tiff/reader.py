"""TIFF bytes to pixels, with everything checked before a decoder sees it.

A TIFF can claim any size, point anywhere and hide gigabytes behind a few bytes. Decoders answer with dozens of
exceptions, lines on standard error, or pixels filled with zeros. So the tags that matter are read here (`tiff.tags`),
each strip or tile must lie within the file (`tiff.layout`), and libraries decompress each to its share of the image and
no further (`tiff.codecs`). Uncompressed strips, the data set's own form, need no decoding.

Read: one page of 8-bit grey or RGB, in strips or tiles, samples interleaved or in planes, classic or BigTIFF, either
byte order; uncompressed, LZW, Deflate or LZMA (with or without horizontal predictor), PackBits or JPEG. For masks also
1-bit, and palettes. `docs/data.md` lists what is refused and why.

Legend: H rows, W columns, S samples a pixel.
Source: TIFF revision 6.0, Adobe, 1992.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.raster import TO_8_BITS, TO_RGB, UNCOMPRESSED, UPRIGHT, Raster, Reader, without_opaque
from brainseg_runtime.images.tiff.codecs import decoded
from brainseg_runtime.images.tiff.layout import Compression, Layout, read_layout
from brainseg_runtime.images.tiff.tags import MAX_PAGES, Page, Tag, is_tiff, read_page
from brainseg_runtime.plurals import counted

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_PHOTOMETRICS: Final = MappingProxyType(
    {4: "transparency mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "colour filter array"}
    | {32844: "LogL", 32845: "LogLuv", 34892: "linear raw"}
)
_COMPRESSIONS: Final = MappingProxyType(
    {3: "CCITT group 3", 6: "old-style JPEG", 32809: "ThunderScan", 34712: "JPEG 2000", 34887: "LERC"}
    | {34933: "PNG", 34892: "lossy JPEG of DNG", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}
    | {33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34676: "SGILog", 34677: "SGILog 24"}
)
_FORMATS: Final = MappingProxyType({2: "signed integers", 3: "floating point", 5: "complex", 6: "complex"})
_PREDICTED: Final = frozenset({Compression.LZW, Compression.DEFLATE, Compression.OLD_DEFLATE, Compression.LZMA})
_HORIZONTAL, _FLOATING = 2, 3  # predictors
_TIFFFILE: Final = b"tifffile"  # what it writes as the name of the software
# It writes none of these for an array of bool.
_NOT_BY_TIFFFILE: Final = frozenset({Tag.PLANAR, Tag.ORIENTATION, Tag.FILL_ORDER})


def _decode(data: bytes, limits: Limits) -> Raster:
    """Decode a TIFF."""
    page = _only_page(data)
    samples, bits = _samples(page)
    compression = _compression(page, bits)
    _refuse_turned(page)
    layout = read_layout(data, page, samples=samples, bits=bits, compression=compression, limits=limits)
    stored = _assembled(layout, page, compression)
    raster = _meaning(stored, layout, page)
    return Raster(pixels=raster.pixels, coded=raster.coded, notes=(*page.notes, *layout.notes, *raster.notes))


TIFF: Final = Reader(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    in_data_sets=True,
    lossless=True,
    recognises=is_tiff,
    decode=_decode,
)


def decode_floats(data: bytes, limits: Limits) -> NDArray[np.float32]:
    """Decode a TIFF of one page and one channel of 32-bit floating point, such as a probability map.

    Args:
        data: The whole file, capped by the caller.
        limits: No side may exceed `max_side`.

    Returns:
        (H, W) float32, the caller's own; any value, NaN too.

    Raises:
        ImageError: It is of another form, damaged or truncated.
        MissingExtraError: Pillow is not installed, and one of its decoders is needed.
    """
    if not is_tiff(data):
        raise ImageError("not a TIFF", expected="a TIFF of 32-bit floating point", got=f"it begins {data[:4].hex(' ')}")
    page = _only_page(data)
    samples = page.one(Tag.SAMPLES, 1)
    bits, kind = page.one(Tag.BITS, 1), page.one(Tag.SAMPLE_FORMAT, 1)
    if (samples, bits, _FORMATS.get(kind)) != (1, 32, "floating point"):
        got = f"{counted(samples, 'channel')} of {bits}-bit {_FORMATS.get(kind, 'samples')}"
        raise ImageError("not the expected kind of TIFF", expected="one channel of 32-bit floating point", got=got)
    compression = _compression(page, bits)
    _refuse_turned(page)
    layout = read_layout(data, page, samples=1, bits=bits, compression=compression, limits=limits)
    order, predictor = "<" if data.startswith(b"II") else ">", page.one(Tag.PREDICTOR, 1)
    values = np.empty((layout.height, layout.width), np.float32)
    for segment, part in zip(layout.segments, decoded(layout, page, compression), strict=True):
        block = _floats(np.frombuffer(part, np.uint8).reshape(segment.rows, -1), order, predictor)
        right = min(layout.width - segment.left, layout.columns)
        values[segment.top : segment.top + segment.rows, segment.left :][:, :right] = block[:, :right]
    return values


def _floats(rows: NDArray[np.uint8], order: str, predictor: int) -> NDArray[np.float32]:
    """(rows, columns) of a segment's bytes.

    Source: Adobe Photoshop TIFF technical note 3, 2005 (predictor 3: bytes of one weight side by side, as differences).
    """
    if predictor == _FLOATING:
        planes = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(len(rows), 4, -1)
        return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(">f4")[..., 0].astype(np.float32)
    if predictor == _HORIZONTAL:
        return np.cumsum(rows.view(f"{order}u4"), axis=1, dtype=np.uint32).view(np.float32)
    return rows.view(f"{order}f4").astype(np.float32)


def _only_page(data: bytes) -> Page:
    """The tags of a TIFF that has one page."""
    page = read_page(data)
    if page.pages > 1:
        many = f"{page.pages} pages" if page.pages < MAX_PAGES else f"at least {MAX_PAGES} pages"
        raise ImageError(
            f"a TIFF of {many}",
            expected="one page for each slice",
            got=many,
            remedy="save each page as its own file, for example the first with: tiffcp IN,0 OUT",
        )
    return page


def _samples(page: Page) -> tuple[int, int]:
    """Samples per pixel and bits per sample; refused by name unless they are 8-bit grey or RGB, or a mask's."""
    photometric = page.one(Tag.PHOTOMETRIC) if Tag.PHOTOMETRIC in page.tags else None
    samples = page.one(Tag.SAMPLES, len(page.tags.get(Tag.BITS, (1,))))
    formats = set(page.tags.get(Tag.SAMPLE_FORMAT, (1,))[: samples or 1])
    depths = set(page.tags.get(Tag.BITS, (1,))[: samples or 1])
    bits = max(depths)
    kind = next((_FORMATS[each] for each in formats if each in _FORMATS), "")
    if kind or bits > 8:
        got = f"{bits}-bit {kind or 'samples'}"
        raise ImageError(f"a TIFF of {got}", expected="8-bit unsigned samples", got=got, remedy=TO_8_BITS)
    if not formats <= {1, 4}:
        raise ImageError("the TIFF's sample format is unknown", expected="1, unsigned", got=sorted(formats))
    if len(depths) > 1 or bits not in (1, 2, 4, 8) or (bits < 8 and samples > 1):
        got = "/".join(map(str, page.tags.get(Tag.BITS, (1,))[:8]))
        raise ImageError(f"a TIFF of {got}-bit samples", expected="8-bit samples", got=f"{got} bits", remedy=TO_RGB)
    if photometric is None:
        raise ImageError(
            "the TIFF does not say what its values mean",
            expected="a photometric interpretation of grey or RGB",
            got="none",
            remedy="save it again in a program that writes this tag",
        )
    if photometric in _PHOTOMETRICS or photometric > _YCBCR:
        name = _PHOTOMETRICS.get(photometric, f"photometric interpretation {photometric}")
        raise ImageError(f"a {name} TIFF", expected="grey or RGB", got=name, remedy=TO_RGB)
    colours = 3 if photometric in (_RGB, _YCBCR) else 1
    if not colours <= samples <= colours + 1 or (photometric == _PALETTE and samples > 1):
        got = counted(samples, "channel")
        raise ImageError(
            f"a TIFF of {got}",
            expected="1 channel for grey, 3 for RGB, and an opaque alpha channel at most",
            got=got,
            remedy="save the three channels pre-contrast, FLAIR and post-contrast as an RGB image",
        )
    return samples, bits


def _compression(page: Page, bits: int) -> Compression:
    """The compression; refused by name if it is not decoded."""
    number = page.one(Tag.COMPRESSION, 1)
    photometric, predictor = page.one(Tag.PHOTOMETRIC), page.one(Tag.PREDICTOR, 1)
    if number not in set(Compression):
        raise ImageError(
            "the TIFF's compression is not supported",
            expected="none, LZW, Deflate, PackBits, JPEG or LZMA",
            got=_COMPRESSIONS.get(number, f"method {number}"),
            remedy=UNCOMPRESSED,
        )
    method = Compression(number)
    if photometric == _YCBCR and (method is not Compression.JPEG or page.one(Tag.PLANAR, 1) != 1):
        raise ImageError("a YCbCr TIFF without JPEG", expected="grey or RGB", got="YCbCr", remedy=TO_RGB)
    if method in (Compression.CCITT_RLE, Compression.CCITT_4) and bits != 1:
        raise ImageError("the TIFF is damaged", expected="1 bit a sample under CCITT compression", got=bits)
    if method is Compression.JPEG and (bits != 8 or photometric not in (_BLACK_IS_ZERO, _RGB, _YCBCR)):
        got = f"{bits} bits, photometric interpretation {photometric}"
        raise ImageError(
            "a JPEG-compressed TIFF of another kind", expected="8-bit grey or colour", got=got, remedy=UNCOMPRESSED
        )
    known_predictors = {8: {1, _HORIZONTAL}, 32: {1, _HORIZONTAL, _FLOATING}}.get(bits, {1})
    if predictor not in (known_predictors if method in _PREDICTED else {1}):
        kind = {_HORIZONTAL: "horizontal", _FLOATING: "floating-point"}.get(predictor, f"number {predictor}")
        raise ImageError(
            "the TIFF's predictor is not supported",
            expected="none, or the horizontal one",
            got=kind,
            remedy=UNCOMPRESSED,
        )
    for tag, known in ((Tag.PLANAR, {1, 2}), (Tag.FILL_ORDER, {1, 2}), (Tag.DEPTH, {1})):
        if page.one(tag, 1) not in known:
            raise ImageError(
                f"the TIFF's tag {tag.name} is damaged", expected=" or ".join(map(str, known)), got=page.one(tag)
            )
    return method


def _refuse_turned(page: Page) -> None:
    """Refuse pixels that a viewer would turn or mirror; 0 and values that no standard defines count as upright."""
    orientation = page.tags.get(Tag.ORIENTATION, (1,))[0]
    if 2 <= orientation <= 8:
        raise ImageError(
            "the TIFF is stored turned or mirrored",
            expected="orientation 1, which is upright",
            got=f"orientation {orientation}",
            remedy=UPRIGHT,
        )


def _assembled(layout: Layout, page: Page, compression: Compression) -> NDArray[np.uint8]:
    """The samples as they are stored, (H, W, S); those of fewer than 8 bits are (H, W, 1) from 0 on."""
    height, width, beside = layout.height, layout.width, layout.row_samples
    parts = decoded(layout, page, compression)
    predicted = page.one(Tag.PREDICTOR, 1) == _HORIZONTAL
    if layout.bits == 8 and layout.columns == width and not predicted:
        rows = np.frombuffer(b"".join(parts), np.uint8)
        planes = rows.reshape(layout.planes, height, width, beside)
    else:
        planes = np.empty((layout.planes, height, width, beside), np.uint8)
        for segment, part in zip(layout.segments, parts, strict=True):
            block = _unpacked(np.frombuffer(part, np.uint8).reshape(segment.rows, -1), layout)
            if predicted:
                block = np.cumsum(block, axis=1, dtype=np.uint8)
            right = min(width - segment.left, layout.columns)
            target = planes[segment.plane, segment.top : segment.top + segment.rows, segment.left :][:, :right]
            target[...] = block[:, :right]
    stored: NDArray[np.uint8] = planes[0] if layout.planes == 1 else np.moveaxis(planes[..., 0], 0, -1)
    return stored


def _unpacked(rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """(rows, columns, samples) of a segment's bytes; samples of fewer bits begin in the highest."""
    if layout.bits == 8:
        return rows.reshape(len(rows), layout.columns, layout.row_samples)
    per_byte, mask = 8 // layout.bits, (1 << layout.bits) - 1
    shifts = np.arange(per_byte - 1, -1, -1, dtype=np.uint8) * np.uint8(layout.bits)
    values = (rows[..., None] >> shifts) & np.uint8(mask)
    return values.reshape(len(rows), -1)[:, : layout.columns, None]


def _meaning(stored: NDArray[np.uint8], layout: Layout, page: Page) -> Raster:
    """What the samples stand for."""
    photometric = page.one(Tag.PHOTOMETRIC)
    if photometric == _PALETTE:
        return _looked_up(stored[..., 0], layout.bits, page)
    if photometric == _WHITE_IS_ZERO and layout.bits > 1:
        raise ImageError(
            "an inverted grey TIFF",
            expected="0 for black",
            got="0 for white (WhiteIsZero), which some programs heed and others do not",
            remedy="invert its values and save it with 0 for black",
        )
    if layout.bits < 8:
        notes: tuple[str, ...] = ()
        values = stored[..., 0]
        if photometric == _WHITE_IS_ZERO:
            values, notes = _inverted(values, page)
        spread = np.ascontiguousarray(values) * np.uint8(255 // ((1 << layout.bits) - 1))
        return Raster(pixels=spread, coded=f"{layout.bits}-bit samples", notes=notes)
    colours = 1 if photometric == _BLACK_IS_ZERO else 3
    pixels, notes = without_opaque(stored, colours)
    return Raster(pixels=pixels if pixels.flags.owndata and pixels.flags.writeable else pixels.copy(), notes=notes)


def _inverted(bits: NDArray[np.uint8], page: Page) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """1-bit samples of which the file says that 0 is white.

    tifffile says so of every array of `bool` and yet stores True as 1; readers that follow the tag show such a mask
    inverted. It signs its files, so they can be distinguished from those of other programs. Some programs copy its
    signature when they rewrite a file, and some of these invert the bits and some do not: such a file is ambiguous.
    """
    software = page.tags.get(Tag.SOFTWARE)
    if software is None or (software and not bytes(software).startswith(_TIFFFILE)):
        return bits ^ np.uint8(1), ("The bits are stored inverted (WhiteIsZero) and were flipped.",)
    if not software or _NOT_BY_TIFFFILE & page.tags.keys():
        raise ImageError(
            "a 1-bit TIFF that may be inverted",
            expected="a reliable statement of what 0 means",
            got="0 for white (WhiteIsZero), and the name of tifffile in a file that another program wrote",
            remedy="open it in the program that wrote it, check it, and save it as 8-bit grey with values 0 and 255",
        )
    return bits, ("The bits were read as stored, because tifffile marks arrays of bool as inverted.",)


def _looked_up(indices: NDArray[np.uint8], bits: int, page: Page) -> Raster:
    """A palette's colours in place of its indices."""
    colours = np.array(page.tags.get(Tag.COLOURS, ()), np.int64)
    if colours.size != 3 << bits or colours.max() > 0xFFFF:
        raise ImageError("the TIFF's palette is damaged", expected=f"{3 << bits} numbers", got=colours.size)
    if colours.max() > 0xFF:  # else a writer that took it for 8-bit
        colours >>= 8
    table = colours.reshape(3, -1).T.astype(np.uint8)
    return Raster(pixels=table[indices], coded="a palette")
