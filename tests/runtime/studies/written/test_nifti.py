"""NIfTI: nibabel and SimpleITK find each voxel where DICOM has it, by sform and by qform."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.written.nifti import nifti
from tests.runtime.studies.written.made_results import AXIAL, OBLIQUE, awkward_mask
from tests.runtime.studies.written.programs import from_itk, marked
from tests.studies_made.shapes import as_acquired, turned

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
CASES = {
    "axial": (awkward_mask(), AXIAL),
    "oblique": (awkward_mask(), OBLIQUE),
    "sagittal": as_acquired(awkward_mask(), AXIAL, "sagittal"),
    "coronal": as_acquired(awkward_mask(), AXIAL, "coronal"),
}
EVERY = pytest.mark.parametrize(("mask", "grid"), CASES.values(), ids=CASES)


@EVERY
def test_nibabel_finds_each_voxel_at_its_position(tmp_path: Path, mask: NDArray[np.uint8], grid: Grid) -> None:
    (tmp_path / "mask.nii.gz").write_bytes(nifti(mask, grid, description="made"))
    image = nibabel.Nifti1Image.from_filename(tmp_path / "mask.nii.gz")
    voxels = np.asarray(image.dataobj)
    assert voxels.dtype == np.uint8
    assert np.array_equal(voxels.transpose(2, 1, 0), mask)
    indices = np.argwhere(mask)
    in_ras = nibabel.affines.apply_affine(image.affine, indices[:, ::-1])
    np.testing.assert_allclose(in_ras @ LPS_TO_RAS[:3, :3], grid.positions(indices), atol=1e-3)
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    np.testing.assert_allclose(image.header.get_qform(), image.header.get_sform(), atol=1e-3)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header.get_zooms() == pytest.approx(grid.spacing[::-1])


@EVERY
def test_simpleitk_finds_each_voxel_at_its_position(tmp_path: Path, mask: NDArray[np.uint8], grid: Grid) -> None:
    (tmp_path / "mask.nii.gz").write_bytes(nifti(mask, grid, description="made"))
    found, where = from_itk(SimpleITK.ReadImage(str(tmp_path / "mask.nii.gz")))
    np.testing.assert_allclose(marked(found, where), marked(mask, grid), atol=0.011)


def test_probabilities_are_kept_bit_for_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 4, 5), np.float32)
    (tmp_path / "p.nii.gz").write_bytes(nifti(values, AXIAL, description="made"))
    found = np.asarray(nibabel.Nifti1Image.from_filename(tmp_path / "p.nii.gz").dataobj)
    assert found.dtype == np.float32
    assert np.array_equal(found.transpose(2, 1, 0), values)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.booleans())
def test_qform_and_sform_agree_however_the_grid_is_turned(degrees: tuple[float, float, float], mirrored: bool) -> None:
    grid = turned(AXIAL, degrees=degrees)
    if mirrored:
        directions = grid.directions * np.array([[-1.0], [1.0], [1.0]])
        grid = Grid(shape=grid.shape, spacing=grid.spacing, directions=directions, origin=grid.origin)
    data = nifti(np.zeros((2, 3, 4), np.uint8), grid, description="made")
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(data))
    np.testing.assert_allclose(image.header.get_qform(), image.header.get_sform(), atol=2e-3)


def test_the_same_values_give_the_same_bytes() -> None:
    assert nifti(awkward_mask(), AXIAL, description="x") == nifti(awkward_mask(), AXIAL, description="x")
