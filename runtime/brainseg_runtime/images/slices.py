"""Slices and masks from image files, and masks back to files, with the limits that hold before anything is decoded.

Legend: H rows, W columns, in pixels; the last axis of an image is pre-contrast, FLAIR, post-contrast.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import ImageError, MissingExtraError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.files import read_capped, write_bytes
from brainseg_runtime.images.dataset import Patient, SlicePaths
from brainseg_runtime.images.tiff import decode


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedImage:
    """A slice decoded from a file's bytes.

    Attributes:
        pixels: (H, W, 3) uint8, the caller's own.
        notes: What was left out or assumed, one sentence each, such as an opaque alpha channel that was dropped.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def decode_image(data: bytes, where: str, *, limits: Limits = DEFAULT_LIMITS) -> DecodedImage:
    """Decode the bytes of one slice; the one door through which pixels of images come in.

    Args:
        data: The file's bytes; their number is the caller's to cap.
        where: What the file is called in errors.
        limits: Caps on H and W.

    Raises:
        ImageError: It is damaged, or not an 8-bit image of three channels on one page.
        MissingExtraError: It is compressed or tiled, and tifffile is not installed.
    """
    return DecodedImage(pixels=decode(data, where, samples=3, limits=limits))


def read_image(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read one slice.

    Args:
        path: A TIFF, or a link to one.
        limits: Caps on the file's size and on H and W.

    Returns:
        (H, W, 3) uint8, the caller's own.

    Raises:
        ImageError: It is missing, too large, damaged, or not an 8-bit image of three channels on one page.
        MissingExtraError: It is compressed or tiled, and tifffile is not installed.
    """
    return decode_image(_read(path, limits), str(path), limits=limits).pixels


def read_mask(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read one mask, written with 0 and 255 as the data set has it, or with 0 and 1.

    Args:
        path: A TIFF, or a link to one.
        limits: Caps on the file's size and on H and W.

    Returns:
        (H, W) uint8 with 0 and 1, the caller's own.

    Raises:
        ImageError: It is missing, too large, damaged, not 8-bit with one channel, or not binary.
        MissingExtraError: It is compressed or tiled, and tifffile is not installed.
    """
    pixels = decode(_read(path, limits), str(path), samples=1, limits=limits)
    tumour = pixels != 0
    high = int(pixels.max())
    if high not in (0, 1, 255) or np.count_nonzero(pixels == high) != np.count_nonzero(tumour if high else ~tumour):
        shown = ", ".join(map(str, np.unique(pixels)[:8]))
        raise ImageError(f"{path}: the mask is not binary", expected="0 and 255, or 0 and 1", got=f"values {shown}")
    mask: NDArray[np.uint8] = tumour.view(np.uint8)
    return mask


def read_slice(paths: SlicePaths, *, limits: Limits = DEFAULT_LIMITS) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a slice with its mask.

    Args:
        paths: Where both lie.
        limits: Caps on the files' sizes and on H and W.

    Returns:
        (H, W, 3) uint8 image and (H, W) uint8 mask with 0 and 1.

    Raises:
        ImageError: One cannot be read, the mask is missing, or the two differ in size.
        MissingExtraError: One is compressed or tiled, and tifffile is not installed.
    """
    if paths.mask is None:
        raise ImageError(f"{paths.image} has no mask", expected="a mask beside it", got="none")
    image, mask = read_image(paths.image, limits=limits), read_mask(paths.mask, limits=limits)
    if image.shape[:2] != mask.shape:
        raise ImageError(f"{paths.mask} does not cover its image", expected=image.shape[:2], got=mask.shape)
    return image, mask


def patient_problems(patient: Patient, *, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Read every file of a patient and tell what is wrong with it: what `scan_dataset` cannot see from names.

    Returns:
        One line for each file that cannot be read, is not binary, or is not of the size of its image or, for images, of
        the patient's first readable image.

    Raises:
        MissingExtraError: One is compressed or tiled, and tifffile is not installed.
    """
    problems: list[str] = []
    first: tuple[int, ...] | None = None
    for paths in patient.slices:
        image = _try_read(read_image, paths.image, limits, problems)
        mask = None if paths.mask is None else _try_read(read_mask, paths.mask, limits, problems)
        if image is None:
            continue
        size = image.shape[:2]
        first = first or size
        if size != first:
            problems.append(f"{paths.image} is not of its patient's size; expected {first}; got {size}")
        if mask is not None and mask.shape != size:
            problems.append(f"{paths.mask} does not cover its image; expected {size}; got {mask.shape}")
    return tuple(problems)


def write_mask(path: Path | str, mask: NDArray[Any]) -> None:
    """Write a mask in the data set's own form: one page, uncompressed, 0 and 255; whole or not at all.

    Args:
        path: Where; its folder must exist.
        mask: (H, W) uint8 with 0 and 1, or bool.

    Raises:
        ImageError: It is no binary mask.
        FileWriteError: The system refused.
        MissingExtraError: tifffile is not installed.
    """
    if mask.ndim != 2 or not mask.size or mask.dtype not in (np.bool_, np.uint8) or mask.max() > 1:
        raise ImageError(
            f"{path}: not a mask", expected="(H, W) of bool, or of uint8 with 0 and 1", got=f"{mask.shape} {mask.dtype}"
        )
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError(
            "TIFF files cannot be written", expected="tifffile", got=error, remedy=install_remedy("io")
        ) from error
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, mask.astype(np.uint8) * np.uint8(255), photometric="minisblack")
    write_bytes(Path(path), buffer.getvalue())


def _read(path: Path | str, limits: Limits) -> bytes:
    """A file's bytes under the cap; links are followed, as data sets are often trees of links."""
    try:
        target = Path(os.path.realpath(path))
    except (OSError, ValueError) as error:  # a name that the system cannot hold
        raise ImageError(f"{path!r} cannot be read", expected="a file's name", got=error) from error
    return read_capped(target, limits.max_image_file_bytes, error=ImageError)


def _try_read(reader: Any, path: Path, limits: Limits, problems: list[str]) -> NDArray[np.uint8] | None:  # noqa: ANN401
    """Pixels, or None and a line among the problems."""
    try:
        pixels: NDArray[np.uint8] = reader(path, limits=limits)
    except ImageError as error:
        problems.append(str(error))
        return None
    return pixels
