"""A score that is added to the table alone is in the JSON, in the terminal, on the page and in the help text."""

from __future__ import annotations

import json
from pathlib import Path

from brainseg_runtime.evaluation.page import evaluation_page
from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.metrics import Counts
from brainseg_runtime.metrics.scores import Score, added, names_text
from brainseg_runtime.metrics.volume import VolumePair
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data


def accuracy(counts: Counts) -> float:
    return (counts.tp + counts.tn) / counts.pixels


ACCURACY = Score(
    key="accuracy", label="accuracy", of=accuracy, both_empty="1", truth_empty="below 1", prediction_empty="below 1"
)
DEPTH: Score[VolumePair] = Score(
    key="depth",
    label="depth of the box",
    of=lambda pair: float(pair.truth.shape[0]),
    both_empty="1",
    truth_empty="above 0",
    prediction_empty="above 0",
    unit="slices",
)


def test_it_is_in_the_json_in_the_terminal_and_on_the_page(tmp_path: Path) -> None:
    data, result, page = made_data(tmp_path / "data"), tmp_path / "result.json", tmp_path / "page.html"
    with added(counted=[ACCURACY], surface=[DEPTH]):
        done = brainseg("evaluate", BUNDLE, data, "--json", result, "--report", page)
        assert done.code == 0, done.err
        found = json.loads(result.read_text(encoding="utf-8"))
        del found["run"], found["stress"]
        read = Evaluation.from_json(found)
    assert (
        found["pooled"]["accuracy"] == read.pooled.accuracy == accuracy(Counts.total(p.counts for p in read.patients))
    )
    assert "accuracy" in found["pooled_ci95"]
    assert all(patient["accuracy"] == accuracy(Counts(**patient["counts"])) for patient in found["patients"])
    assert found["surface"]["depth"]["mean"] >= 1
    for text in (done.out + done.err, page.read_text(encoding="utf-8")):
        assert "accuracy" in text
        assert "depth of the box" in text


def test_it_is_in_the_help_text_and_gone_afterwards() -> None:
    with added(counted=[ACCURACY]):
        assert "accuracy" in names_text()
    assert "accuracy" not in names_text()


def test_a_record_made_before_it_is_read(tmp_path: Path) -> None:
    data, result = made_data(tmp_path / "data"), tmp_path / "result.json"
    assert brainseg("evaluate", BUNDLE, data, "--json", result).code == 0
    found = json.loads(result.read_text(encoding="utf-8"))
    del found["run"], found["stress"]
    with added(counted=[ACCURACY], surface=[DEPTH]):
        read = Evaluation.from_json(found)
        assert read.surface is not None
        assert read.surface.depth is None
        assert (read.pooled.accuracy, read.patients[0].accuracy) == (None, None)
        assert "accuracy" in evaluation_page(read, [], {})
