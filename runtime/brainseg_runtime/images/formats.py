"""The supported formats, and how a file's format is recognised.

The content decides, not the name: a PNG called `slice.tif` is read as PNG, with a note. To add a format, write a file
with its `Reader` and list it in `READERS`; finding, predicting, evaluating, checking and training all ask here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
"""Suffixes of slices and masks, lower case with the dot."""

_added: list[Reader] = []


@contextmanager
def also_reading(reader: Reader) -> Iterator[None]:
    """Adds a format for a while, in the whole process: for a program that brings a reader of its own, and for tests.

    Args:
        reader: The format's reader; it is asked after those in `READERS`.
    """
    _added.append(reader)
    try:
        yield
    finally:
        _added.remove(reader)


def readers() -> tuple[Reader, ...]:
    """All supported formats."""
    return (*READERS, *_added)


def suffixes() -> tuple[str, ...]:
    """Suffixes of supported files, lower case with the dot."""
    return tuple(suffix for reader in readers() for suffix in reader.suffixes)


def format_names(which: Callable[[Reader], bool] = lambda _: True) -> str:
    """The formats in words.

    Args:
        which: Tells which of them are named.

    >>> format_names()
    'TIFF, PNG or JPEG'
    """
    *first, last = (reader.name for reader in readers() if which(reader))
    return f"{', '.join(first)} or {last}" if first else last


def is_image_name(name: str) -> bool:
    """Whether a file's name has a supported suffix, in upper or lower case.

    >>> is_image_name("TCGA_CS_4941_1.TIF"), is_image_name("notes.txt")
    (True, False)
    """
    return _named(name, lambda _: True)


def is_data_set_name(name: str) -> bool:
    """Whether a file's name has a suffix that slices of a data set may have.

    >>> is_data_set_name("a_1.tif"), is_data_set_name("a_1.png")
    (True, False)
    """
    return _named(name, lambda reader: reader.in_data_sets)


def is_lossless_name(name: str) -> bool:
    """Whether a file's name has the suffix of a lossless format.

    >>> is_lossless_name("a_1_mask.png"), is_lossless_name("a_1_mask.jpg")
    (True, False)
    """
    return _named(name, lambda reader: reader.lossless)


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
    suffix = PurePath(where).suffix.lower()
    for reader in readers():
        if reader.recognises(data):
            raster = reader.decode(data, limits)
            if is_image_name(where) and suffix not in reader.suffixes:
                note = f"The name ends in {suffix}, but the file is a {reader.name} and was read as one."
                raster = replace(raster, notes=(note, *raster.notes))
            return raster
    raise ImageError(
        "not an image that can be read",
        expected=" or ".join(reader.name for reader in readers()),
        got=_described(data),
        remedy=_remedy(data),
    )


def _named(name: str, which: Callable[[Reader], bool]) -> bool:
    """Whether a name ends as one of some formats."""
    suffix = PurePath(name).suffix.lower()
    return any(suffix in reader.suffixes for reader in readers() if which(reader))


def _described(data: bytes) -> str:
    """Guess at the format of an unsupported file."""
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
    """The remedy for an unsupported file; None if its bytes are not an image."""
    if data.startswith((b"BM", b"GIF8", b"RIFF")):
        return "save it as PNG"
    return None if any(data) else "copy the file again; its content is missing"
