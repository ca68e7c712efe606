"""Stored values of slices, and the volume that they make once rescaled.

Legend: K slices, R rows, C columns.
Source: DICOM PS3.3 C.7.6.3.1 (pixels), C.7.5.1.1.2 (padding), C.11.1 (rescaling); PS3.5, 8 (encoding).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import MissingExtraError, StudyError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.studies.dicom.codestreams import SYNTAXES, check_codestream
from brainseg_runtime.studies.dicom.files import BIG_ENDIAN, NATIVE, PixelElement, read_bytes
from brainseg_runtime.studies.dicom.library import FAULTS, quiet
from brainseg_runtime.studies.dicom.slices import PixelFormat, Slice, SourceFile
from brainseg_runtime.studies.geometry import Grid, Volume

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import Decoder

_PLUGINS: Final = ("pydicom", "pyjpegls", "pylibjpeg")
"""Codecs that come with this package, and are taken whatever else is installed, so that results do not depend on it."""

_REMEDY: Final = "fetch the series again from where it came from"


def load(slices: Sequence[Slice], grid: Grid) -> Volume:
    """Decode and rescale the pixels of a series.

    Padding becomes background: 0, or the lowest other value if that is negative. MONOCHROME1, in which low values
    are bright, is turned over.

    Args:
        slices: In the grid's order.
        grid: Where they lie.

    Raises:
        StudyError: Pixels are damaged, or cannot be decoded.
        MissingExtraError: The codec is not installed.
    """
    voxels = np.empty(grid.shape, np.float32)
    padded = np.zeros(grid.shape, np.bool_)
    for indices in _by_file(slices):
        file = slices[indices[0]].file
        numbers = [slices[index].frame or 1 for index in indices]
        for index, stored in zip(indices, stored_values(file, numbers), strict=True):
            voxels[index] = _rescaled(stored, slices[index])
            padded[index] = _is_padding(stored, file)
    if not np.isfinite(voxels).all():
        raise StudyError(f"{slices[0].file.label} and its series hold values that are no numbers once rescaled")
    _set_background(voxels, padded, inverted=_is_inverted(slices[0].file))
    return Volume(voxels=voxels, grid=grid)


def same_values(one: Slice, other: Slice) -> bool:
    """Whether two slices hold the same values."""
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    first, second = (stored_values(each.file, [each.frame or 1])[0] for each in (one, other))
    return np.array_equal(first, second)


def stored_values(file: SourceFile, frames: Sequence[int]) -> list[NDArray[np.int64]]:
    """Stored values of some frames of a file.

    Args:
        file: The file.
        frames: Numbers of frames, from 1.

    Returns:
        (R, C) for each.

    Raises:
        StudyError: They are damaged, or cannot be decoded.
        MissingExtraError: The codec is not installed.
    """
    if file.format is None or file.pixels is None:
        raise StudyError(f"{file.label} has no pixels")
    try:
        if file.syntax in NATIVE:
            return _native(file, file.pixels, file.format, frames)
        return _compressed(file, file.pixels, file.format, frames)
    except FAULTS as error:
        raise StudyError(
            f"the pixels of {file.label} cannot be decoded", got=type(error).__name__, remedy=_REMEDY
        ) from error


def check_syntax(file: SourceFile) -> None:
    """Check that a file's transfer syntax can be decoded.

    Raises:
        StudyError: It is not one of those that are read.
        MissingExtraError: The codec is not installed.
    """
    if file.syntax in NATIVE:
        return
    if file.syntax not in SYNTAXES:
        from pydicom.uid import UID

        name = UID(file.syntax).name if set(file.syntax) <= set("0123456789.") else "not a UID"
        raise StudyError(
            f"{file.label} is stored in a transfer syntax that is not read",
            expected="uncompressed, deflated, RLE, JPEG, JPEG-LS or JPEG 2000",
            got=name,
            remedy="export it uncompressed",
        )
    _decoder(file)


def _by_file(slices: Sequence[Slice]) -> list[list[int]]:
    """Indices of slices, those of one file together."""
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(slices):
        groups.setdefault(id(each.file), []).append(index)
    return list(groups.values())


def _native(
    file: SourceFile, pixels: PixelElement, stored: PixelFormat, frames: Sequence[int]
) -> list[NDArray[np.int64]]:
    """Frames that are stored as they are."""
    size = stored.bits_allocated // 8
    kind = np.dtype(f"{'>' if file.syntax == BIG_ENDIAN else '<'}{'i' if stored.signed else 'u'}{size}")
    count = stored.rows * stored.columns
    length = stored.frames * count * size
    data = read_bytes(file.path, file.syntax, pixels.offset, length + length % 2)
    if size == 1 and file.syntax == BIG_ENDIAN and pixels.representation == "OW":
        data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
    values = np.frombuffer(data, kind, stored.frames * count).reshape(stored.frames, stored.rows, stored.columns)
    shift = stored.high_bit + 1 - stored.bits_stored
    return [_used_bits(values[number - 1].astype(np.int64) >> shift, stored) for number in frames]


def _compressed(
    file: SourceFile, pixels: PixelElement, stored: PixelFormat, frames: Sequence[int]
) -> list[NDArray[np.int64]]:
    """Frames that are compressed one by one."""
    from pydicom.encaps import encapsulate, generate_frames

    decoder, plugin = _decoder(file)
    data = read_bytes(file.path, file.syntax, pixels.offset, pixels.length)
    wanted = {number: place for place, number in enumerate(frames)}
    made: dict[int, NDArray[np.int64]] = {}
    with quiet():
        for number, frame in enumerate(generate_frames(data, number_of_frames=stored.frames), start=1):
            if number not in wanted:
                continue
            check_codestream(frame, file.syntax, (stored.rows, stored.columns), stored.bits_allocated // 8, file.label)
            values, _ = decoder.as_array(
                encapsulate([frame], has_bot=False), index=0, decoding_plugin=plugin, **_options(stored)
            )
            made[number] = _used_bits(values.astype(np.int64), stored)
    if len(made) < len(wanted):
        raise StudyError(f"{file.label} lacks frames", expected=stored.frames, got=len(made), remedy=_REMEDY)
    return [made[number] for number in frames]


def _options(stored: PixelFormat) -> dict[str, Any]:
    """The attributes that pydicom's decoders need."""
    return {
        "rows": stored.rows,
        "columns": stored.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": stored.photometric,
        "bits_allocated": stored.bits_allocated,
        "bits_stored": stored.bits_stored,
        "pixel_representation": int(stored.signed),
        "pixel_keyword": "PixelData",
        "allow_excess_frames": False,
    }


