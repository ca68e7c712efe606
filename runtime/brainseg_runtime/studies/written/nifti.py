"""NIfTI-1 files of the mask and the probability, in place for every reader.

Where FLAIR is DICOM, sform and qform say the same. Where it is NIfTI, its own orientation is repeated field by field:
readers differ in which of two they take, and in what they make of none, so that only then do all of them show the mask
on FLAIR.

NIfTI's x grows to the patient's right and its y to the front: both have the other sign than in DICOM.
Voxels are stored as they lie in memory, columns fastest, so the file's first axis is the columns'.

Source: NIfTI-1.1 header, nifti.nimh.nih.gov, methods 2 (qform) and 3 (sform).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.nifti.fields import UNITS_MM, Fields

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0])
_TYPES: Final = MappingProxyType({"uint8": (2, 8), "float32": (16, 32)})
_SCANNER: Final = 1  # code of "scanner-based anatomical coordinates"
_LEVEL: Final = 1  # of gzip: probabilities shrink hardly more at 6, which takes five times as long
_MM: Final = 2  # code of millimetres
_LARGEST_CODE: Final = 0x7FFF  # that fits into the field
_HEADER: Final = 352  # bytes before the voxels, the empty list of extensions included


def nifti(values: NDArray[Any], grid: Grid, *, description: str, source: Fields | None = None) -> bytes:
    """The bytes of a `.nii.gz` file, the same on every run.

    Args:
        values: (K, R, C) uint8 or float32.
        grid: Where they lie.
        description: At most 79 ASCII characters.
        source: Header of the NIfTI file whose grid this is; its orientation is repeated.
    """
    code, bits = _TYPES[values.dtype.name]
    header = bytearray(_HEADER)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *reversed(values.shape), 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, code, bits)
    struct.pack_into("<fff", header, 108, _HEADER, 1, 0)  # offset of the voxels, slope, intercept
    struct.pack_into("<ff", header, 124, 1, 0)  # display range
    header[148:228] = description.encode("ascii", "replace")[:79].ljust(80, b"\0")
    if source is None:
        _place(header, grid)
    else:
        _place_like(header, source, grid)
    header[344:348] = b"n+1\0"
    voxels = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return gzip.compress(bytes(header) + voxels, compresslevel=_LEVEL, mtime=0)


def _place(header: bytearray, grid: Grid) -> None:
    """Spacing, qform and sform of a grid."""
    affine = affine_ras(grid)
    b, c, d, face = _quaternion(affine[:, :3])
    struct.pack_into("<8f", header, 76, face, *grid.spacing[::-1], 0, 0, 0, 0)
    header[123] = _MM
    struct.pack_into("<hh", header, 252, _SCANNER, _SCANNER)
    struct.pack_into("<6f", header, 256, b, c, d, *affine[:, 3])
    struct.pack_into("<12f", header, 280, *affine.ravel())


def _place_like(header: bytearray, source: Fields, grid: Grid) -> None:
    """Spacing, qform and sform as another file states them; what it does not state stays 0, a spacing is the grid's."""
    unit = UNITS_MM.get(source.units & 7, 1.0)
    stated = np.abs(_float32(source.pixdim[1:4]))
    spacing = np.where((stated > 0) & np.isfinite(stated), stated, np.array(grid.spacing[::-1]) / unit)
    struct.pack_into("<8f", header, 76, -1 if source.pixdim[0] < 0 else 1, *spacing, 0, 0, 0, 0)
    header[123] = source.units & 7
    qform, sform = (min(max(code, 0), _LARGEST_CODE) for code in source.codes)
    struct.pack_into("<hh", header, 252, qform, sform)
    if qform:
        struct.pack_into("<6f", header, 256, *_float32(source.quaternion))
    if sform:
        struct.pack_into("<12f", header, 280, *_float32(source.rows))


def _float32(values: Sequence[float]) -> NDArray[np.float32]:
    """Numbers of NIfTI-2 as NIfTI-1 has them; what is beyond them becomes infinity."""
    with np.errstate(over="ignore"):
        return np.array(values, np.float64).astype(np.float32)


def affine_ras(grid: Grid) -> NDArray[np.float64]:
    """(3, 4) from indices (column, row, slice) to NIfTI's RAS mm."""
    steps = grid.steps[::-1].T
    return np.asarray(_LPS_TO_RAS @ np.column_stack([steps, grid.origin]), np.float64)


def _quaternion(matrix: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Quaternion's b, c, d of the nearest rotation, and the sign of the third axis, 1 or -1."""
    directions = matrix / np.linalg.norm(matrix, axis=0)
    face = 1.0 if np.linalg.det(directions) > 0 else -1.0
    left, _, right = np.linalg.svd(directions * [1.0, 1.0, face])
    rotation = left @ right
    # The eigenvector of this matrix's largest eigenvalue is the quaternion (Bar-Itzhack, 2000).
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    _, vectors = np.linalg.eigh(symmetric)
    quaternion = vectors[:, -1] * (1.0 if vectors[0, -1] >= 0 else -1.0)
    _, b, c, d = quaternion.tolist()
    return b, c, d, face
