"""`brainseg evaluate`: the promised keys, figures that another reckoning confirms, and a page that stands alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from brainseg_runtime import Segmenter
from brainseg_runtime.perturbations.table import PERTURBATIONS
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data
from tests.schemas.validation import violations

PROMISED = {
    "n_patients", "n_slices", "threshold", "provider", "variant", "pooled", "volume_dice", "slice_dice_tumour",
    "slice_dice_all", "patients",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_data(tmp_path_factory.mktemp("evaluate") / "data", patients=3)


@pytest.fixture(scope="module")
def scores(data: Path) -> dict[str, Any]:
    done = brainseg("evaluate", BUNDLE, data, "--provider", "cpu", "--json", "-")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_the_promised_keys_are_there(scores: dict[str, Any]) -> None:
    assert set(scores) >= PROMISED
    assert set(scores["pooled"]) == {"dice", "iou", "precision", "recall", "f1", "roc_auc", "pr_auc"}
    assert set(scores["volume_dice"]) == {"mean", "median", "min", "ci95"}
    assert set(scores["slice_dice_all"]) >= {"mean", "ci95"}
    assert (scores["n_patients"], scores["n_slices"], scores["provider"]) == (3, 9, "cpu")
    assert scores["predictions"] is None
    assert all(set(patient) >= {"id", "n_slices", "dice", "iou"} for patient in scores["patients"])


def test_dice_is_what_the_written_masks_give(data: Path, scores: dict[str, Any]) -> None:
    """Counted again from files, by numpy alone."""
    segmenter = Segmenter.load(BUNDLE, provider="cpu")
    both = predicted = true = 0
    for patient in scores["patients"]:
        volumes = np.zeros(3, np.int64)
        for path in sorted((data / patient["id"]).glob("*_mask.tif")):
            truth = tifffile.imread(path) > 0
            mask = segmenter.predict(tifffile.imread(path.with_name(path.name.replace("_mask", "")))).mask > 0
            volumes += [np.sum(mask & truth), np.sum(mask), np.sum(truth)]
        assert patient["dice"] == pytest.approx(2 * volumes[0] / (volumes[1] + volumes[2]), abs=1e-12)
        both, predicted, true = (np.array([both, predicted, true]) + volumes).tolist()
    assert scores["pooled"]["dice"] == pytest.approx(2 * both / (predicted + true), abs=1e-12)
    assert scores["pooled"]["recall"] == pytest.approx(both / true, abs=1e-12)


def test_the_report_stands_alone_and_shows_every_patient(data: Path, tmp_path: Path) -> None:
    report = tmp_path / "pages" / "scores.html"
    done = brainseg("evaluate", BUNDLE, data, "--report", report)
    assert done.code == 0, done.err
    text = report.read_text(encoding="utf-8")
    assert all(folder.name in text for folder in data.iterdir() if folder.is_dir())
    assert text.count("data:image/png;base64,") == 3, "best, median and worst patient"
    assert not re.search(r"""(?:src|href)=["'](?!data:image/png)""", text)
    assert "reliability" in text.lower()


def test_a_table_is_printed_where_no_json_goes(data: Path) -> None:
    done = brainseg("evaluate", BUNDLE, data)
    assert "Dice, mean over patients' volumes" in done.out
    assert "3 patients, 9 slices" in done.out


def test_a_faulty_data_set_is_refused_with_every_problem_named(tmp_path: Path) -> None:
    data = made_data(tmp_path / "data")
    missing = [next(iter(sorted(folder.glob("*_2_mask.tif")))) for folder in sorted(data.iterdir()) if folder.is_dir()]
    for path in missing:
        path.unlink()
    done = brainseg("evaluate", BUNDLE, data)
    assert done.code == 1
    assert all(path.name.removesuffix("_mask.tif") in done.err for path in missing)


