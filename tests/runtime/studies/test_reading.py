"""Studies are found and read whatever way they are handed over; what is wrong is said and does not stop the rest."""

from __future__ import annotations

import gc
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.errors import ArgumentError, BrainsegError, GeometryError, RolesError, StudyError
from brainseg_runtime.studies.reading import find_studies, read_study
from brainseg_runtime.studies.study import Study
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.faults import changed, missing
from tests.studies_made.nifti import write_nifti
from tests.studies_made.series import write_series, write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.tags import BY_ROLE, FLAIR, LOCALISER, POST, PRE, STUDY, T2

GRID = axial_grid((6, 40, 48), spacing=(5.0, 4.5, 4.0), centre=(3, -20, 12))
HEAD = made_head(GRID)
VOLUMES = {role: getattr(HEAD, role) for role in BY_ROLE}
OTHER = {"StudyInstanceUID": "1.2.3.4", "PatientID": "SECRET-2", "PatientName": "Secret^Name"}


def assert_is_the_head(study: Study) -> None:
    """All three roles hold what was written."""
    assert set(study.roles) == {"flair", "pre", "post"}
    for role, series in study.roles.items():
        assert np.array_equal(series.load().voxels, VOLUMES[role]), role


def test_a_folder_of_dicom_is_a_study(tmp_path: Path) -> None:
    write_study(tmp_path / "deep" / "er", VOLUMES, GRID, shuffle=1, suffix="")
    write_series(tmp_path / "others", VOLUMES["pre"], GRID, tags=T2)
    write_series(tmp_path / "others", VOLUMES["pre"][:3], GRID, tags=LOCALISER)
    (tmp_path / "readme.txt").write_text("hello", encoding="utf-8")
    study = read_study(tmp_path)
    assert_is_the_head(study)
    assert (study.source, study.root) == ("dicom", tmp_path)
    assert study.uid == study.name == STUDY["StudyInstanceUID"]
    assert len(study.choices) == 5
    assert study.left_out == ("readme.txt is no DICOM image and no zip archive",)


def test_an_archive_is_read_as_a_folder_is(tmp_path: Path) -> None:
    write_study(tmp_path / "study", VOLUMES, GRID)
    shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "study")
    study = read_study(str(tmp_path / "study.zip"))
    gc.collect()
    assert_is_the_head(study)
    assert study.root == tmp_path / "study.zip"


def test_single_enhanced_files_are_a_study(tmp_path: Path) -> None:
    for role, voxels in VOLUMES.items():
        write_enhanced(tmp_path / f"{role}.dcm", voxels, GRID, tags=BY_ROLE[role])
    assert_is_the_head(read_study(tmp_path))
    alone = read_study(tmp_path / "flair.dcm")
    assert set(alone.roles) == {"flair"}
    assert any("missing sequence" in warning for warning in alone.warnings)


@pytest.mark.parametrize("archived", [False, True])
def test_nifti_is_a_study(tmp_path: Path, archived: bool) -> None:
    for name, role in (("t2f", "flair"), ("t1n", "pre"), ("t1c", "post")):
        write_nifti(tmp_path / "P1" / f"P1-{name}.nii.gz", VOLUMES[role], GRID)
    path = tmp_path / "P1"
    if archived:
        path = tmp_path / "P1.zip"
        with zipfile.ZipFile(path, "w") as made:
            for each in (tmp_path / "P1").iterdir():
                made.write(each, f"x/../P1/{each.name}")
    study = read_study(path)
    gc.collect()
    assert_is_the_head(study)
    assert (study.source, study.name) == ("nifti", "P1")


def test_nifti_beside_dicom_is_left_out_and_said(tmp_path: Path) -> None:
    write_study(tmp_path / "dicom", VOLUMES, GRID)
    write_nifti(tmp_path / "nifti" / "P1_flair.nii.gz", VOLUMES["flair"], GRID)
    (found,) = find_studies([tmp_path])
    assert found.source == "dicom"
    assert "NIfTI beside DICOM" in found.left_out[0]
    assert [each.source for each in find_studies([tmp_path / "dicom", tmp_path / "nifti"])] == ["dicom", "nifti"]


def test_several_studies_are_found_and_a_bad_one_does_not_stop_the_rest(tmp_path: Path) -> None:
    write_study(tmp_path / "good", VOLUMES, GRID)
    write_series(tmp_path / "bad", VOLUMES["flair"], GRID, tags={**FLAIR, **OTHER}, edit=missing(2))
    good, bad = sorted(find_studies([tmp_path]), key=lambda each: each.uid == "1.2.3.4")
    assert_is_the_head(good.read())
    with pytest.raises(GeometryError, match="lacks slices"):
        bad.read()
    with pytest.raises(StudyError, match="holds 2 studies") as caught:
        read_study(tmp_path)
    assert good.name in str(caught.value)
    assert bad.name in str(caught.value)


def test_one_study_in_several_folders_is_one(tmp_path: Path) -> None:
    for role, voxels in VOLUMES.items():
        write_series(tmp_path / role, voxels, GRID, tags=BY_ROLE[role])
    (found,) = find_studies([tmp_path / role for role in VOLUMES])
    assert_is_the_head(found.read())


