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
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data

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
