"""NIfTI files and studies: values against nibabel and SimpleITK, hostile files, usual names.

Covers `nifti_sidecar` too.
"""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from brainseg_runtime.errors import BrainsegError, GeometryError, RolesError, StudyError
from brainseg_runtime.studies.nifti.files import nifti_study, read_nifti
from tests.studies_made.nifti import write_nifti
from tests.studies_made.shapes import axial_grid, turned

GRID = turned(axial_grid((6, 20, 16), spacing=(5.0, 0.9, 1.1)), degrees=(12.0, -7.0, 20.0))
VOXELS = np.random.default_rng(0).integers(0, 200, GRID.shape)


def saved(path: Path) -> Path:
    """A file, written by nibabel."""
    return write_nifti(path, VOXELS, GRID)


def by_nibabel(path: Path) -> nibabel.Nifti1Image:
    """A file as nibabel reads it."""
    image = nibabel.Nifti1Image.from_filename(path, mmap=False)
    assert isinstance(image, nibabel.Nifti1Image)
    return image


@pytest.mark.parametrize("dtype", ["<u1", "<i1", "<i2", ">i2", "<u2", ">i4", "<u4", "<i8", ">f4", "<f8"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_values_and_positions_are_those_of_two_other_readers(tmp_path: Path, dtype: str, suffix: str) -> None:
    voxels = VOXELS % 100
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.vstack([
        np.column_stack([GRID.steps[::-1].T, GRID.origin]), [0, 0, 0, 1],
    ])  # fmt: skip
    endian = ">" if dtype[0] == ">" else "<"
    header = nibabel.Nifti1Header(endianness=endian)
    header.set_data_dtype(np.dtype(dtype))
    image = nibabel.Nifti1Image(voxels.astype(np.dtype(dtype).newbyteorder("=")).T, affine, header)
    path = tmp_path / f"a{suffix}"
    image.to_filename(path)
    series = read_nifti(path)
    volume = series.load()
    np.testing.assert_array_equal(volume.voxels, np.asarray(by_nibabel(path).dataobj).T)
    itk = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(volume.voxels, SimpleITK.GetArrayFromImage(itk))
    for kji in ((0, 0, 0), (5, 19, 15), (2, 7, 3)):
        there = itk.TransformIndexToPhysicalPoint(tuple(reversed(kji)))
        np.testing.assert_allclose(volume.grid.positions(kji), np.array(there), atol=1e-3)
    assert series.grid is not None
    assert series.grid.same_as(GRID, 1e-3)


def test_slope_and_intercept_are_applied_and_a_slope_of_0_is_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii")
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -3.0], "<f4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_allclose(read_nifti(path).load().voxels, by_nibabel(path).get_fdata().T)
    assert read_nifti(path).load().voxels.min() == VOXELS.min() * 0.5 - 3
    raw[112:120] = np.array([0.0, 7.0], "<f4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_array_equal(read_nifti(path).load().voxels, VOXELS)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_no_numbers_are_an_error(tmp_path: Path, value: float) -> None:
    voxels = VOXELS.astype(np.float64)
    voxels[0, 0, 0] = value
    series = read_nifti(write_nifti(tmp_path / "a.nii", voxels, GRID, dtype="<f8"))
    with pytest.raises(StudyError, match="no numbers"):
        series.load()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}")
    whole = path.read_bytes()
    for keep in (0, 1, 2, 10, 100, 347, 360, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:keep])
        with pytest.raises(StudyError, match=r"a\.nii"):
            read_nifti(path).load()


def test_bytes_flipped_anywhere_give_the_same_volume_or_an_error(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.nii.gz").read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / "b.nii.gz"
    for _ in range(200):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 5)):
            damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            voxels = read_nifti(path).load().voxels
        except BrainsegError:
            continue
        np.testing.assert_array_equal(voxels, VOXELS)