def test_a_faulty_series_that_is_not_needed_does_no_harm(tmp_path: Path) -> None:
    write_study(tmp_path, VOLUMES, GRID)
    write_series(tmp_path / "t2", VOLUMES["pre"], GRID, tags=T2, edit=missing(3))
    write_series(tmp_path / "sr", VOLUMES["pre"][:1], GRID, tags={**T2, "SeriesNumber": 99, "Modality": "SR"},
                 edit=changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", PixelData=None))  # fmt: skip
    study = read_study(tmp_path)
    assert_is_the_head(study)
    assert all(choice.reason for choice in study.choices)


def test_a_damaged_file_is_a_warning_that_names_it(tmp_path: Path) -> None:
    write_study(tmp_path, VOLUMES, GRID)
    (tmp_path / "flair" / "IM0006.dcm").write_bytes((tmp_path / "flair" / "IM0006.dcm").read_bytes()[:900])
    study = read_study(tmp_path)
    assert any("IM0006.dcm" in warning for warning in study.warnings)


def test_roles_by_hand_are_passed_on(tmp_path: Path) -> None:
    write_study(tmp_path, VOLUMES, GRID, by_role={**BY_ROLE, "pre": {**PRE, "SeriesDescription": "unclear"}})
    study = read_study(tmp_path, flair="3", pre="4", post="none")
    assert set(study.roles) == {"flair", "pre"}


@pytest.mark.parametrize("what", ["nothing", "text", "no images", "absent", "damaged"])
def test_what_holds_no_study_is_an_error_that_says_what_is_there(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    words = {"nothing": "nothing", "text": "a.txt", "no images": "no MR image", "absent": "cannot be read",
             "damaged": "cut off"}[what]  # fmt: skip
    if what == "text":
        (folder / "a.txt").write_text("x", encoding="utf-8")
    elif what == "no images":
        write_series(folder, VOLUMES["pre"], GRID, edit=changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    elif what == "damaged":
        (path,) = write_series(folder, VOLUMES["pre"][:1], GRID)
        path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(StudyError, match=words):
        read_study(folder / "gone" if what == "absent" else folder)


def test_two_patients_in_a_study_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOLUMES["flair"], GRID, tags=FLAIR)
    write_series(tmp_path / "b", VOLUMES["post"], GRID, tags={**POST, "PatientID": "SECRET-2"})
    with pytest.raises(StudyError, match="2 patients"):
        read_study(tmp_path)


def test_two_time_points_in_a_study_are_refused_with_the_candidates(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOLUMES["flair"], GRID, tags=FLAIR)
    write_series(
        tmp_path / "b", VOLUMES["flair"], GRID, tags={**FLAIR, "SeriesNumber": 12, "AcquisitionDate": "20010101"}
    )
    with pytest.raises(RolesError):
        read_study(tmp_path)


def test_names_of_studies_differ(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_nifti(tmp_path / folder / "flair.nii.gz", VOLUMES["flair"], GRID)
        write_nifti(tmp_path / "x" / folder / "flair.nii.gz", VOLUMES["flair"], GRID)
    names = [each.name for each in find_studies([tmp_path, tmp_path / "x"])]
    assert len(names) == len({name.casefold() for name in names})


def test_no_patient_is_named_anywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in errors, nor in what a study holds, nor on the streams, nor in a log."""
    caplog.set_level("DEBUG")
    private = changed(PatientComments="SECRET", OtherPatientIDs="SECRET", PatientBirthDate="SECRET99")
    write_series(tmp_path / "a", VOLUMES["flair"], GRID, tags={**FLAIR, **OTHER}, edit=private)
    write_series(tmp_path / "b", VOLUMES["pre"], GRID, tags={**PRE, **OTHER, "PatientID": "SECRET-3"}, edit=missing(2))
    write_series(tmp_path / "c", VOLUMES["pre"], GRID, tags={**T2, **OTHER}, edit=changed(Rows=9))
    caplog.clear()  # of what writing them has logged
    said = []
    for folder in (tmp_path, tmp_path / "a", tmp_path / "b", tmp_path / "c"):
        try:
            said.append(str(read_study(folder)))
        except BrainsegError as error:
            said.append(f"{error} {error.to_json()}")
    said += [*capfd.readouterr(), caplog.text]
    assert "secret" not in " ".join(said).lower()


def test_warnings_name_no_folder_for_exports_call_them_after_the_patient(tmp_path: Path) -> None:
    home = tmp_path / "DOE^JANE"
    write_study(home / "one", {"flair": HEAD.flair}, GRID)
    write_study(home / "two", {"flair": HEAD.flair}, GRID)
    (home / "broken.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))
    warnings = read_study(tmp_path).warnings
    assert any("copies left out" in each for each in warnings)
    assert any("broken.dcm" in each for each in warnings)
    assert not any("DOE" in each or "/" in each for each in warnings)


def test_arguments_of_the_wrong_kind_are_said_and_nothing_is_searched(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", VOLUMES, GRID)
    for paths in (str(study), study, b"x", 3, None, [""], [None], [b"x"]):
        with pytest.raises(ArgumentError):
            find_studies(paths)  # type: ignore[arg-type]
    for path in (None, 3, b"x", ""):
        with pytest.raises(ArgumentError):
            read_study(path)  # type: ignore[arg-type]
    for value in (3.5, True, b"3", [3]):
        with pytest.raises(ArgumentError, match="pre is wrong"):
            read_study(study, pre=value)  # type: ignore[arg-type]


def test_a_folder_of_slices_is_no_study_and_the_error_says_what_takes_them(tmp_path: Path) -> None:
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "p_1.tif").write_bytes(b"II*\0")
    with pytest.raises(StudyError, match="holds no study") as fault:
        read_study(tmp_path / "patient")
    assert "brainseg predict takes them as they are" in str(fault.value)


@pytest.mark.parametrize("name", ["flair.hdr", "flair.img.gz", "flair.NRRD", "flair.mha", "orig.mgz", "flair.mnc"])
def test_volumes_in_other_formats_are_no_study_and_the_error_says_what_to_convert_them_to(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(bytes(400))
    with pytest.raises(StudyError, match=r"holds no study.*convert them to NIfTI in one file \(\.nii\.gz\)"):
        read_study(tmp_path)
