"""NIfTI: nibabel and SimpleITK find each voxel where DICOM has it, by sform and by qform."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.nifti.files import read_nifti
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
    # A quaternion's first number is the root of what the three stored ones, float32, leave of 1: it is known to
    # the root of their precision, 4e-4, near half a turn; a direction to twice that, and a step is 5 mm.
    np.testing.assert_allclose(image.header.get_qform(), image.header.get_sform(), atol=2 * 4e-4 * 5)


def test_the_same_values_give_the_same_bytes() -> None:
    assert nifti(awkward_mask(), AXIAL, description="x") == nifti(awkward_mask(), AXIAL, description="x")


# --- beside FLAIR as a NIfTI file


def stated(path: Path, codes: tuple[int, int], *, apart_mm: float, version: int) -> Path:
    """A NIfTI file whose qform and sform have these codes, and lie this far apart."""
    affine = np.diag([-0.9, -1.1, 5.0, 1.0])
    affine[:3, 3] = 40.0, 70.0, -30.0
    moved = affine.copy()
    moved[1, 3] += apart_mm
    made = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    image = made(np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3), affine)  # type: ignore[no-untyped-call]
    image.set_qform(moved, codes[0])
    image.set_sform(affine, codes[1])
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def places(path: Path, *, by_itk: bool) -> list[NDArray[np.float64]]:
    """Where nibabel and, if it can read the file, SimpleITK place the first voxel and its three neighbours."""
    indices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    loaded = nibabel.load(path)
    assert isinstance(loaded, nibabel.Nifti1Image)  # version 2 is one too
    found = [np.array(nibabel.affines.apply_affine(loaded.affine, indices))]
    if by_itk:
        image = SimpleITK.ReadImage(str(path))
        found.append(np.array([image.TransformIndexToPhysicalPoint(index) for index in indices]))
    return found


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("apart_mm", [0.0, 15.0])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 2), (0, 4), (1, 2), (2, 1), (0, 0)], ids=str)
def test_every_reader_places_a_mask_where_it_places_flair(
    tmp_path: Path, codes: tuple[int, int], apart_mm: float, version: int
) -> None:
    """Readers choose differently between two orientations, and none is no orientation at all."""
    flair = read_nifti(stated(tmp_path / "flair.nii.gz", codes, apart_mm=apart_mm, version=version))
    assert flair.grid is not None
    mask = np.zeros(flair.grid.shape, np.uint8)
    (tmp_path / "mask.nii.gz").write_bytes(nifti(mask, flair.grid, description="made", source=flair.nifti))
    by_itk = version == 1  # SimpleITK does not read version 2
    written, its_source = (places(path, by_itk=by_itk) for path in (tmp_path / "mask.nii.gz", flair.paths[0]))
    np.testing.assert_allclose(written, its_source, atol=1e-4)
    header = nibabel.Nifti1Image.from_filename(tmp_path / "mask.nii.gz").header
    assert (header["qform_code"], header["sform_code"]) == codes


@pytest.mark.parametrize(
    ("field", "value"), [("pixdim", np.nan), ("pixdim", 0.0), ("quatern_b", 1e300), ("qoffset_x", np.nan)]
)
def test_fields_that_do_not_count_are_not_repeated(tmp_path: Path, field: str, value: float) -> None:
    """An sform alone is enough; what stands beside it may be anything, also beyond what the written file can hold."""
    path = stated(tmp_path / "flair.nii", (0, 1), apart_mm=0.0, version=2)
    data = bytearray(path.read_bytes())
    offsets = {"pixdim": 112, "quatern_b": 352, "qoffset_x": 376}
    struct.pack_into("<d", data, offsets[field], value)
    path.write_bytes(data)
    flair = read_nifti(path)
    assert flair.grid is not None
    mask = np.zeros(flair.grid.shape, np.uint8)
    (tmp_path / "mask.nii.gz").write_bytes(nifti(mask, flair.grid, description="made", source=flair.nifti))
    image = nibabel.Nifti1Image.from_filename(tmp_path / "mask.nii.gz")
    assert image.header.get_zooms() == pytest.approx(flair.grid.spacing[::-1])
    np.testing.assert_allclose(image.affine[:3, 3], [40.0, 70.0, -30.0])
