"""Masks read back by other programs, brought onto a grid by the positions that the file states."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid


def mask_by_dcmqi(seg: Path, grid: Grid, work: Path) -> NDArray[np.uint8]:
    """The segment of a DICOM SEG as dcmqi reads it, (K, R, C) on `grid`; skips where dcmqi is not installed."""
    program = shutil.which("segimage2itkimage", path=Path(sys.executable).parent)
    program = program or pytest.skip("needs dcmqi's segimage2itkimage beside Python")
    work.mkdir(parents=True, exist_ok=True)
    command = [program, "--inputDICOM", str(seg), "--outputDirectory", str(work), "-t", "nrrd"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    made = sorted(work.glob("*.nrrd"))
    if done.returncode or len(made) != 1:
        pytest.fail(f"dcmqi gave {len(made)} segments: {done.stdout[-500:]}{done.stderr[-500:]}")
    return mask_by_itk(made[0], grid)


def mask_by_itk(path: Path, grid: Grid) -> NDArray[np.uint8]:
    """A mask that SimpleITK reads, (K, R, C) on `grid`; a marked voxel off the grid fails the test."""
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(path))
    marked = np.argwhere(sitk.GetArrayFromImage(image) > 0)
    # Columns, rows, slices to LPS: origin + direction × (spacing × index).
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    positions = np.array(image.GetOrigin()) + marked[:, ::-1] @ steps.T
    return placed(positions, grid)


def placed(positions: NDArray[np.float64], grid: Grid) -> NDArray[np.uint8]:
    """Marked positions, LPS mm, as a mask on a grid."""
    mask = np.zeros(grid.shape, np.uint8)
    indices = grid.indices(positions)
    nearest = np.rint(indices).astype(int)
    assert np.abs(indices - nearest).max(initial=0) < 0.02, "marked voxels lie between those of the grid"
    inside = np.all((nearest >= 0) & (nearest < np.array(grid.shape)), axis=1)
    assert inside.all(), "marked voxels lie off the grid"
    mask[tuple(nearest.T)] = 1
    return mask
