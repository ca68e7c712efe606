"""Made volumes as NIfTI, by nibabel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid


def write_nifti(path: Path, voxels: NDArray[Any], grid: Grid, *, dtype: str = "<i2", code: int = 1) -> Path:
    """Write (K, R, C) voxels on a grid as a NIfTI file whose axes are columns, rows, slices.

    Args:
        path: Ends in .nii or .nii.gz.
        voxels: (K, R, C).
        grid: Where they lie.
        dtype: Stored type.
        code: Of the qform and the sform; 0 states no orientation.
    """
    affine = np.eye(4)
    affine[:3, :3] = grid.steps[::-1].T
    affine[:3, 3] = grid.origin
    affine[:2] *= -1  # LPS to RAS
    image = nibabel.Nifti1Image(np.asarray(voxels).astype(dtype).transpose(2, 1, 0), affine)
    image.set_qform(affine, code)
    image.set_sform(affine, code)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path
