"""The formats that are read, and which of them a file is.

What a file holds decides, not its name: a PNG called `slice.tif` is read as PNG, with a note.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Final

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.jpeg import JPEG
from brainseg_runtime.images.png import PNG
from brainseg_runtime.images.raster import Raster, Reader
from brainseg_runtime.images.tiff import TIFF

READERS: Final[tuple[Reader, ...]] = (TIFF, PNG, JPEG)
SUFFIXES: Final = tuple(suffix for reader in READERS for suffix in reader.suffixes)
"""What the name of a slice or mask can end in, lower case with the dot."""


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as one of a format that is read, in upper or lower case."""
    return PurePath(name).suffix.lower() in SUFFIXES


def read_raster(data: bytes, where: str, limits: Limits) -> Raster:
    """Decode a file's bytes with the reader of their format.

    Args:
        data: The whole file, capped by the caller.
        where: What it is called; only its suffix is looked at, for a note.
        limits: No side may exceed `max_side`.

    Raises:
        ImageError: The bytes are of no format that is read, or cannot be decoded.
        MissingExtraError: The library that decodes it is not installed.
    """
    for reader in READERS:
        if reader.recognises(data):
            raster = reader.decode(data, limits)
            suffix = PurePath(where).suffix.lower()
            if suffix in SUFFIXES and suffix not in reader.suffixes:
                note = f"It is a {reader.name} file, though its name ends in {suffix}; it was read as {reader.name}."
                raster = replace(raster, notes=(note, *raster.notes))
            return raster
    raise ImageError(
        "not an image that can be read",
        expected=" or ".join(reader.name for reader in READERS),
        got=_described(data),
        remedy=_remedy(data),
    )


def _described(data: bytes) -> str:
    """What a file of another kind seems to be."""
    kinds = ((b"\x1f\x8b", "gzip data"), (b"BM", "BMP"), (b"GIF8", "GIF"), (b"RIFF", "WebP"), (b"PK", "a zip archive"))
    if data[128:132] == b"DICM":
        return "DICOM"
    if len(data) > 348 and data[344:347] in {b"n+1", b"ni1"}:
        return "NIfTI"
    if not any(data):
        return f"{len(data)} bytes of zeros" if data else "an empty file"
    for magic, kind in kinds:
        if data.startswith(magic):
            return kind
    return f"a file that begins with {data[:4].hex(' ')}"


def _remedy(data: bytes) -> str | None:
    """What to do about a file of another kind; nothing can be said of bytes that are no image at all."""
    if data.startswith((b"BM", b"GIF8", b"RIFF")):
        return "save it as PNG"
    return None if any(data) else "copy the file again; its content is missing"
