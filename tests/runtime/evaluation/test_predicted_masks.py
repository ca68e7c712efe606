"""Predicted masks are found by name wherever they lie; what does not fit is told by kind before anything is scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from brainseg_runtime.errors import DataError, DatasetError
from brainseg_runtime.evaluation.evaluate import evaluate_masks
from brainseg_runtime.evaluation.predicted_masks import find_predictions, predicted_cases
from brainseg_runtime.evaluation.summary import Settings
from brainseg_runtime.images.dataset import Patient, SlicePaths, scan_dataset
from brainseg_runtime.metrics import Counts, count
from tests.runtime.made_slices import made_data, made_mask


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made_data(tmp_path / "data")


def slices(data: Path) -> list[tuple[Patient, SlicePaths]]:
    return [(patient, paths) for patient in scan_dataset(data) for paths in patient.slices]


def write(path: Path, number: int, *, value: int = 255, probability: bool = False) -> None:
    """A prediction that is near the truth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = (made_mask(number + 1) > 0).astype(np.uint8) * np.uint8(value)
    tifffile.imwrite(path, mask)
    if probability:
        name = path.stem.removesuffix("_mask") + "_probability.tif"
        tifffile.imwrite(path.with_name(name), np.where(mask > 0, 0.9, 0.1).astype(np.float32))


