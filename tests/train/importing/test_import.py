"""`brainseg-train import`: the very pixels that were made studies come back as slices, and masks in their place."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from brainseg_runtime import Segmenter
from brainseg_runtime.studies import read_study, segment_study
from brainseg_runtime.studies.geometry import Grid
from tests.runtime.command_line import BUNDLE
from tests.studies_made.nifti import write_nifti
from tests.studies_made.patients import Patient, read_patient
from tests.studies_made.series import write_series, write_study
from tests.studies_made.shapes import as_acquired, axial_grid, made_head, turned
from tests.studies_made.tags import FLAIR
from tests.studies_made.uids import made_uid
from tests.train.studies import run_command

GRID = axial_grid((6, 256, 256), spacing=(20.0, 0.9, 0.9))
PATIENTS = Path(os.environ.get("BRAINSEG_DATA", "data/kaggle_3m"))


def made_patient() -> Patient:
    head = made_head(GRID)
    images = np.stack([np.clip(each // 4, 0, 255) for each in (head.pre, head.flair, head.post)], axis=-1)
    return Patient(images=images.astype(np.uint8), mask=head.lesion.astype(np.uint8))


PATIENT = made_patient()


def write_seg(path: Path, images: Path, masks: dict[str, NDArray[np.uint8]], **tags: object) -> Path:
    """A SEG by highdicom, over the images of one folder, whose files are in the order of the slices."""
    source = [pydicom.dcmread(each) for each in sorted(images.glob("*.dcm"))]
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number, segment_label=label, algorithm_type="MANUAL",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Neoplasm,
        )
        for number, label in enumerate(masks, start=1)
    ]  # fmt: skip
    seg = highdicom.seg.Segmentation(
        source_images=source, pixel_array=np.stack(list(masks.values()), axis=-1), segmentation_type="BINARY",
        segment_descriptions=segments, series_instance_uid=made_uid("seg"), series_number=50,
        sop_instance_uid=made_uid("seg", path.name), instance_number=1, manufacturer="made", device_serial_number="1",
        manufacturer_model_name="made", software_versions="1", omit_empty_frames=True,
    )  # fmt: skip
    for keyword, value in tags.items():
        setattr(seg, keyword, value)
    seg.save_as(path)
    return path


def write_brats(folder: Path, name: str = "BraTS-GLI-00001-000", *, patient: Patient = PATIENT) -> Path:
    """A study under BraTS's names, its mask in three labels."""
    home = folder / name
    for role, suffix in {"pre": "t1n", "flair": "t2f", "post": "t1c"}.items():
        write_nifti(home / f"{name}-{suffix}.nii.gz", patient.volumes[role], GRID)
    labels = patient.mask.copy()
    labels[:, ::2] *= 2
    labels[:, :, ::3] *= 2
    write_nifti(home / f"{name}-seg.nii.gz", labels, GRID)
    return home


def imported(dest: Path) -> Patient:
    """The only patient of a data set."""
    folders = [path for path in dest.iterdir() if path.is_dir()]
    assert len(folders) == 1
    return read_patient(folders[0])


def run(*arguments: object, code: int = 0) -> dict[str, Any]:
    out = Path(str(arguments[1])).with_suffix(".json")
    assert run_command("import", *map(str, arguments), "--json", str(out)) == code
    return json.loads(out.read_text()) if out.exists() else {}


def refused(tmp_path: Path, *arguments: object) -> str:
    """The error of the only study, which leaves no patient behind."""
    (patient,) = run(*arguments, code=1)["patients"]
    assert patient["status"] == "failed"
    assert not [path for path in (tmp_path / "own").iterdir() if path.is_dir()]
    return f"{patient['error']['what']}; {patient['error']['expected']}; {patient['error']['got']}"


def same(found: Patient, expected: Patient) -> None:
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.mask, expected.mask)


