"""Lowest values: what a file of them may hold, and what a table must reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_export.errors import ExportError, GateError
from brainseg_export.evidence.predictors import predictor
from brainseg_export.evidence.stress import Lowest, measure_stress, read_lowest, require_lowest
from brainseg_export.sources import run_choice
from brainseg_export.sources.patients import validation_patients
from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.evaluation.stress import stress
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.perturbations.table import PERTURBATIONS, perturbation_named
from brainseg_runtime.terminal.console import Console
from brainseg_train.data.dataset import load_dataset
from tests.export.conftest import tiny_graph

FEW = tuple(perturbation_named(name) for name in ("mirrored", "no-flair-zeros"))


def written(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "lowest.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def bright(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A model that marks bright FLAIR."""
    mask = (images[..., 1] > 100).astype(np.uint8)
    return mask, mask.astype(np.float32)


@pytest.fixture(scope="module")
def table() -> StressTable:
    """A model that is right unless FLAIR is missing."""
    image = np.full((20, 20, 3), 50, np.uint8)
    truth = np.eye(20, dtype=np.uint8)
    image[truth > 0, 1] = 200
    return stress([Case("P", [(1, image, truth)])], bright, perturbations=FEW)


def test_a_number_is_the_dice_and_an_object_says_which(tmp_path: Path) -> None:
    path = written(
        tmp_path, {"unperturbed": 0.8, "head-50": {"dice": 1}, "mirrored": {"dice": 0.7, "difference": -0.02}}
    )
    assert read_lowest(path) == {
        "unperturbed": Lowest(dice=0.8),
        "head-50": Lowest(dice=1.0),
        "mirrored": Lowest(dice=0.7, difference=-0.02),
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"head-51": 0.5}, "head-51"),
        ({}, "requires nothing"),
        ({"head-50": 1.5}, "0 to 1"),
        ({"head-50": {"difference": 0.1}}, "-1 to 0"),
        ({"head-50": {}}, "dice, difference or both"),
        ({"head-50": {"dise": 0.5}}, "dise"),
        ({"head-50": "0.5"}, "a number"),
        ({"head-50": None}, "dice, difference or both"),
        ({"unperturbed": {"difference": -0.1}}, "no difference"),
        ("[0.5]", "object"),
        ('{"head-50": NaN}', "NaN"),
        ('{"head-50": 0.1, "head-50": 0.9}', "head-50"),
        (" " * (1 << 17), "bytes"),
    ],
)
def test_other_files_are_refused_and_say_why(tmp_path: Path, value: object, told: str) -> None:
    with pytest.raises(ExportError, match="lowest") as raised:
        read_lowest(written(tmp_path, value))
    assert told in str(raised.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere\.json"):
        read_lowest(tmp_path / "nowhere.json")


def test_what_is_reached_passes(table: StressTable) -> None:
    require_lowest(table, {})
    require_lowest(table, {"mirrored": Lowest(dice=1.0, difference=0.0), "no-flair-zeros": Lowest(dice=0.0)})


def test_every_value_that_is_too_low_is_named_with_its_limit(table: StressTable) -> None:
    lowest = {"mirrored": Lowest(dice=1.0), "no-flair-zeros": Lowest(dice=0.25, difference=-0.5)}
    with pytest.raises(GateError) as raised:
        require_lowest(table, lowest)
    told = str(raised.value)
    assert "no-flair-zeros: Dice 0.0000, lowest allowed 0.25" in told
    assert "no-flair-zeros: difference -1.0000, lowest allowed -0.5" in told
    assert "mirrored" not in told


def test_a_dice_that_no_patient_has_does_not_pass() -> None:
    nothing = np.zeros((20, 20), np.uint8)
    healthy = stress([Case("P", [(1, np.full((20, 20, 3), 50, np.uint8), nothing)])], bright, perturbations=FEW)
    with pytest.raises(GateError, match="no patient has tumour"):
        require_lowest(healthy, {"mirrored": Lowest(dice=0.0)})


def test_the_graph_is_measured_on_the_validation_patients(phantom: Path, runs: Path) -> None:
    patients = validation_patients(load_dataset(phantom), run_choice.best(runs).split)
    graph = tiny_graph("unet")
    table = measure_stress(graph, patients, Console(None))
    expected = evaluate(patients.cases(), predictor(graph, "cpu"), threshold=0.5)
    assert [row.name for row in table.rows] == ["unperturbed", *(each.name for each in PERTURBATIONS)]
    assert (table.provider, table.variant, table.n_slices) == ("cpu", "fp32", patients.slices)
    assert [each.marked_px for each in table.rows[0].patients] == [each.counts.predicted for each in expected.patients]