def _decoder(file: SourceFile) -> tuple[Decoder, str]:
    """The decoder of a syntax, and the plug-in to use."""
    from pydicom.pixels.decoders.base import get_decoder

    with quiet():
        decoder = get_decoder(file.syntax)
        there = decoder.available_plugins
    if not there:
        raise MissingExtraError(
            f"{file.label} is compressed, and its codec is not installed",
            expected="pylibjpeg with openjpeg and libjpeg, and pyjpegls",
            remedy=install_remedy("study"),
        )
    return decoder, next((each for each in _PLUGINS if each in there), there[0])


def _used_bits(values: NDArray[np.int64], stored: PixelFormat) -> NDArray[np.int64]:
    """Values without the bits above those in use, which may hold an overlay, and with their sign."""
    values = values & ((1 << stored.bits_stored) - 1)
    if not stored.signed:
        return values
    half = 1 << (stored.bits_stored - 1)
    return (values ^ half) - half


def _rescaled(values: NDArray[np.int64], one: Slice) -> NDArray[np.float64]:
    stored = one.file.format
    if stored is not None and _is_inverted(one.file):
        values = ((1 << stored.bits_stored) - 1 if not stored.signed else -1) - values
    return np.asarray(values * one.slope + one.intercept, np.float64)


def _is_inverted(file: SourceFile) -> bool:
    return file.format is not None and file.format.photometric == "MONOCHROME1"


def _is_padding(values: NDArray[np.int64], file: SourceFile) -> NDArray[np.bool_]:
    if file.format is None or file.format.padding is None:
        return np.zeros(values.shape, np.bool_)
    low, high = file.format.padding
    return np.asarray((values >= low) & (values <= high))


def _set_background(voxels: NDArray[np.float32], padded: NDArray[np.bool_], *, inverted: bool) -> None:
    """Gives padding a background's value; brings values that were turned over about too high a value back to 0."""
    tissue = voxels[~padded]
    if not tissue.size:
        voxels[...] = 0
        return
    lowest, highest = float(tissue.min()), float(tissue.max())
    if inverted and lowest > highest / 2:  # turned over about the end of the stored range, far above all values
        voxels -= np.float32(lowest)
        lowest = 0.0
    voxels[padded] = min(0.0, lowest)
