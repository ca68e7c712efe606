"""Usual names of NIfTI files: the role each says, and files of one study kept together."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainseg_runtime.studies.nifti.names import by_study, clean, role_by_name, stem, study_name


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("BraTS20_Training_001_flair.nii", "flair"), ("BraTS-GLI-00000-000-t2f.nii.gz", "flair"),
        ("sub-01_acq-3D_FLAIR.nii.gz", "flair"), ("FLAIR.NII.GZ", "flair"), ("p_T2_FLAIR.nii", "flair"),
        ("BraTS20_Training_001_t1.nii", "pre"), ("x-t1n.nii.gz", "pre"), ("sub-1_T1w.nii", "pre"),
        ("T1_pre.nii", "pre"),
        ("x_t1ce.nii", "post"), ("x-t1c.nii.gz", "post"), ("x_t1gd.nii", "post"), ("T1-post.nii", "post"),
        ("sub-1_ce-gadolinium_T1w.nii.gz", "post"), ("x_t1_ce.nii", "post"), ("x.t1c.nii", "post"),
        ("x_t2.nii", "other"), ("x-t2w.nii", "other"), ("x_seg.nii.gz", "other"), ("sub-1_dwi.nii.gz", "other"),
        ("sub-1_label-tumor_mask.nii", "other"), ("flair_seg.nii", "other"),
        ("sub-1_acq-postcontrast_T1w.nii", "post"), ("sub-1_acq-gd_T1w.nii", "post"), ("sub-1_acq-ce_T1w.nii", "post"),
        ("sub-1_acq-pregad_T1w.nii", "pre"), ("sub-1_acq-mprage_T1w.nii", "pre"), ("sub-1_acq-space_T1w.nii", "pre"),
        ("sub-1_acq-postop_T1w.nii", "pre"), ("sub-1_ce-none_T1w.nii", "pre"),
        ("T1c_lesions.nii", "other"), ("flair_roi.nii", "other"), ("T1_pve_0.nii", "other"), ("T1_aseg.nii", "other"),
        ("x_automated_approx_segm.nii", "other"), ("FLAIR_pred.nii", "other"), ("FLAIR_bias_field.nii", "other"),
        ("sub-1_label-GM_probseg.nii", "other"), ("sub-lesion01_FLAIR.nii", "flair"), ("tumor01_t1ce.nii", "post"),
        ("14_Ax_T2_FLAIR_Propeller.nii", None), ("scan.nii", None),
    ],
)  # fmt: skip
def test_a_usual_name_says_a_role(name: str, role: str | None) -> None:
    assert role_by_name(Path(name)) == role


def test_files_of_one_study_stay_together() -> None:
    names = [
        "d/sub-1/ses-1/anat/sub-1_ses-1_FLAIR.nii.gz", "d/sub-1/ses-1/anat/sub-1_ses-1_ce-gd_T1w.nii.gz",
        "d/sub-1/ses-2/anat/sub-1_ses-2_FLAIR.nii.gz", "d/P1_flair.nii", "d/P1_t1_post.nii", "d/P2-t2f.nii",
        "d/Q/5_Ax_FLAIR_fs.nii", "d/Q/6_Ax_T1_x.nii", "d/R/flair.nii", "d/R/t1.nii", "e/R/flair.nii",
        "f/4_Ax_FLAIR.nii", "f/3_Ax_T1.nii",
    ]  # fmt: skip
    found = {name: len(files) for name, files in by_study(map(Path, names)).items()}
    assert found == {"sub-1_ses-1": 2, "sub-1_ses-2": 1, "P1": 2, "P2": 1, "Q": 2, "R": 2, "R_2": 1, "f": 2}


def test_what_is_derived_does_not_take_the_subjects_name() -> None:
    names = ["d/derivatives/x/sub-1/anat/sub-1_FLAIR.nii", "d/sub-1/anat/sub-1_FLAIR.nii"]
    found = by_study(map(Path, names))
    assert {name: files[0].as_posix() for name, files in found.items()} == {"sub-1": names[1], "sub-1_2": names[0]}


def test_a_study_is_named_after_what_its_files_share() -> None:
    names = {
        "P1": ["a/P1_flair.nii", "a/P1_t1ce.nii"], "a": ["a/4_Ax_FLAIR.nii", "a/3_Ax_T1.nii"], "b": ["b/flair.nii"],
        "sub-1_ses-2": ["a/sub-1_ses-2_FLAIR.nii", "a/sub-1_ses-2_T1w.nii"],
    }  # fmt: skip
    assert {study_name([Path(name) for name in used]): used for used in names.values()} == names


def test_where_every_subject_has_such_a_folder_the_subject_names_the_study() -> None:
    names = ["d/P1/anat/flair.nii", "d/P2/anat/flair.nii", "d/P2/anat/t1.nii"]
    assert {name: len(files) for name, files in by_study(map(Path, names)).items()} == {"P1": 1, "P2": 2}
    assert study_name([Path("d/P2/anat/flair.nii"), Path("d/P2/anat/t1.nii")]) == "P2"


def test_the_current_folder_names_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "P7").mkdir()
    monkeypatch.chdir(tmp_path / "P7")
    assert list(by_study([Path("flair.nii")])) == ["P7"]


def test_names_are_clean() -> None:
    assert clean("Müller^Karl 5") == "M_ller_Karl_5"
    assert clean("../..") == "study"
    assert stem(Path("a.b.NII.gz")) == "a.b"