def test_dicom_with_a_seg_gives_the_very_pixels_and_mask_and_a_usable_data_set(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", PATIENT.volumes, GRID)
    write_seg(study / "seg.dcm", study / "flair", {"lesion": PATIENT.mask})
    told = run(study, tmp_path / "own", "--data-name", "Own patients", "--data-licence", "CC0-1.0")
    same(imported(tmp_path / "own"), PATIENT)
    (entry,) = told["patients"]
    assert entry["mask_on"] == "flair"
    assert entry["missing"] == []
    assert entry["volume_ml"] == pytest.approx(PATIENT.mask.sum() * 20 * 0.9 * 0.9 / 1000, abs=1e-3)
    assert json.loads((tmp_path / "own/dataset.json").read_text()) == {"name": "Own patients", "licence": "CC0-1.0"}
    assert run_command("check", str(tmp_path / "own"), "--json", str(tmp_path / "check.json")) == 0
    checked = json.loads((tmp_path / "check.json").read_text())
    assert (checked["n_patients"], checked["n_slices"], checked["sites"][0]["site"]) == (1, 6, "LOCAL")


def test_the_images_are_those_that_the_network_sees(tmp_path: Path) -> None:
    head, grid = made_head(GRID), turned(GRID, degrees=(5, 3, -8))
    volumes: dict[str, NDArray[Any]] = {"pre": head.pre, "flair": head.flair, "post": head.post}
    study = write_study(tmp_path / "study", volumes, {"pre": GRID, "flair": GRID, "post": grid})
    write_seg(study / "seg.dcm", study / "flair", {"lesion": PATIENT.mask})
    run(study, tmp_path / "own", "--no-register")
    seen = segment_study(Segmenter.load(BUNDLE, provider="cpu"), read_study(study), register=False)
    np.testing.assert_array_equal(imported(tmp_path / "own").images, seen.images)


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
def test_nifti_beside_dicom_is_its_mask_in_any_order_of_axes(tmp_path: Path, plane: Any) -> None:  # noqa: ANN401
    study = write_study(tmp_path / "study", PATIENT.volumes, GRID)
    write_nifti(study / "drawn_mask.nii.gz", *as_acquired(PATIENT.mask, GRID, plane))
    run(study, tmp_path / "own")
    same(imported(tmp_path / "own"), PATIENT)


def test_names_of_brats_and_chosen_labels(tmp_path: Path) -> None:
    home = write_brats(tmp_path / "brats")
    told = run(tmp_path / "brats", tmp_path / "own")
    same(imported(tmp_path / "own"), PATIENT)
    assert told["patients"][0]["mask_values"] == ["1", "2", "4"]
    run(tmp_path / "brats", tmp_path / "some", "--labels", "2,4")
    stored = nibabel.Nifti1Image.from_filename(home / f"{home.name}-seg.nii.gz").get_fdata().transpose(2, 1, 0)
    np.testing.assert_array_equal(imported(tmp_path / "some").mask, np.isin(stored, [2, 4]))


def test_names_of_bids_with_the_mask_among_derivatives(tmp_path: Path) -> None:
    root = tmp_path / "bids"
    for role, suffix in {"pre": "T1w", "flair": "FLAIR", "post": "ce-gadolinium_T1w"}.items():
        write_nifti(root / f"sub-01/anat/sub-01_{suffix}.nii.gz", PATIENT.volumes[role], GRID)
    write_nifti(root / "derivatives/manual/sub-01/anat/sub-01_label-lesion_mask.nii.gz", PATIENT.mask, GRID)
    write_nifti(root / "derivatives/manual/sub-01/anat/sub-01_desc-brain_mask.nii.gz", PATIENT.mask * 0, GRID)
    run(root, tmp_path / "own", "--keep-names")
    assert (tmp_path / "own/sub-01/sub-01_1.tif").exists()
    same(imported(tmp_path / "own"), PATIENT)


def test_a_missing_t1_is_flair_repeated(tmp_path: Path) -> None:
    volumes = {role: each for role, each in PATIENT.volumes.items() if role != "post"}
    study = write_study(tmp_path / "study", volumes, GRID)
    write_seg(study / "seg.dcm", study / "flair", {"lesion": PATIENT.mask})
    assert run(study, tmp_path / "own")["patients"][0]["missing"] == ["post"]
    images = PATIENT.images.copy()
    images[..., 2] = images[..., 1]
    same(imported(tmp_path / "own"), Patient(images=images, mask=PATIENT.mask))


def test_series_named_by_hand_are_taken(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", PATIENT.volumes, GRID)
    write_series(study / "second", PATIENT.volumes["pre"], GRID, tags={**FLAIR, "SeriesNumber": 9})
    write_seg(study / "seg.dcm", study / "flair", {"lesion": PATIENT.mask})
    refused(tmp_path, study, tmp_path / "own", "--no-register")
    shutil.rmtree(tmp_path / "own")
    run(study, tmp_path / "own", "--no-register", "--flair", FLAIR["SeriesNumber"], "--post", "none")
    images = PATIENT.images.copy()
    images[..., 2] = images[..., 1]
    same(imported(tmp_path / "own"), Patient(images=images, mask=PATIENT.mask))


def test_a_mask_drawn_on_a_t1_goes_the_way_of_the_t1(tmp_path: Path) -> None:
    grid = axial_grid((24, 220, 220), spacing=(5.0, 1.05, 1.05), centre=(4, -3, 2))
    post = np.clip(made_head(grid).post // 4, 0, 255)
    volumes: dict[str, NDArray[Any]] = {**PATIENT.volumes, "post": post}
    study = write_study(tmp_path / "study", volumes, {"pre": GRID, "flair": GRID, "post": grid})
    write_seg(study / "seg.dcm", study / "post", {"lesion": made_head(grid).lesion.astype(np.uint8)})
    assert run(study, tmp_path / "own", "--no-register")["patients"][0]["mask_on"] == "post"
    found = imported(tmp_path / "own").mask
    assert 2 * (found & PATIENT.mask).sum() / (found.sum() + PATIENT.mask.sum()) > 0.9


def test_bad_masks_are_refused_and_leave_no_patient(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", PATIENT.volumes, GRID)
    own, mask = tmp_path / "own", tmp_path / "mask.nii.gz"

    def told() -> str:
        shutil.rmtree(own, ignore_errors=True)
        return refused(tmp_path, study, own, "--mask", mask)

    shutil.rmtree(own, ignore_errors=True)
    assert "has no mask" in refused(tmp_path, study, own)
    shifted = axial_grid(GRID.shape, spacing=GRID.spacing, centre=(0, 0.45, 0))
    for grid in (shifted, turned(GRID, degrees=(0, 3, 0)), axial_grid((6, 256, 256), spacing=(20.0, 1.0, 1.0))):
        write_nifti(mask, PATIENT.mask, grid)
        assert "lies on no series' voxels" in told()
    write_nifti(mask, PATIENT.images[..., 1] > 20, GRID)
    assert "most of the head" in told()
    write_nifti(mask, PATIENT.mask * 0.7, GRID, dtype="<f4")
    assert "is not a mask" in told()
    mask.write_bytes(mask.read_bytes()[:2000])
    assert "cannot be read" in told() or "cut off" in told()


def test_a_seg_must_say_what_to_take_and_be_of_the_same_place(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", PATIENT.volumes, GRID)
    both = {"lesion": PATIENT.mask, "other": np.roll(PATIENT.mask, 20, axis=1)}
    seg = write_seg(tmp_path / "seg.dcm", study / "flair", both)
    assert "2 segments; one, or a choice; 1 (lesion), 2 (other)" in refused(
        tmp_path, study, tmp_path / "own", "--mask", seg
    )
    run(study, tmp_path / "one", "--mask", seg, "--labels", "1")
    same(imported(tmp_path / "one"), PATIENT)
    for tags, expected in (
        ({"FrameOfReferenceUID": made_uid("elsewhere")}, "lies on no series' voxels"),
        ({"SegmentationType": "FRACTIONAL"}, "not a binary segmentation"),
        ({"NumberOfFrames": 1 << 20}, "damaged or too large"),
    ):
        write_seg(seg, study / "flair", {"lesion": PATIENT.mask}, **tags)
        shutil.rmtree(tmp_path / "own")
        assert expected in refused(tmp_path, study, tmp_path / "own", "--mask", seg)


def test_names_tell_nobody_and_keep_one_persons_studies_together(tmp_path: Path) -> None:
    for name in ("sub-Doe_ses-1", "sub-Doe_ses-2", "sub-Roe_ses-1"):
        for role, suffix in {"pre": "T1w", "flair": "FLAIR", "post": "ce-gd_T1w"}.items():
            write_nifti(tmp_path / f"in/{name}/{name}_{suffix}.nii", PATIENT.volumes[role], GRID)
        write_nifti(tmp_path / f"in/{name}/{name}_dseg.nii", np.roll(PATIENT.mask, len(name), axis=2), GRID)
    run(tmp_path / "in", tmp_path / "own", "--site", "HOME", "--no-register")
    names = sorted(path.name for path in (tmp_path / "own").iterdir() if path.is_dir())
    assert len(names) == 3
    assert len({name.rpartition("_")[0] for name in names}) == 2
    written = b"".join(path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file())
    assert b"Doe" not in written
    assert b"Roe" not in written
    assert not [name for name in names if "oe" in name.lower().replace("home", "")]
    run(tmp_path / "in", tmp_path / "kept", "--keep-names", "--no-register")
    assert {path.name for path in (tmp_path / "kept").iterdir() if path.is_dir()} == {
        "sub-Doe_ses-1", "sub-Doe_ses-2", "sub-Roe_ses-1"
    }  # fmt: skip


def test_one_bad_study_does_not_stop_the_rest_and_resume_completes(tmp_path: Path) -> None:
    write_brats(tmp_path / "in", "P1")
    second = write_brats(tmp_path / "in", "P2")
    mask = second / "P2-seg.nii.gz"
    whole = mask.read_bytes()
    mask.write_bytes(whole[:500])
    own = tmp_path / "own"
    told = run(tmp_path / "in", own, "--no-register", code=1)
    assert [each["status"] for each in told["patients"]] == ["imported", "failed"]
    first = next(path for path in own.iterdir() if path.is_dir())
    times = {path: path.stat().st_mtime_ns for path in first.iterdir()}
    assert run_command("import", str(tmp_path / "in"), str(own), "--no-register") == 2
    assert run_command("import", str(tmp_path / "in"), str(own), "--resume") == 1
    mask.write_bytes(whole)
    stray = own / "STUDY_LOCAL_000000000000_00000000"
    stray.mkdir()
    (stray / f"{stray.name}_1.tif").write_bytes(b"half")
    told = run(tmp_path / "in", own, "--no-register", "--resume")
    assert [each["status"] for each in told["patients"]] == ["kept", "imported"]
    assert {path: path.stat().st_mtime_ns for path in first.iterdir()} == times
    assert not stray.exists()
    next(first.glob("*_mask.tif")).write_bytes(b"changed")
    told = run(tmp_path / "in", own, "--no-register", "--resume")
    assert [each["status"] for each in told["patients"]] == ["imported", "kept"]
    (own / ".import.key").unlink()
    assert run_command("import", str(tmp_path / "in"), str(own), "--no-register", "--resume") == 1


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    write_brats(tmp_path / "in")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/thesis.txt").write_text("mine")
    assert run_command("import", str(tmp_path / "in"), str(tmp_path / "own")) == 1
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["thesis.txt"]
    assert run_command("import", str(tmp_path / "in"), str(tmp_path / "in/own")) == 1


def a_patient() -> Patient:
    folders = sorted(path for path in PATIENTS.glob("TCGA_*") if path.is_dir())
    return read_patient(folders[0] if folders else pytest.skip("needs patients in BRAINSEG_DATA"))


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_a_patient_of_the_training_data_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    patient = a_patient()
    grid = Grid(
        shape=patient.mask.shape, spacing=(150 / len(patient.mask), 0.9, 0.9), directions=GRID.directions,
        origin=GRID.origin,
    )  # fmt: skip
    study = tmp_path / "P1"
    if kind == "dicom":
        write_study(study, patient.volumes, grid, shuffle=None)
        write_seg(study / "seg.dcm", study / "flair", {"lesion": patient.mask})
    else:
        for role, name in {"pre": "t1", "flair": "flair", "post": "t1ce"}.items():
            write_nifti(study / f"P1_{name}.nii.gz", patient.volumes[role], grid)
        write_nifti(study / "P1_seg.nii.gz", patient.mask, grid)
    run(study, tmp_path / "own", "--no-register")
    same(imported(tmp_path / "own"), patient)
