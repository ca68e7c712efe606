"""The header of a NIfTI file, checked before a voxel is read: one grey volume of a sensible size.

Legend: i, j, k the file's first three axes, i fastest; an array of the voxels is (k, j, i) = (K, R, C).
Source: the NIfTI-1 standard (nifti1.h).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.nifti.fields import Fields, unpack
from brainseg_runtime.studies.nifti.grid import grid_of

MAX_VOXELS: Final = 1 << 27
"""Most voxels of a volume: 512 x 512 x 512, 512 MiB as float32."""

_TYPES: Final = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_OTHER_TYPES: Final = {
    1: "one bit", 32: "complex", 128: "RGB colour", 1536: "128-bit float", 1792: "complex", 2048: "complex",
    2304: "RGBA colour",
}  # fmt: skip
_MAX_OFFSET: Final = 1 << 26
"""Most bytes before the voxels: header extensions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NiftiHeader:
    """What a NIfTI header says.

    Attributes:
        grid: Where the voxels lie.
        dtype: Of the voxels as stored, with byte order.
        offset: Bytes before the first voxel.
        slope: Values are stored values × slope + intercept.
        intercept: See there.
        oriented: Whether the header states an orientation.
        notes: What is worth telling.
        fields: The header as it stands.
    """

    grid: Grid
    dtype: np.dtype[np.generic]
    offset: int
    slope: float
    intercept: float
    oriented: bool
    notes: tuple[str, ...]
    fields: Fields


def parse_header(data: bytes, where: str) -> NiftiHeader:
    """Read and check a header.

    Args:
        data: The file's first `HEADER_BYTES` bytes, or fewer if it is shorter.
        where: What the file is called in errors.

    Raises:
        StudyError: It is no NIfTI file, is too large, or holds something other than one grey volume.
        GeometryError: Its orientation or spacing is faulty.
    """
    fields = unpack(data, where)
    shape = _shape(fields.dims, where)
    dtype = _dtype(fields, where)
    if not (math.isfinite(fields.offset) and fields.least <= fields.offset <= _MAX_OFFSET):
        raise StudyError(
            f"{where} places its voxels wrongly", expected=f"{fields.least} to {_MAX_OFFSET} bytes", got=fields.offset
        )
    slope, intercept = _scaling(fields, where)
    grid, oriented, notes = grid_of(fields, shape, where)
    return NiftiHeader(
        grid=grid, dtype=dtype, offset=int(fields.offset), slope=slope, intercept=intercept, oriented=oriented,
        notes=notes, fields=fields,
    )  # fmt: skip


def _shape(dims: Sequence[int], where: str) -> tuple[int, int, int]:
    """Slices, rows, columns of one volume."""
    count = dims[0]
    if not 2 <= count <= 7 or min(dims[1 : count + 1]) < 1:
        raise StudyError(f"{where} has impossible dimensions", expected="2 to 7 of at least 1", got=list(dims))
    sides = [*dims[1 : count + 1], 1][:3] if count == 2 else list(dims[1:4])
    if math.prod(dims[4 : count + 1]) != 1:
        raise StudyError(
            f"{where} holds several volumes", expected="one volume, (x, y, z)",
            got=" x ".join(str(dim) for dim in dims[1 : count + 1]), remedy="split it and give one volume",
        )  # fmt: skip
    if math.prod(sides) > MAX_VOXELS:
        raise StudyError(
            f"{where} is too large", expected=f"at most {MAX_VOXELS:,} voxels", got=f"{math.prod(sides):,}"
        )
    return sides[2], sides[1], sides[0]


def _dtype(fields: Fields, where: str) -> np.dtype[np.generic]:
    """The voxels' type."""
    name = _TYPES.get(fields.datatype)
    if name is None:
        raise StudyError(
            f"{where} holds no grey values", expected="whole or floating-point numbers",
            got=_OTHER_TYPES.get(fields.datatype, f"data type {fields.datatype}"),
        )  # fmt: skip
    dtype: np.dtype[np.generic] = np.dtype(fields.order + name)
    if fields.bits not in (0, dtype.itemsize * 8):
        raise StudyError(
            f"{where} contradicts itself", expected=f"{dtype.itemsize * 8} bits", got=f"{fields.bits} bits"
        )
    return dtype


def _scaling(fields: Fields, where: str) -> tuple[float, float]:
    """Slope and intercept; a slope of 0, or one that is no number, means none."""
    slope, intercept = fields.scaling
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise StudyError(f"{where} has a faulty scaling", expected="a finite intercept", got=intercept)
    return slope, intercept