LAYOUTS = {
    "flat, as predict writes": "{name}_mask.tif",
    "by patient": "{patient}/{name}_mask.tif",
    "by patient, plain names": "{patient}/{name}.tif",
    "flat, plain names": "{name}.tif",
    "capitals": "{name}_MASK.TIFF",
    "deeper": "run 1/{patient}/masks/{name}.tif",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_are_found_in_every_layout(data: Path, tmp_path: Path, layout: str) -> None:
    out, wanted = tmp_path / "out", {}
    for number, (patient, paths) in enumerate(slices(data)):
        path = out / LAYOUTS[layout].format(patient=patient.id, name=paths.image.stem)
        write(path, number)
        wanted[paths.image] = path
    found = find_predictions(out, scan_dataset(data))
    assert {each.paths.image: each.mask for part in found.patients.values() for each in part} == wanted
    assert "no probability maps" in found.no_probability


def test_scores_are_those_of_the_files(data: Path, tmp_path: Path) -> None:
    total = Counts()
    for number, (_, paths) in enumerate(slices(data)):
        path = tmp_path / "out" / f"{paths.image.stem}_mask.tif"
        write(path, number, value=1 + 254 * (number % 2))
        assert paths.mask is not None
        total += count(tifffile.imread(path) > 0, tifffile.imread(paths.mask) > 0)
    predicted = find_predictions(tmp_path / "out", scan_dataset(data))
    found = evaluate_masks(predicted_cases(predicted), Settings(no_probability=predicted.no_probability))
    assert Counts.total(patient.counts for patient in found.patients) == total
    assert (found.pooled.roc_auc, found.calibration.ece, found.curves.dice.x) == (None, None, ())
    reasons = {figure: each.reason for each in found.missing for figure in each.figures}
    assert reasons["pooled.roc_auc"] == reasons["pooled_ci95.pr_auc"] == predicted.no_probability


def test_probabilities_count_where_every_slice_has_one(data: Path, tmp_path: Path) -> None:
    for number, (_, paths) in enumerate(slices(data)):
        write(tmp_path / "out" / f"{paths.image.stem}_mask.tif", number, probability=True)
    patients = scan_dataset(data)
    predicted = find_predictions(tmp_path / "out", patients)
    assert predicted.no_probability == ""
    found = evaluate_masks(predicted_cases(predicted), Settings())
    assert found.pooled.roc_auc is not None
    assert found.pooled.roc_auc > 0.5
    next((tmp_path / "out").glob("*_probability.tif")).unlink()
    assert find_predictions(tmp_path / "out", patients).no_probability == "only 5 of 6 slices have a probability map"


def test_missing_masks_are_one_line_with_their_number(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError) as raised:
        find_predictions(tmp_path / "out", scan_dataset(data))
    assert len(raised.value.problems) == 6
    (line,) = raised.value.summary
    assert line.startswith("6 × has no predicted mask: TCGA_DU_5800_19950101/TCGA_DU_5800_19950101_1, ")
    assert line.endswith("and 3 more")
    assert raised.value.remedy is not None
    assert "NAME_mask.tif" in raised.value.remedy


def test_two_masks_of_one_slice_are_not_chosen_between(data: Path, tmp_path: Path) -> None:
    for number, (_, paths) in enumerate(slices(data)):
        for run in ("a", "b"):
            write(tmp_path / "out" / run / f"{paths.image.stem}_mask.tif", number)
    with pytest.raises(DatasetError, match="6 × has several predictions"):
        find_predictions(tmp_path / "out", scan_dataset(data))


def test_the_truth_is_not_scored_against_itself(data: Path) -> None:
    with pytest.raises(DatasetError, match="6 × has its true mask in place of a predicted one"):
        find_predictions(data, scan_dataset(data))


def test_a_mask_comes_before_a_file_of_the_images_name(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number, (_, paths) in enumerate(slices(data)):
        write(out / f"{paths.image.stem}_mask.tif", number)
        shutil.copy(paths.image, out / paths.image.name)
    found = find_predictions(out, scan_dataset(data))
    assert all(each.mask.stem.endswith("_mask") for part in found.patients.values() for each in part)


def test_equal_names_of_two_patients_need_the_patients_folder(tmp_path: Path) -> None:
    patients = []
    for who in ("a", "b"):
        for number in (1, 2):
            write(tmp_path / "data" / who / f"{number}_mask.tif", number)
            write(tmp_path / "out" / who / f"{number}.tif", number + (who == "b"))
        files = (tmp_path / "data" / who / f"{n}" for n in (1, 2))
        paths = tuple(
            SlicePaths(number=n, image=path.with_suffix(".tif"), mask=path.with_name(f"{n}_mask.tif"))
            for n, path in enumerate(files, 1)
        )
        patients.append(Patient(id=who, site="", slices=paths))
    found = find_predictions(tmp_path / "out", patients)
    assert [each.mask.parent.name for each in found.patients["b"]] == ["b", "b"]
    shutil.move(tmp_path / "out" / "a" / "1.tif", tmp_path / "out" / "1.tif")
    with pytest.raises(DatasetError, match="a/1 has no predicted mask"):
        find_predictions(tmp_path / "out", patients)


@pytest.mark.parametrize("litter", ["__MACOSX/._{}_mask.tif", ".hidden/{}_mask.tif", "@eaDir/{}.tif", "._{}_mask.tif"])
def test_litter_is_passed_over(data: Path, tmp_path: Path, litter: str) -> None:
    for number, (_, paths) in enumerate(slices(data)):
        write(tmp_path / "out" / f"{paths.image.stem}_mask.tif", number)
        write(tmp_path / "out" / litter.format(paths.image.stem), number)
    assert len(find_predictions(tmp_path / "out", scan_dataset(data)).patients) == 2


def test_a_folder_that_links_to_itself_is_looked_at_to_a_depth(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "loop").symlink_to(out)
    with pytest.raises(DatasetError, match="6 × has no predicted mask"):
        find_predictions(out, scan_dataset(data))


@pytest.mark.parametrize("folder", ["nothing", "data/README.md"])
def test_what_is_no_folder_is_refused(data: Path, tmp_path: Path, folder: str) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        find_predictions(tmp_path / folder, scan_dataset(data))


def record(out: Path, entries: list[dict[str, Any]]) -> None:
    whole = {
        "schema": "brainseg/predictions/1",
        "status": "complete",
        **dict.fromkeys(("n_slices", "n_done", "n_failed", "n_pending"), 0),
        "bundle": {"path": "models/x", "digest": "0" * 64},
        "provider": "cpu",
        "variant": "fp32",
        "versions": {},
        "patients": [],
        "slices": entries,
    }
    (out / "predictions.json").write_text(json.dumps(whole))


def entry(patient: str, name: str, file: str | None, status: str = "done") -> dict[str, Any]:
    mask = None if file is None else {"file": file, "sha256": "0" * 64}
    return {"patient": patient, "name": name, "input": name, "number": None, "status": status, "mask": mask}


def test_the_record_of_predict_decides_which_file_is_whose(data: Path, tmp_path: Path) -> None:
    out, entries = tmp_path / "out", []
    for number, (patient, paths) in enumerate(slices(data)):
        write(out / "strange" / f"{number}.tif", number)
        entries.append(entry(patient.id, paths.image.stem, f"strange/{number}.tif"))
    record(out, entries)
    found = find_predictions(out, scan_dataset(data))
    assert [each.mask.name for part in found.patients.values() for each in part] == [f"{n}.tif" for n in range(6)]


def test_slices_that_failed_are_told_as_failed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    record(out, [entry(patient.id, paths.image.stem, None, "failed") for patient, paths in slices(data)])
    with pytest.raises(DatasetError, match="6 × is recorded as failed, without a mask"):
        find_predictions(out, scan_dataset(data))


def test_recorded_masks_that_are_gone_are_told(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    record(out, [entry(patient.id, paths.image.stem, "gone.tif") for patient, paths in slices(data)])
    with pytest.raises(DatasetError, match="6 × has a recorded mask that is missing"):
        find_predictions(out, scan_dataset(data))


@pytest.mark.parametrize("file", ["../data/x.tif", "/etc/passwd", "a/../../b.tif", "..\\b.tif", ""])
def test_a_record_does_not_lead_out_of_its_folder(data: Path, tmp_path: Path, file: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    record(out, [entry(patient.id, paths.image.stem, file) for patient, paths in slices(data)])
    with pytest.raises(DataError, match="cannot be read"):
        find_predictions(out, scan_dataset(data))


@pytest.mark.parametrize(
    "text",
    ["{", "[" * 100_000, '{"schema": "brainseg/predictions/1"}', '{"schema": "brainseg/predictions/1", "slices": [3]}'],
)
def test_a_damaged_record_is_a_named_fault(data: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "predictions.json").write_text(text)
    with pytest.raises(DataError, match=r"predictions\.json"):
        find_predictions(tmp_path, scan_dataset(data))


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "another/1", "slices": 3}'])
def test_a_record_of_another_program_is_passed_over(data: Path, tmp_path: Path, text: str) -> None:
    for number, (_, paths) in enumerate(slices(data)):
        write(tmp_path / "out" / f"{paths.image.stem}.tif", number)
    (tmp_path / "out" / "predictions.json").write_text(text)
    assert len(find_predictions(tmp_path / "out", scan_dataset(data)).patients) == 2


def test_faults_in_files_are_told_together(data: Path, tmp_path: Path) -> None:
    out, all_slices = tmp_path / "out", slices(data)
    for number, (_, paths) in enumerate(all_slices):
        write(out / f"{paths.image.stem}_mask.tif", number)
    names = [paths.image.stem for _, paths in all_slices]
    tifffile.imwrite(out / f"{names[1]}_mask.tif", np.zeros((32, 40), np.uint8))
    tifffile.imwrite(out / f"{names[3]}_mask.tif", np.arange(32 * 48, dtype=np.uint8).reshape(32, 48))
    (out / f"{names[5]}_mask.tif").write_bytes(b"nothing")
    predicted = find_predictions(out, scan_dataset(data))
    with pytest.raises(DatasetError) as raised:
        evaluate_masks(predicted_cases(predicted), Settings(no_probability=predicted.no_probability))
    told = str(raised.value)
    assert "cannot be scored: 3 problems" in told
    assert all(names[n] in told for n in (1, 3, 5))
    assert "expected 32×48 pixels; got 32×40" in told


def test_png_masks_are_found(data: Path, tmp_path: Path) -> None:
    from PIL import Image

    out = tmp_path / "out"
    out.mkdir()
    for number, (_, paths) in enumerate(slices(data)):
        Image.fromarray(made_mask(number)).save(out / f"{paths.image.stem}.png")
    found = find_predictions(out, scan_dataset(data))
    assert {each.mask.suffix for part in found.patients.values() for each in part} == {".png"}


def test_png_masks_score_as_tiff_ones_do(data: Path, tmp_path: Path) -> None:
    from PIL import Image

    for number, (_, paths) in enumerate(slices(data)):
        write(tmp_path / "tiff" / f"{paths.image.stem}.tif", number)
        (tmp_path / "png").mkdir(exist_ok=True)
        mask = tifffile.imread(tmp_path / "tiff" / f"{paths.image.stem}.tif") > 0
        Image.fromarray(mask).save(tmp_path / "png" / f"{paths.image.stem}.png")  # 1 bit a pixel
    found = [
        evaluate_masks(predicted_cases(find_predictions(tmp_path / kind, scan_dataset(data))), Settings())
        for kind in ("tiff", "png")
    ]
    assert found[0] == found[1]
