"""Slices and masks from image files, with the limits that hold before anything is decoded.

Legend: H rows, W columns, in pixels; the last axis of an image is pre-contrast, FLAIR, post-contrast.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.formats import read_raster
from brainseg_runtime.safe_io.files import read_capped

FLAIR_ONLY: Final = (
    "if the image is FLAIR alone, run brainseg predict with --flair-only (in Python flair_only=True), and it stands in "
    "for the other two; else give an RGB image of pre-contrast, FLAIR and post-contrast"
)
"""The remedy for a single grey image."""
_NOT_FLAIR_ONLY: Final = "leave --flair-only (flair_only=True) out: the image has three channels of its own"
_BINARY: Final = "save it as an 8-bit grey image with 0 and 255"


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedImage:
    """A slice decoded from a file's bytes.

    Attributes:
        pixels: (H, W, 3) uint8, the caller's own.
        notes: What was left out or assumed, a sentence each, such as that an opaque alpha channel was dropped.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def decode_image(data: bytes, where: str, *, limits: Limits = DEFAULT_LIMITS, flair_only: bool = False) -> DecodedImage:
    """Decode the bytes of one slice: the only way in for pixels of images.

    Args:
        data: The file's bytes; the caller caps their number.
        where: What the file is called in errors.
        limits: Cap on H and W; images smaller than a model takes are read, and refused by the model.
        flair_only: The image is FLAIR alone, grey or with three equal channels; FLAIR stands in for the others, as in
            the data set where a sequence is missing.

    Raises:
        ImageError: It is damaged, or not an 8-bit image of three channels (of one with `flair_only`) on one page.
        MissingExtraError: A library that decodes it is not installed.

    >>> decode_image(Path("models/prediction.png").read_bytes(), "prediction.png").pixels.dtype
    dtype('uint8')
    """
    with naming(where):
        raster = read_raster(data, where, limits)
        if raster.coded:
            raise ImageError(
                f"an image with {raster.coded}",
                expected="8-bit grey or RGB",
                got=raster.coded,
                remedy="convert it to RGB if it is a slice; a mask is read as <name>_mask beside its image",
            )
        pixels, notes = raster.pixels, raster.notes
        if not flair_only:
            if pixels.ndim == 2:
                got = "one channel, a single grey image"
                raise ImageError("not an image of three channels", expected="three", got=got, remedy=FLAIR_ONLY)
            return DecodedImage(pixels=pixels, notes=notes)
        flair = _one_channel(pixels, expected="a grey image, or one of three equal channels", remedy=_NOT_FLAIR_ONLY)
        note = "FLAIR alone: it stands in for pre-contrast and post-contrast."
        return DecodedImage(pixels=np.repeat(flair[..., None], 3, axis=2), notes=(*notes, note))


def decode_mask(data: bytes, where: str, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Decode the bytes of one mask, binary in any form.

    Args:
        data: The file's bytes; the caller caps their number.
        where: What the file is called in errors.
        limits: Cap on H and W.

    Returns:
        (H, W) uint8 with 0 and 1, the caller's own: 1 where the file has the one value that is not 0.

    Raises:
        ImageError: It is damaged, of a kind that is not read, or not binary.
        MissingExtraError: A library that decodes it is not installed.

    >>> from brainseg_runtime.images.masks import encode_mask
    >>> decode_mask(encode_mask(np.eye(2, dtype=np.uint8)), "mask.tif").tolist()
    [[1, 0], [0, 1]]
    """
    with naming(where):
        raster = read_raster(data, where, limits)
        pixels = _one_channel(raster.pixels, expected="grey, or three equal channels", remedy=_BINARY)
        tumour = pixels != 0
        high = int(pixels.max())
        values = np.count_nonzero(pixels == high), np.count_nonzero(tumour)
        # A mask of one value is only unambiguous if that is one of the usual ones: 0, 1 and 255.
        if values[0] != (values[1] if high else pixels.size) or (values[1] == pixels.size and high not in (1, 255)):
            shown = ", ".join(map(str, np.unique(pixels)[:8]))
            raise ImageError(
                "the mask is not binary", expected="0 and one other value", got=f"values {shown}", remedy=_BINARY
            )
        mask: NDArray[np.uint8] = tumour.view(np.uint8)
        return mask


def read_image(path: Path | str, *, limits: Limits = DEFAULT_LIMITS, flair_only: bool = False) -> NDArray[np.uint8]:
    """Read one slice.

    Args:
        path: A TIFF, PNG or JPEG, or a link to one.
        limits: Caps on the file's size and on H and W.
        flair_only: See `decode_image`.

    Returns:
        (H, W, 3) uint8, the caller's own.

    Raises:
        ImageError: It is missing, too large, damaged, or not an 8-bit image of three channels on one page.
        MissingExtraError: A library that decodes it is not installed.

    >>> read_image("models/prediction.png").ndim
    3
    """
    return decode_image(file_bytes(path, limits), str(path), limits=limits, flair_only=flair_only).pixels


def read_mask(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read one mask: 0 and 255 as the data set has it, or binary in any other form.

    Args:
        path: A TIFF, PNG or JPEG, or a link to one.
        limits: Caps on the file's size and on H and W.

    Returns:
        (H, W) uint8 with 0 and 1, the caller's own.

    Raises:
        ImageError: It is missing, too large, damaged, of a kind that is not read, or not binary.
        MissingExtraError: A library that decodes it is not installed.

    >>> from brainseg_runtime.images import write_mask
    >>> write_mask("eye_mask.tif", np.eye(2, dtype=np.uint8))
    >>> read_mask("eye_mask.tif").tolist()
    [[1, 0], [0, 1]]
    """
    return decode_mask(file_bytes(path, limits), str(path), limits=limits)


def file_bytes(path: Path | str, limits: Limits) -> bytes:
    """The bytes of an image file under the cap; links are followed, as data sets are often trees of links.

    Raises:
        ImageError: It is missing, no regular file, too large or unreadable.
    """
    try:
        target = Path(os.path.realpath(path))
    except (OSError, ValueError) as error:  # a name that the system cannot hold
        raise ImageError(f"{path!r} cannot be read", expected="a file's name", got=error) from error
    return read_capped(target, limits.max_image_file_bytes, error=ImageError)


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Adds the file's name to errors that are raised within."""
    try:
        yield
    except ImageError as error:
        named = ImageError(f"{where}: {error.what}", expected=error.expected, got=error.got, remedy=error.remedy)
        raise named from error.__cause__


def _one_channel(pixels: NDArray[np.uint8], *, expected: str, remedy: str) -> NDArray[np.uint8]:
    """(H, W) of a grey image, or of one whose three channels are equal."""
    if pixels.ndim == 2:
        return pixels
    first = pixels[..., 0]
    if not (np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2])):
        raise ImageError("the channels differ", expected=expected, got="three that differ", remedy=remedy)
    return np.ascontiguousarray(first)
