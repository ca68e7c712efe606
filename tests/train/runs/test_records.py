"""Records and histories come back as they were written, and damaged ones are refused by name."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.errors import FileWriteError
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_train.config import preset
from brainseg_train.errors import RecordError
from brainseg_train.runs.records import (
    Best,
    EpochRecord,
    RunRecord,
    load_history,
    load_record,
    save_history,
    save_record,
)

SCORES = {"loss": 0.3, "dice": 0.8123456789012345, "dice_median": 0.9, "dice_min": 0.1, "dice_pooled": 0.85}
RECORD = RunRecord(
    id="run",
    study="study",
    status="complete",
    stopped="patience",
    config=preset("quick", "resunet"),
    data_digest="d" * 64,
    split_digest="s" * 64,
    split_by="patient",
    slices={"train": 5, "validation": 2},
    parameters=1234,
    best=Best(epoch=2, validation=SCORES),
    epochs=3,
    precision="bf16",
    device="cpu",
    threads=1,
    rng="scheme",
    versions={"torch": "2"},
    git={"commit": "abc", "dirty": False},
    hardware={"cores": 2, "instructions": ["avx2"]},
    timing={"seconds": 1.5},
)
EPOCHS = tuple(
    EpochRecord(epoch=n, rate=1e-3 / n, train_loss=0.1 + n, gradient_norm=2.0, slices=5, validation=SCORES)
    for n in (1, 2, 3)
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    save_record(tmp_path, RECORD)
    assert load_record(tmp_path) == RECORD


def test_a_record_says_model_and_seed_at_the_top(tmp_path: Path) -> None:
    save_record(tmp_path, RECORD)
    value = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert value["model"] == {"name": "resunet", "width": 16}
    assert value["seed"] == 0


def test_a_history_comes_back_as_it_was(tmp_path: Path) -> None:
    save_history(tmp_path, EPOCHS)
    assert load_history(tmp_path) == EPOCHS
    assert len((tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()) == len(EPOCHS)


def test_the_csv_holds_the_figures_of_the_history_to_the_last_digit(tmp_path: Path) -> None:
    save_history(tmp_path, EPOCHS)
    with (tmp_path / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(EPOCHS)
    for row, line in zip(rows, (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines(), strict=True):
        epoch = json.loads(line)
        nested = {f"{key}.{name}": value for key in ("validation", "timing") for name, value in epoch.pop(key).items()}
        assert {key: json.loads(value) for key, value in row.items()} == epoch | nested


def test_the_csv_of_a_run_without_epochs_is_a_head(tmp_path: Path) -> None:
    save_history(tmp_path, ())
    assert (tmp_path / "history.csv").read_text(encoding="utf-8") == "epoch,rate,train_loss,gradient_norm,slices\n"


def test_a_figure_that_came_later_leaves_its_cell_empty_before(tmp_path: Path) -> None:
    save_history(tmp_path, (EPOCHS[0], replace(EPOCHS[1], timing={"seconds": 1.5})))
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["timing.seconds"] for row in rows] == ["", "1.5"]


def test_a_csv_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(FileWriteError, match=r"history\.csv"):
        save_history(tmp_path, EPOCHS)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_run_without_epochs_has_an_empty_history(tmp_path: Path) -> None:
    assert load_history(tmp_path) == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda value: value.pop("threads"), "threads"),
        (lambda value: value.update(colour="red"), "colour"),
        (lambda value: value.update(status="finished"), "status"),
        (lambda value: value["config"].update(width="wide"), "width"),
        (lambda value: value["best"].update(epoch=None), "epoch"),
    ],
)
def test_a_record_that_is_none_is_refused_by_name(tmp_path: Path, change: object, named: str) -> None:
    value = json.loads(json.dumps(RECORD.to_json()))
    change(value)  # type: ignore[operator]
    (tmp_path / "run.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(RecordError, match=f"run.json.*{named}"):
        load_record(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"id": 1, "id": 2}', '{"epoch": NaN}'])
def test_damaged_files_are_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=r"run\.json"):
        load_record(tmp_path)
    (tmp_path / "history.jsonl").write_text(json.dumps(to_json(EPOCHS[0])) + "\n" + (text or "0"), encoding="utf-8")
    with pytest.raises(RecordError, match=r"history\.jsonl line 2"):
        load_history(tmp_path)


def test_a_missing_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"run\.json"):
        load_record(tmp_path)
