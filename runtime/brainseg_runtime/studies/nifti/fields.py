"""The bytes of a NIfTI header unpacked: both versions of the format, both byte orders, one file.

Analyze files and pairs of .hdr and .img are refused: they cannot say reliably which side is left.

Source: the NIfTI-1 and NIfTI-2 standards (nifti1.h, nifti2.h).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from brainseg_runtime.errors import StudyError

HEADER_BYTES: Final = 540
"""Bytes that hold either version's header."""
_VERSION_1, _VERSION_2 = 348, 540
"""Lengths of the headers; each begins with its own."""

UNITS_MM: Final = MappingProxyType({0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001})
"""Millimetres in each unit of length, by its code; 0 states none, and means mm by custom."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The fields used, of either version, under the standard's meanings.

    Attributes:
        order: "<" or ">", the byte order.
        least: Fewest bytes before the voxels.
        dims: Number of dimensions, then their lengths.
        datatype: Code of the voxels' type.
        bits: Bits of a voxel.
        pixdim: Handedness of the qform, then the spacings.
        offset: Bytes before the voxels.
        scaling: Slope and intercept.
        units: Code of the units.
        codes: Of the qform and the sform; above 0 if they are set.
        quaternion: b, c, d, and the offsets x, y, z.
        rows: The sform's three rows of four.
    """

    order: str
    least: int
    dims: Sequence[int]
    datatype: int
    bits: int
    pixdim: Sequence[float]
    offset: float
    scaling: tuple[float, float]
    units: int
    codes: tuple[int, int]
    quaternion: Sequence[float]
    rows: Sequence[float]


def unpack(data: bytes, where: str) -> Fields:
    """Unpack a header, in the byte order that its first number shows.

    Args:
        data: The file's first `HEADER_BYTES` bytes, or fewer if it is shorter.
        where: What the file is called in errors.

    Raises:
        StudyError: It is no NIfTI file.
    """
    for order in "<>":
        size = struct.unpack_from(order + "i", data)[0] if len(data) >= struct.calcsize("i") else 0
        if size == _VERSION_1 and len(data) >= size:
            return _version_1(data, order, where)
        if size == _VERSION_2 and len(data) >= size:
            return _version_2(data, order, where)
    raise StudyError(
        f"{where} is no NIfTI file", expected="a header of 348 or 540 bytes", got=f"{len(data)} bytes of something else"
    )


def _version_1(data: bytes, order: str, where: str) -> Fields:
    """A NIfTI-1 header."""
    magic = data[344:348]
    if magic != b"n+1\0":
        kind = "one half of a .hdr and .img pair" if magic == b"ni1\0" else "an Analyze 7.5 header"
        raise StudyError(
            f"{where} is {kind}", expected="a NIfTI file, .nii or .nii.gz", got="no orientation that can be relied on",
            remedy="convert the DICOM files again with a current converter, such as dcm2niix",
        )  # fmt: skip

    def at(form: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + form, data, offset)

    return Fields(
        order=order, least=352, dims=_whole(at("8h", 40)), datatype=int(at("h", 70)[0]), bits=int(at("h", 72)[0]),
        pixdim=at("8f", 76), offset=at("f", 108)[0], scaling=(at("f", 112)[0], at("f", 116)[0]), units=data[123],
        codes=(int(at("h", 252)[0]), int(at("h", 254)[0])), quaternion=at("6f", 256), rows=at("12f", 280),
    )  # fmt: skip


def _version_2(data: bytes, order: str, where: str) -> Fields:
    """A NIfTI-2 header."""
    if data[4:12] != b"n+2\0\r\n\x1a\n":
        raise StudyError(f"{where} is no NIfTI-2 file", expected="its signature", got=data[4:12].hex())

    def at(form: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + form, data, offset)

    return Fields(
        order=order, least=544, dims=_whole(at("8q", 16)), datatype=int(at("h", 12)[0]), bits=int(at("h", 14)[0]),
        pixdim=at("8d", 104), offset=at("q", 168)[0], scaling=(at("d", 176)[0], at("d", 184)[0]),
        units=int(at("i", 500)[0]) & 0xFF, codes=(int(at("i", 344)[0]), int(at("i", 348)[0])),
        quaternion=at("6d", 352), rows=at("12d", 400),
    )  # fmt: skip


def _whole(values: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers."""
    return tuple(int(value) for value in values)