def test_a_wrong_checksum_is_an_error_and_bytes_behind_the_data_are_left(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii.gz")
    whole = path.read_bytes()
    for at in (-8, -5, -4, -1):
        changed = bytearray(whole)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(StudyError, match=r"a\.nii\.gz cannot be read"):
            read_nifti(path).load()
    for kept in (1, 4, 8):
        path.write_bytes(whole[:-kept])
        with pytest.raises(StudyError, match=r"a\.nii\.gz cannot be read"):
            read_nifti(path).load()
    for behind in (bytes(512), b"\1\2\3", b"\x1f"):
        path.write_bytes(whole + behind)
        np.testing.assert_array_equal(read_nifti(path).load().voxels, VOXELS)


def test_a_bomb_is_decoded_no_further_than_its_header_says(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii")
    bomb = tmp_path / "bomb.nii.gz"
    with gzip.open(bomb, "wb", 1) as file:
        file.write(path.read_bytes())
        for _ in range(64):
            file.write(bytes(1 << 22))
    tracemalloc.start()
    np.testing.assert_array_equal(read_nifti(bomb).load().voxels, VOXELS)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_a_bomb_of_extensions_or_of_voxels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for field, value in (("vox_offset", 3e9), ("dim", [3, 2000, 2000, 2000, 1, 1, 1, 1])):
        header = by_nibabel(saved(tmp_path / "a.nii")).header
        header[field] = value
        path = tmp_path / "bomb.nii.gz"
        path.write_bytes(gzip.compress(bytes(header.binaryblock) + bytes(1000)))
        with pytest.raises(StudyError):
            read_nifti(path)


def test_a_path_is_not_told_whole(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        read_nifti(tmp_path / "gone.nii")
    assert str(tmp_path) not in str(caught.value)


# --- studies


@pytest.mark.parametrize("names", [
    ("P_flair.nii.gz", "P_t1.nii.gz", "P_t1ce.nii.gz"),
    ("BraTS-GLI-00000-000-t2f.nii.gz", "BraTS-GLI-00000-000-t1n.nii.gz", "BraTS-GLI-00000-000-t1c.nii.gz"),
    ("flair.nii", "t1.nii", "t1gd.nii"),
    ("sub-01/anat/sub-01_FLAIR.nii.gz", "sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz"),
    ("4_Ax_T2_FLAIR.nii.gz", "3_Ax_T1.nii.gz", "9_Ax_T1_+C.nii.gz"),
    ("FLAIR.nii", "T1_pre.nii", "T1_post.nii"),
    ("t2_tirm_tra_dark-fluid_5.nii", "t1_se_tra_nativ_4.nii", "t1_se_tra_KM_9.nii"),
])  # fmt: skip
def test_usual_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    others = ("P_t2.nii.gz", "P_seg.nii.gz") if names[0].startswith("P_") else ()
    for name in (*names, *others):
        saved(tmp_path / name)
    study = nifti_study(tmp_path)
    found = {role: str(series.paths[0].relative_to(tmp_path)) for role, series in study.roles.items()}
    assert found == dict(zip(("flair", "pre", "post"), names, strict=True))
    assert study.warnings == ()
    assert len(study.choices) == len(names) + len(others)


def test_by_hand_with_paths_from_anywhere(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "x" / "one.nii"), saved(tmp_path / "y" / "two.nii")
    study = nifti_study([a], flair=a, post=b)
    assert {role: series.paths[0] for role, series in study.roles.items()} == {"flair": a, "post": b}
    assert any("no T1 before contrast" in warning for warning in study.warnings)


def test_several_studies_two_flairs_and_none_are_errors(tmp_path: Path) -> None:
    saved(tmp_path / "A_flair.nii")
    saved(tmp_path / "B_flair.nii")
    with pytest.raises(StudyError, match=r"several studies.*A, B"):
        nifti_study(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="no NIfTI"):
        nifti_study(tmp_path / "empty")
    (tmp_path / "B_flair.nii").rename(tmp_path / "A-flair.nii")
    with pytest.raises(RolesError, match="2 files are named as flair"):
        nifti_study(tmp_path)
    with pytest.raises(RolesError, match="known to be FLAIR"):
        nifti_study([saved(tmp_path / "thing.nii")])


@pytest.mark.parametrize(
    "names", [("FLAIR", "T1c_seg"), ("FLAIR", "T1_mask", "T1c_mask"), ("AX_FLAIR_4", "FLAIR_mask")]
)
def test_a_mask_is_never_taken_for_an_image_by_its_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        saved(tmp_path / f"{name}.nii.gz")
    study = nifti_study(tmp_path)
    assert {role: each.paths[0].name for role, each in study.roles.items()} == {"flair": f"{names[0]}.nii.gz"}
    assert len(study.choices) == len(names)
    assert all("none of the three" in choice.reason for choice in study.choices if choice.role is None)


def test_a_mask_alone_is_no_flair(tmp_path: Path) -> None:
    saved(tmp_path / "FLAIR_seg.nii")
    saved(tmp_path / "T1.nii")
    with pytest.raises(RolesError, match="no series is known to be FLAIR"):
        nifti_study(tmp_path)


def test_a_damaged_file_matters_only_if_it_is_needed(tmp_path: Path) -> None:
    for name in ("flair.nii", "t1.nii"):
        saved(tmp_path / name)
    (tmp_path / "t1ce.nii").write_bytes(b"nothing")
    (tmp_path / "t2.nii").write_bytes(b"nothing")
    with pytest.raises(StudyError, match="t1ce"):
        nifti_study(tmp_path)
    assert set(nifti_study(tmp_path, post="none").roles) == {"flair", "pre"}


def test_tags_of_the_json_beside_a_file_decide(tmp_path: Path) -> None:
    tags = {
        "1": {"ScanningSequence": "SE_IR", "RepetitionTime": 9, "EchoTime": 0.09, "InversionTime": 2.5},
        "2": {"Modality": "MR", "ScanningSequence": "SE", "RepetitionTime": 0.5, "EchoTime": 0.01,
              "AcquisitionTime": "10:00:00.5"},
        "3": {"Modality": "MR", "ScanningSequence": "SE", "RepetitionTime": 0.5, "EchoTime": 0.01,
              "AcquisitionTime": "10:20:00", "ContrastBolusIngredient": "GADOLINIUM"},
    }  # fmt: skip
    for name, each in tags.items():
        saved(tmp_path / f"scan_{name}.nii.gz")
        (tmp_path / f"scan_{name}.json").write_text(json.dumps(each))
    study = nifti_study(tmp_path)
    assert {role: series.paths[0].name[5] for role, series in study.roles.items()} == {
        "flair": "1",
        "pre": "2",
        "post": "3",
    }


def test_a_faulty_json_is_told(tmp_path: Path) -> None:
    saved(tmp_path / "flair.nii")
    (tmp_path / "flair.json").write_text("{")
    assert any("flair.json cannot be read" in warning for warning in nifti_study(tmp_path).warnings)


def test_no_orientation_is_warned_of(tmp_path: Path) -> None:
    write_nifti(tmp_path / "flair.nii", VOXELS, axial_grid(GRID.shape), code=0)
    study = nifti_study(tmp_path)
    assert any("states no orientation" in warning for warning in study.warnings)
    assert not study.flair.header.has_patient_orientation


def test_the_name_of_a_study_is_its_files_or_its_folders(tmp_path: Path) -> None:
    saved(tmp_path / "Müller, K." / "flair.nii")
    assert nifti_study(tmp_path).name == "M_ller_K"
    saved(tmp_path / "b" / "sub-7_ses-2_FLAIR.nii")
    assert nifti_study(tmp_path / "b").name == "sub-7_ses-2"


def test_an_orientation_that_contradicts_itself_is_a_fault_of_geometry(tmp_path: Path) -> None:
    image = by_nibabel(saved(tmp_path / "flair.nii"))
    image.set_sform(np.diag([-1.0, 1, 1, 1]) @ image.affine, 1)
    image.to_filename(tmp_path / "flair.nii")
    with pytest.raises(GeometryError, match="two orientations"):
        nifti_study(tmp_path)