def test_a_mask_that_is_not_binary_is_refused_and_named(tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", patients=1)
    path = next(data.rglob("*_2_mask.tif"))
    tifffile.imwrite(path, np.full((32, 48), 7, np.uint8))
    done = brainseg("evaluate", BUNDLE, data, "--json", tmp_path / "scores.json")
    assert done.code == 1
    assert path.name in done.err
    (problem,) = json.loads((tmp_path / "scores.json").read_bytes())["fault"]["problems"]
    assert path.name in problem


@pytest.fixture(scope="module")
def masks(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masks") / "out"
    done = brainseg("predict", BUNDLE, data, "-o", out, "--provider", "cpu", "--probability")
    assert done.code == 0, done.err
    return out


def test_masks_of_the_model_score_as_the_model_does(data: Path, masks: Path, scores: dict[str, Any]) -> None:
    done = brainseg("evaluate", "--predictions", masks, data, "--json", "-")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["predictions"], found["provider"], found["variant"], found["threshold"]) == (str(masks), "", "", None)
    assert (found["run"]["bundle"], found["run"]["digest"], found["run"]["data"]) == (None, None, str(data))
    differing = {key for key in scores if found[key] != scores[key]}
    assert differing == {"predictions", "provider", "variant", "threshold", "run"}


def test_the_page_of_masks_shows_them(data: Path, masks: Path, tmp_path: Path) -> None:
    report = tmp_path / "page.html"
    done = brainseg("evaluate", "--predictions", masks, data, "--report", report, "--spacing", 0.9, 0.9, 5)
    assert done.code == 0, done.err
    text = report.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 3
    assert "HD95, mm" in text
    assert "3 patients: a 95 % interval needs at least 6" in text


def test_without_probability_maps_areas_are_null_and_the_reason_is_told(
    data: Path, masks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bare"
    out.mkdir()
    for path in masks.glob("*_mask.tif"):
        (out / path.name.replace("_mask", "")).write_bytes(path.read_bytes())
    done = brainseg(
        "evaluate", "--predictions", out, data, "--json", tmp_path / "s.json", "--report", tmp_path / "s.html"
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert found["pooled"]["roc_auc"] is found["area_bounds"]["pr_auc"] is found["calibration"]["ece"] is None
    assert "there are no probability maps, only masks" in {each["reason"] for each in found["missing"]}
    assert "there are no probability maps, only masks" in done.err
    assert re.search("ROC-AUC, all pixels +\N{EM DASH}", done.out)
    assert "NSD, tolerance 2 pixels, mean over patients" in done.out
    page = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert "there are no probability maps, only masks" in page
    assert "NSD, tolerance 2 pixels" in page
    assert "Curves over all pixels" not in page  # no empty charts


def test_few_patients_are_told_and_get_no_interval(scores: dict[str, Any], data: Path) -> None:
    assert scores["volume_dice"]["ci95"] is scores["pooled_ci95"]["dice"] is scores["volume_error"]["px"]["sd"] is None
    reasons = {each["reason"]: each["figures"] for each in scores["missing"]}
    assert "volume_dice.ci95" in reasons["3 patients: a 95 % interval needs at least 6"]
    assert "3 patients: a 95 % interval needs at least 6" in brainseg("evaluate", BUNDLE, data).err


def test_with_spacing_there_are_figures_in_mm_and_ml(data: Path, scores: dict[str, Any]) -> None:
    done = brainseg(
        "evaluate", BUNDLE, data, "--provider", "cpu", "--json", "-", "--spacing", 2, 2, 2, "--tolerance", 4
    )
    found = json.loads(done.out)
    assert (found["spacing_mm"], found["surface"]["tolerance"]) == ([2.0, 2.0, 2.0], 4.0)
    for old, new in zip(scores["patients"], found["patients"], strict=True):
        assert new["surface"]["hd95_mm"] == pytest.approx(2 * old["surface"]["hd95_px"])
        assert new["surface"]["nsd_mm"] == pytest.approx(old["surface"]["nsd_px"]), "4 mm are 2 pixels"
        assert new["volume"]["error_ml"] == pytest.approx(old["volume"]["error_px"] * 0.008)
    assert scores["surface"]["hd95_mm"]["mean"] is None
    assert "surface.hd95_mm" in {figure for each in scores["missing"] for figure in each["figures"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["data"],
        [BUNDLE, "data", "data"],
        ["--predictions", "masks", BUNDLE, "data"],
        ["--predictions", "masks", "data", "--provider", "cpu"],
        ["--predictions", "masks", "data", "--digest", "00"],
        ["data", "--predictions"],
        [BUNDLE, "data", "--spacing", 1, 1, 0],
        [BUNDLE, "data", "--spacing", 1, 1, "nan"],
        [BUNDLE, "data", "--tolerance", -1],
        [BUNDLE, "data", "--tolerance", "nan"],
        [BUNDLE, "data", "--tolerance", "inf"],
        ["--predictions", "masks"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[object]) -> None:
    assert brainseg("evaluate", *arguments).code == 2


def test_masks_that_are_not_there_are_a_named_fault(data: Path, tmp_path: Path) -> None:
    done = brainseg("evaluate", "--predictions", tmp_path / "none", data, "--json", tmp_path / "s.json")
    assert done.code == 1
    assert "none" in done.err
    (tmp_path / "empty").mkdir()
    done = brainseg("evaluate", "--predictions", tmp_path / "empty", data, "--json", tmp_path / "s.json")
    assert done.code == 1
    assert "9 × has no predicted mask" in done.err
    assert len(json.loads((tmp_path / "s.json").read_bytes())["fault"]["problems"]) == 9


@pytest.fixture(scope="module")
def stressed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, str]:
    """JSON, page and terminal of one run."""
    report = tmp_path_factory.mktemp("stress") / "page.html"
    target = report.with_suffix(".json")
    done = brainseg("evaluate", BUNDLE, data, "--provider", "cpu", "--stress", "--report", report, "--json", target)
    assert done.code == 0, done.err
    return json.loads(target.read_bytes()), report.read_text(encoding="utf-8"), done.out


def test_stress_adds_a_row_for_each_perturbation(
    stressed: tuple[dict[str, Any], str, str], scores: dict[str, Any]
) -> None:
    found, page, told = stressed
    assert scores["stress"] is None
    rows = found["stress"]["rows"]
    assert [row["name"] for row in rows] == ["unperturbed", *(each.name for each in PERTURBATIONS)]
    assert [patient["dice"] for patient in rows[0]["patients"]] == [patient["dice"] for patient in scores["patients"]]
    assert {key for key in scores if found[key] != scores[key]} == {"stress", "run"}
    assert all(row["name"] in page and row["name"] in told for row in rows)
    assert not violations("evaluation", found)


def test_heads_without_tumour_need_no_masks_and_have_what_was_marked(tmp_path: Path) -> None:
    healthy = made_data(tmp_path / "healthy", masks=False)
    assert brainseg("evaluate", BUNDLE, healthy).code == 1, "masks are needed unless they are said to be empty"
    options = ("--stress", "--without-tumour", "--spacing", 1, 1, 5, "--report", tmp_path / "page.html")
    done = brainseg("evaluate", BUNDLE, healthy, *options, "--json", tmp_path / "scores.json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "scores.json").read_bytes())
    assert (found["stress"]["n_with_tumour"], found["stress"]["n_without_tumour"]) == (0, 2)
    segmenter = Segmenter.load(BUNDLE, provider="cpu")
    for patient in found["stress"]["rows"][0]["patients"]:
        paths = (healthy / patient["id"]).glob("*.tif")
        marked = sum(int(np.count_nonzero(segmenter.predict(tifffile.imread(path)).mask)) for path in paths)
        assert patient["marked_px"] == marked
        assert patient["marked_ml"] == pytest.approx(marked * 0.005)
        assert patient["dice"] is None
    assert "patients marked" in done.out
    assert "without tumour: what was marked" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not violations("evaluation", found)


def test_a_mask_with_tumour_contradicts_heads_without(data: Path) -> None:
    done = brainseg("evaluate", BUNDLE, data, "--without-tumour")
    assert done.code == 1
    assert "holds tumour" in done.err


@pytest.mark.parametrize("option", ["--stress", "--without-tumour"])
def test_masks_that_are_there_already_cannot_be_stressed(data: Path, masks: Path, option: str) -> None:
    done = brainseg("evaluate", "--predictions", masks, data, option)
    assert done.code == 2
    assert "runs no model" in done.err
