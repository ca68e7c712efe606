"""NIfTI-1 files of the mask and the probability, in place for every reader: sform and qform say the same.

NIfTI's x grows to the patient's right and its y to the front: both have the other sign than in DICOM.
Voxels are stored as they lie in memory, columns fastest, so the file's first axis is the columns'.

Source: NIfTI-1.1 header, nifti.nimh.nih.gov, methods 2 (qform) and 3 (sform).
"""

from __future__ import annotations

import gzip
import struct
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0])
_TYPES: Final = MappingProxyType({"uint8": (2, 8), "float32": (16, 32)})
_SCANNER: Final = 1  # code of "scanner-based anatomical coordinates"
_LEVEL: Final = 1  # of gzip: probabilities shrink hardly more at 6, which takes five times as long
_HEADER: Final = 352  # bytes before the voxels, the empty list of extensions included


def nifti(values: NDArray[Any], grid: Grid, *, description: str) -> bytes:
    """The bytes of a `.nii.gz` file, the same on every run.

    Args:
        values: (K, R, C) uint8 or float32.
        grid: Where they lie.
        description: At most 79 ASCII characters.
    """
    code, bits = _TYPES[values.dtype.name]
    affine = affine_ras(grid)
    b, c, d, face = _quaternion(affine[:, :3])
    slices, rows, columns = grid.spacing
    header = bytearray(_HEADER)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *reversed(values.shape), 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, face, columns, rows, slices, 0, 0, 0, 0)
    struct.pack_into("<fff", header, 108, _HEADER, 1, 0)  # offset of the voxels, slope, intercept
    header[123] = 2  # lengths in mm
    struct.pack_into("<ff", header, 124, 1, 0)  # display range
    header[148:228] = description.encode("ascii", "replace")[:79].ljust(80, b"\0")
    struct.pack_into("<hh", header, 252, _SCANNER, _SCANNER)
    struct.pack_into("<6f", header, 256, b, c, d, *affine[:, 3])
    struct.pack_into("<12f", header, 280, *affine.ravel())
    header[344:348] = b"n+1\0"
    voxels = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return gzip.compress(bytes(header) + voxels, compresslevel=_LEVEL, mtime=0)


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
