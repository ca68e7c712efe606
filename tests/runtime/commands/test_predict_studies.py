"""`brainseg predict` on studies, run as a user runs it: what it takes, writes, refuses, keeps and resumes."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.prediction.segment_studies import StudyConfig, segment_studies
from brainseg_runtime.prediction.study_inputs import StudyItem
from brainseg_runtime.studies import Study, find_studies
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_patient
from tests.studies_made.nifti import write_nifti
from tests.studies_made.readback import mask_by_dcmqi, mask_by_itk
from tests.studies_made.series import write_series, write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.tags import FLAIR, LOCALISER, T2
from tests.studies_made.uids import made_uid

GRID = axial_grid((4, 256, 256), spacing=(18.0, 0.9, 0.9))
OTHER = {"StudyInstanceUID": made_uid("another study"), "FrameOfReferenceUID": made_uid("another frame")}


def volumes(seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """A head of 8 bits, so that the network's input is the voxels themselves."""
    head = made_head(GRID, seed=seed)
    return {
        role: np.minimum(np.rint(getattr(head, role) / 4.2), 255).astype(np.uint8) for role in ("pre", "flair", "post")
    }


def mask_of_slices(made: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """What the same voxels give as slices."""
    image_nhwc = np.stack([made["pre"], made["flair"], made["post"]], axis=-1)
    mask: NDArray[np.uint8] = Segmenter.load(BUNDLE, provider="cpu").predict_volume(image_nhwc).mask
    return mask


def predicted(out: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    """The JSON of a run."""
    done = brainseg("predict", BUNDLE, *arguments, "-o", out, "--provider", "cpu", "--json", "-")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study", volumes(), GRID)


def test_a_study_gets_its_folder_and_a_record(tmp_path: Path, study: Path) -> None:
    out = tmp_path / "out"
    found = predicted(out, study, "--write", "seg,sr,sc,rtstruct,nifti,preview")
    (entry,) = found["studies"]
    assert (found["status"], found["n_done"]) == ("complete", 1)
    assert found == json.loads((out / "studies.json").read_text(encoding="utf-8"))
    kinds = {each["kind"] for each in entry["outputs"]}
    assert {"seg", "sr", "sc", "rtstruct", "nifti", "preview"} <= kinds
    listed = {out / each["file"] for each in entry["outputs"]}
    assert listed == {path for path in (out / entry["name"]).rglob("*") if path.is_file()}
    for each in entry["outputs"]:
        assert hashlib.sha256((out / each["file"]).read_bytes()).hexdigest() == each["sha256"]
    assert entry["error"] is None
    assert entry["study_uid"] == str(pydicom.dcmread(next(study.rglob("*.dcm"))).StudyInstanceUID)
    for role in ("flair", "pre", "post"):
        assert entry["series"][role] == str(pydicom.dcmread(next((study / role).iterdir())).SeriesInstanceUID)
    assert set(entry["registration"]) == {"pre", "post"}
    assert {"quality", "rotation_deg", "translation_mm"} <= set(entry["registration"]["post"])


def test_the_masks_are_those_of_the_slices_in_place(tmp_path: Path, study: Path) -> None:
    found = predicted(tmp_path / "out", study)
    truth = mask_of_slices(volumes())
    home = tmp_path / "out" / found["studies"][0]["name"]
    assert truth.any()
    assert np.array_equal(mask_by_dcmqi(home / "seg.dcm", GRID, tmp_path / "dcmqi"), truth)
    assert np.array_equal(mask_by_itk(home / "mask.nii.gz", GRID), truth)
    assert found["studies"][0]["volume_ml"] == pytest.approx(truth.sum() * 18 * 0.9 * 0.9 / 1000)


def test_no_patients_name_is_said_or_written_in_a_record(tmp_path: Path) -> None:
    tags = {"PatientName": "Unmistakable^Name", "PatientID": "UNMISTAKABLE-7"}
    study = write_study(tmp_path / "study", volumes(), GRID, tags=tags)
    done = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out", "--json", tmp_path / "j.json")
    assert done.code == 0, done.err
    written = [tmp_path / "j.json", *(tmp_path / "out").rglob("*.json")]
    said = done.out + done.err + "".join(path.read_text(encoding="utf-8") for path in written)
    assert "nmistakable" not in said.replace("UNMISTAKABLE", "nmistakable")
    assert len(written) == 3


def test_other_things_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study" / "DICOM" / "PAT1", volumes(), GRID, shuffle=4, suffix="")
    write_series(study / "loc", volumes()["flair"][:2], GRID, tags=LOCALISER)
    write_series(study / "t2", volumes()["pre"], GRID, tags=T2)
    (tmp_path / "study" / "README.txt").write_text("about", encoding="utf-8")
    (tmp_path / "study" / "thumbnail.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (tmp_path / "study" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM no directory")
    (tmp_path / "study" / "empty").write_bytes(b"")
    found = predicted(tmp_path / "out", tmp_path / "study")
    home = tmp_path / "out" / found["studies"][0]["name"]
    assert np.array_equal(mask_by_itk(home / "mask.nii.gz", GRID), mask_of_slices(volumes()))


def test_a_zip_is_a_study(tmp_path: Path, study: Path) -> None:
    packed = tmp_path / "study.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in study.rglob("*.dcm"):
            archive.write(path, f"export/{path.relative_to(study)}")
    from_zip = predicted(tmp_path / "a", packed, "--deterministic-uids")
    from_folder = predicted(tmp_path / "b", study, "--deterministic-uids")
    assert from_zip["studies"][0]["outputs"] == from_folder["studies"][0]["outputs"]


def test_nifti_by_hand_and_by_usual_names(tmp_path: Path) -> None:
    made = volumes()
    usual = {"pre": "P1_t1.nii.gz", "flair": "P1_flair.nii.gz", "post": "P1_t1ce.nii.gz"}
    for role, name in usual.items():
        write_nifti(tmp_path / "P1" / name, made[role], GRID)
        write_nifti(tmp_path / "odd" / f"{'abc'[list(usual).index(role)]}.nii", made[role], GRID)
    truth = mask_of_slices(made)
    named = predicted(tmp_path / "a", tmp_path / "P1", "--write", "nifti")
    odd = tmp_path / "odd"
    by_hand = predicted(
        tmp_path / "b", "--flair", odd / "b.nii", "--pre", odd / "a.nii", "--post", odd / "c.nii", "--write", "nifti"
    )
    for out, found in ((tmp_path / "a", named), (tmp_path / "b", by_hand)):
        mask = out / found["studies"][0]["name"] / "mask.nii.gz"
        assert np.array_equal(mask_by_itk(mask, GRID), truth)


def test_several_studies_get_a_folder_each_and_one_bad_one_does_not_stop_the_rest(tmp_path: Path) -> None:
    write_study(tmp_path / "all" / "one", volumes(), GRID)
    write_study(tmp_path / "all" / "two", volumes(3), GRID, tags=OTHER)
    bad = {"StudyInstanceUID": made_uid("bad")}
    write_series(tmp_path / "all" / "bad", volumes()["pre"], GRID, tags={**T2, **bad})
    done = brainseg("predict", BUNDLE, tmp_path / "all", "-o", tmp_path / "out", "--json", tmp_path / "j.json")
    found = json.loads((tmp_path / "j.json").read_text(encoding="utf-8"))
    assert done.code == 1
    assert (found["status"], found["n_done"], found["n_failed"]) == ("faulty", 2, 1)
    failed = next(entry for entry in found["studies"] if entry["status"] == "failed")
    assert failed["study_uid"] == bad["StudyInstanceUID"]
    assert "FLAIR" in failed["error"]["what"]
    assert "error: " in done.err
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {entry["name"] for entry in found["studies"] if entry["status"] == "done"}


def test_resume_keeps_what_is_unchanged_and_makes_the_rest_again(tmp_path: Path) -> None:
    write_study(tmp_path / "all" / "one", volumes(), GRID)
    write_study(tmp_path / "all" / "two", volumes(3), GRID, tags=OTHER)
    out = tmp_path / "out"
    first = predicted(out, tmp_path / "all")
    again = predicted(out, tmp_path / "all", "--resume")
    assert again["studies"] == first["studies"]
    one, two = first["studies"]
    (out / two["name"] / "mask.nii.gz").write_bytes(b"damaged")
    third = predicted(out, tmp_path / "all", "--resume")
    assert third["studies"][0] == one
    assert third["studies"][1]["outputs"] != two["outputs"]  # new UIDs
    assert (out / two["name"] / "mask.nii.gz").stat().st_size > 100


def test_deterministic_uids_give_the_same_bytes(tmp_path: Path, study: Path) -> None:
    kinds = ("--write", "seg,sr,sc,rtstruct,nifti,preview")
    first, second = (predicted(tmp_path / name, study, "--deterministic-uids", *kinds) for name in "ab")
    third = predicted(tmp_path / "c", study, *kinds)
    without_times = [
        [each for each in run["studies"][0]["outputs"] if each["kind"] != "record"] for run in (first, second, third)
    ]
    assert without_times[0] == without_times[1]
    assert without_times[0] != without_times[2]


def test_another_model_or_other_settings_do_not_go_on_in_the_same_folder(tmp_path: Path, study: Path) -> None:
    predicted(tmp_path / "out", study, "--write", "seg,nifti")
    done = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out", "--provider", "cpu", "--write", "seg")
    assert done.code == 1
    assert "another run" in done.err
    found = predicted(tmp_path / "out", study, "--write", "seg", "--overwrite")
    home = tmp_path / "out" / found["studies"][0]["name"]
    assert not (home / "mask.nii.gz").exists()
    assert (home / "seg.dcm").exists()


def test_files_that_no_record_lists_are_not_replaced(tmp_path: Path, study: Path) -> None:
    out = tmp_path / "out"
    name = predicted(out, study)["studies"][0]["name"]
    (out / name / "readers-notes.txt").write_text("mine", encoding="utf-8")
    done = brainseg("predict", BUNDLE, study, "-o", out, "--provider", "cpu")
    assert done.code == 1
    assert "readers-notes.txt" in done.err
    assert (out / name / "readers-notes.txt").exists()


def test_series_by_hand_decide(tmp_path: Path) -> None:
    made = volumes()
    study = write_study(tmp_path / "study", made, GRID)
    write_series(
        study / "second", made["post"], GRID, tags={**FLAIR, "SeriesNumber": 9, "SeriesDescription": "FLAIR 2"}
    )
    two = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out")
    assert two.code == 1
    assert "could be FLAIR" in two.err
    assert "FLAIR 2" in two.err
    found = predicted(tmp_path / "out2", study, "--flair", 9)
    chosen = pydicom.dcmread(next((study / "second").iterdir()))
    assert found["studies"][0]["series"]["flair"] == str(chosen.SeriesInstanceUID)


def test_a_missing_sequence_is_a_warning_and_an_error_if_strict(tmp_path: Path) -> None:
    made = volumes()
    study = write_study(tmp_path / "study", {"flair": made["flair"], "post": made["post"]}, GRID)
    found = predicted(tmp_path / "out", study)
    entry = found["studies"][0]
    assert entry["series"]["pre"] is None
    assert any("missing sequence" in text for text in entry["warnings"])
    strict = predicted(tmp_path / "strict", study, "--strict", code=1)
    assert "--strict" in strict["studies"][0]["error"]["what"]
    assert not [path for path in (tmp_path / "strict").iterdir() if path.is_dir()]


@pytest.mark.parametrize("options", [["--overlay"], ["--by-patient"], ["--spacing", 1, 1, 1]])
def test_options_for_slices_are_refused(tmp_path: Path, study: Path, options: list[object]) -> None:
    done = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out", *options)
    assert done.code == 2
    assert f"{options[0]} cannot be used with studies" in done.err


def test_options_for_studies_are_refused_with_slices(tmp_path: Path) -> None:
    patient = made_patient(tmp_path / "TCGA_X_1_19990101")
    done = brainseg("predict", BUNDLE, patient, "-o", tmp_path / "out", "--no-register", "--write", "seg")
    assert done.code == 2
    assert "--write, --no-register cannot be used with slices" in done.err


def test_slices_and_studies_in_one_run_are_refused(tmp_path: Path, study: Path) -> None:
    patient = made_patient(tmp_path / "TCGA_X_1_19990101")
    done = brainseg("predict", BUNDLE, patient, study, "-o", tmp_path / "out")
    assert done.code == 1
    assert "both slices and studies" in done.err


def test_nothing_to_segment_is_wrong_usage(tmp_path: Path) -> None:
    assert brainseg("predict", BUNDLE, "-o", tmp_path / "out").code == 2


def test_kinds_that_do_not_exist_are_wrong_usage(tmp_path: Path, study: Path) -> None:
    done = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out", "--write", "seg,png")
    assert done.code == 2
    assert "png" in done.err


def test_results_among_the_inputs_are_refused(study: Path) -> None:
    done = brainseg("predict", BUNDLE, study, "-o", study / "out")
    assert done.code == 1
    assert not (study / "out").exists()


def test_the_segment_is_called_as_it_was_asked_for(tmp_path: Path, study: Path) -> None:
    found = predicted(tmp_path / "out", study, "--segment-label", "Oedema", "--segment-type", "79654002,SCT,Edema")
    seg = pydicom.dcmread(tmp_path / "out" / found["studies"][0]["name"] / "seg.dcm")
    segment = seg.SegmentSequence[0]
    assert segment.SegmentLabel == "Oedema"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "79654002"


def test_without_the_extra_it_says_how_to_install_it(
    tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [each for each in sys.modules if each.partition(".")[0] == "pydicom"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    done = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out")
    assert done.code == 1
    assert "[study]" in done.err


def test_a_damaged_record_is_refused_and_overwrite_starts_again(tmp_path: Path, study: Path) -> None:
    out = tmp_path / "out"
    predicted(out, study)
    (out / "studies.json").write_text('{"schema": "brainseg/studies/1"', encoding="utf-8")
    assert brainseg("predict", BUNDLE, study, "-o", out, "--provider", "cpu").code == 1
    assert predicted(out, study, "--overwrite")["status"] == "complete"


def test_a_study_of_an_earlier_run_stays_on_record(tmp_path: Path, study: Path) -> None:
    other = write_study(tmp_path / "other", volumes(2), GRID, tags=OTHER)
    first = predicted(tmp_path / "out", study)
    second = predicted(tmp_path / "out", other)
    assert second["earlier"] == first["studies"]
    shutil.rmtree(study)
    assert (tmp_path / "out" / first["studies"][0]["name"] / "seg.dcm").exists()


def test_a_study_that_vanishes_fails_alone_and_says_so(tmp_path: Path, study: Path) -> None:
    """Its headers were read, and then its files are gone."""
    (found,) = find_studies([study])

    def read() -> Study:
        made = found.read()
        shutil.rmtree(study)
        return made

    item = StudyItem(uid=found.uid, name=found.name, path=study, read=read)
    segmenter = Segmenter.load(BUNDLE, provider="cpu")
    (entry,) = segment_studies(segmenter, [item], tmp_path, StudyConfig())
    assert entry.status == "failed"
    assert entry.error is not None
    assert "cannot be read" in str(entry.error["what"])


def test_another_patients_nifti_of_the_same_name_replaces_nothing(tmp_path: Path) -> None:
    for number, patient in enumerate(("P1", "P2")):
        write_nifti(tmp_path / patient / "nii" / "flair.nii.gz", volumes(3 * number)["flair"], GRID)
    out = tmp_path / "out"
    predicted(out, tmp_path / "P1" / "nii")
    mask = (out / "nii" / "mask.nii.gz").read_bytes()
    for more in ((), ("--resume",)):
        done = brainseg("predict", BUNDLE, tmp_path / "P2" / "nii", "-o", out, "--provider", "cpu", *more)
        assert done.code == 1
        assert "other NIfTI files under the same name" in done.err
        assert (out / "nii" / "mask.nii.gz").read_bytes() == mask
    predicted(out, tmp_path / "P2" / "nii", "--overwrite")
    assert (out / "nii" / "mask.nii.gz").read_bytes() != mask


def test_nifti_that_was_moved_is_resumed(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a" / "P1" / "flair.nii.gz", volumes()["flair"], GRID)
    (first,) = predicted(tmp_path / "out", tmp_path / "a")["studies"]
    (tmp_path / "a").rename(tmp_path / "b")
    (again,) = predicted(tmp_path / "out", tmp_path / "b", "--resume")["studies"]
    assert {**again, "input": ""} == {**first, "input": ""}


def test_the_record_holds_the_settings_in_full(tmp_path: Path, study: Path) -> None:
    found = predicted(
        tmp_path / "out", study, "--write", "nifti", "--segment-type", "4147007,SCT,Mass", "--no-register"
    )
    settings = found["settings"]
    assert (settings["write"], settings["register"], settings["deterministic_uids"]) == (["nifti"], False, False)
    assert settings["segment"]["type"] == {"value": "4147007", "scheme": "SCT", "meaning": "Mass"}
    done = brainseg("predict", BUNDLE, study, "-o", tmp_path / "out", "--provider", "cpu", "--write", "nifti")
    assert done.code == 1
    assert "register no, now yes" in done.err
    assert "SegmentSettings" not in done.err


@pytest.mark.parametrize(
    ("option", "value"), [("--segment-category", "foo"), ("--segment-type", "1,2"), ("--segment-label", "x" * 65)]
)
def test_a_wrong_label_or_code_is_wrong_usage(tmp_path: Path, option: str, value: str) -> None:
    done = brainseg("predict", BUNDLE, tmp_path, "-o", tmp_path / "out", option, value)
    assert done.code == 2
    assert option in done.err


def test_folders_named_after_patients_are_not_said(tmp_path: Path) -> None:
    named = tmp_path / "study" / "UNMISTAKABLE-7 Name"
    study = write_study(named, volumes(), GRID)
    some = sorted((study / "flair").iterdir())
    shutil.copy(some[0], named / "twice.dcm")
    (named / "damaged.dcm").write_bytes(some[1].read_bytes()[:400])
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in named.rglob("*.dcm"):
            archive.write(path, path.relative_to(named.parent))
    for number, given in enumerate((named.parent, tmp_path / "study.zip")):
        out = tmp_path / f"out{number}"
        done = brainseg("predict", BUNDLE, given, "-o", out, "--write", "preview", "--provider", "cpu")
        looked = brainseg("inspect", given, "--json", "-")
        said = done.err + done.out + looked.out + looked.err + (out / "studies.json").read_text(encoding="utf-8")
        assert "damaged.dcm" in said
        assert "UNMISTAKABLE" not in said
