"""The made files hold what was given, in place: read back with SimpleITK, pydicom and nibabel, judged by dciodvfy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.faults import duplicate, missing, sheared
from tests.studies_made.nifti import write_nifti
from tests.studies_made.series import Stored, write_series, write_study
from tests.studies_made.shapes import as_acquired, axial_grid, made_head, turned
from tests.studies_made.syntaxes import SYNTAXES, transcode
from tests.studies_made.tags import BY_ROLE, FLAIR, POST

sitk = pytest.importorskip("SimpleITK")

GRID = turned(axial_grid((6, 40, 48), spacing=(5.0, 4.5, 4.0), centre=(3, -20, 12)), degrees=(12, -5, 8))


def by_simpleitk(paths: list[Path] | Path) -> tuple[NDArray[Any], Grid]:
    """Voxels and grid as SimpleITK reads them."""
    image = sitk.ReadImage(str(paths) if isinstance(paths, Path) else [str(path) for path in paths])
    directions = np.array(image.GetDirection()).reshape(3, 3).T[::-1]
    x, y, z = image.GetSpacing()
    columns, rows, slices = image.GetSize()
    grid = Grid(
        shape=(slices, rows, columns), spacing=(z, y, x), directions=directions, origin=np.array(image.GetOrigin())
    )
    return sitk.GetArrayFromImage(image), grid


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
def test_a_series_is_where_its_grid_says(tmp_path: Path, plane: Literal["axial", "sagittal", "coronal"]) -> None:
    head = made_head(GRID).flair
    voxels, grid = as_acquired(head, GRID, plane)
    read, where = by_simpleitk(write_series(tmp_path, voxels, grid))
    assert np.array_equal(read, voxels)
    assert where.same_as(grid, 1e-3) or np.linalg.det(grid.directions) > 0  # a mirrored grid is beyond ITK's reader
    # The brightest voxel lies at the same place of the patient, however it was acquired.
    place = grid.positions(np.unravel_index(np.argmax(voxels), voxels.shape))
    assert np.allclose(place, GRID.positions(np.unravel_index(np.argmax(head), head.shape)), atol=1e-9)


@pytest.mark.parametrize(
    "stored",
    [
        Stored(bits_stored=12),
        Stored(signed=True, padding=-2000),
        Stored(signed=True, slope=2.0, intercept=-1000.0),
        Stored(slope=0.5, intercept=10.0, signed=True),
    ],
)
def test_stored_values_give_the_voxels_again(tmp_path: Path, stored: Stored) -> None:
    voxels = made_head(GRID).flair // 2 * 2
    paths = write_series(tmp_path, voxels, GRID, stored=stored)
    read = by_simpleitk(paths)[0]
    inside = voxels != 0
    assert np.array_equal(read[inside], voxels[inside])
    assert (read[~inside] == (0 if stored.padding is None else stored.padding)).all()


def test_monochrome1_is_the_negative(tmp_path: Path) -> None:
    voxels = made_head(GRID).flair
    paths = write_series(tmp_path, voxels, GRID, stored=Stored(bits_stored=12, monochrome1=True))
    assert np.array_equal(4095 - pydicom.dcmread(paths[2]).pixel_array, voxels[2])


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
def test_every_syntax_keeps_the_voxels(tmp_path: Path, syntax: str, signed: bool) -> None:
    voxels = made_head(GRID).flair[:2] - (300 if signed else 0)
    paths = write_series(tmp_path, voxels, GRID, stored=Stored(signed=signed))
    before = [pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in paths]
    transcode(paths, syntax)
    read = [pydicom.dcmread(path) for path in paths]
    assert all(one.file_meta.TransferSyntaxUID != other for one, other in zip(read, before, strict=True)) or (
        syntax in {"explicit", "undefined-lengths-dcmtk"}
    )
    assert np.array_equal(np.stack([each.pixel_array for each in read]), voxels)


def test_an_enhanced_file_is_where_its_grid_says(tmp_path: Path) -> None:
    voxels = made_head(GRID).post
    for per_frame in (False, True):
        path = write_enhanced(tmp_path / "post.dcm", voxels, GRID, tags=POST, per_frame=per_frame)
        read, where = by_simpleitk(path)
        assert np.array_equal(read, voxels)
        assert where.same_as(GRID, 1e-3)


def test_nifti_is_where_its_grid_says(tmp_path: Path) -> None:
    voxels = made_head(GRID).pre
    read, where = by_simpleitk(write_nifti(tmp_path / "t1.nii.gz", voxels, GRID))
    assert np.array_equal(read, voxels)
    assert where.same_as(GRID, 1e-3)


def test_faults_are_in_the_files(tmp_path: Path) -> None:
    voxels = made_head(GRID).flair
    assert len(write_series(tmp_path / "gap", voxels, GRID, edit=missing(2, 3))) == 4
    assert len(write_series(tmp_path / "twice", voxels, GRID, edit=duplicate(1), shuffle=3)) == 7
    tilted = [pydicom.dcmread(path) for path in write_series(tmp_path / "tilt", voxels, GRID, edit=sheared(1.0))]
    step = np.array(tilted[1].ImagePositionPatient, float) - np.array(tilted[0].ImagePositionPatient, float)
    assert np.isclose(step @ np.array(tilted[0].ImageOrientationPatient, float)[3:], 1.0, atol=1e-5)


def test_the_standards_own_checker_finds_no_error(tmp_path: Path) -> None:
    checker = shutil.which("dciodvfy")
    if checker is None:
        pytest.skip("needs dciodvfy: apt-get install dicom3tools")
    head = made_head(GRID)
    study = write_study(tmp_path, {role: getattr(head, role) for role in BY_ROLE}, GRID)
    write_enhanced(tmp_path / "enhanced.dcm", head.flair, GRID, tags=FLAIR)
    files = sorted(study.rglob("*.dcm"))
    assert len(files) == 19
    for path in (files[0], files[7], files[13], files[-1]):
        told = subprocess.run([checker, str(path)], capture_output=True, text=True, timeout=60, check=False)
        # The enhanced object's optional modules are left out; what a reader needs is there.
        errors = [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]
        assert path.name == "enhanced.dcm" or errors == []
