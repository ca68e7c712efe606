"""Which run is taken, and which are refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brainseg_export.errors import SelectionError
from brainseg_export.sources import run_choice
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io import files
from brainseg_train import checkpoint, models
from brainseg_train.checkpoint import WeightsInfo
from brainseg_train.errors import CheckpointError, ConfigError, RecordError
from brainseg_train.runs import records
from brainseg_train.runs.records import RunRecord
from brainseg_train.tuning import study


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs that a test may damage."""
    return Path(shutil.copytree(runs, tmp_path / "runs"))


def dice(record: RunRecord) -> float:
    assert record.best is not None
    return record.best.validation["dice"]


def test_the_best_run_of_the_study_is_taken_and_says_why(runs: Path) -> None:
    chosen = run_choice.best(runs)
    everything = [records.load_record(path.parent) for path in runs.glob("*/run.json")]
    assert chosen.validation_dice == max(dice(record) for record in everything)
    assert "highest validation Dice" in chosen.reason
    assert chosen.study is not None
    assert chosen.study.record.id in chosen.reason


def test_the_best_run_of_each_network_is_taken(runs: Path) -> None:
    assert sorted(chosen.model for chosen in run_choice.best_of_each(runs)) == ["deeplab", "unet"]


def test_a_run_is_found_by_name_and_by_its_weights(runs: Path) -> None:
    name = run_choice.best(runs).run
    assert run_choice.by_id(runs, name).run == name
    by_file = run_choice.by_checkpoint(runs / name / "best.safetensors")
    assert by_file.run == name
    assert run_choice.load(by_file)[1].run == name


@pytest.mark.parametrize("name", ["nobody", "", "..", "../runs", "a/b"])
def test_a_name_that_is_no_runs_is_refused(runs: Path, name: str) -> None:
    with pytest.raises(SelectionError, match="holds no run"):
        run_choice.by_id(runs, name)


def test_a_weights_file_without_a_record_is_refused(runs: Path, tmp_path: Path) -> None:
    name = run_choice.best(runs).run
    for suffix in (".safetensors", ".json"):
        shutil.copy(runs / name / f"best{suffix}", tmp_path)
    with pytest.raises(SelectionError, match="cannot be exported"):
        run_choice.by_checkpoint(tmp_path / "best.safetensors")


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="no study to export from"):
        run_choice.best(tmp_path)


def _study(runs: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(next((runs / "studies").glob(f"*/{study.STUDY}")).read_text(encoding="utf-8"))
    return value


def _edit_study(runs: Path, **changes: object) -> None:
    path = next((runs / "studies").glob(f"*/{study.STUDY}"))
    value = json.loads(path.read_text(encoding="utf-8"))
    value.update(changes)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_an_unfinished_study_is_passed_over(own: Path) -> None:
    _edit_study(own, status="running")
    with pytest.raises(SelectionError, match="running"):
        run_choice.best(own)


def test_a_study_split_by_slice_is_passed_over(own: Path) -> None:
    path = next((own / "studies").glob(f"*/{study.STUDY}"))
    value = json.loads(path.read_text(encoding="utf-8"))
    value["request"]["split_by"] = "slice"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(SelectionError, match="split by slice"):
        run_choice.best(own)


def test_a_run_split_by_slice_is_refused_even_by_name(own: Path) -> None:
    name = run_choice.best(own).run
    record = dataclasses.replace(records.load_record(own / name), split_by="slice")
    records.save_record(own / name, record)
    with pytest.raises(SelectionError, match="its split is by slice"):
        run_choice.by_id(own, name)


def test_a_run_that_still_trains_is_refused(own: Path) -> None:
    name = run_choice.best(own).run
    records.save_record(own / name, dataclasses.replace(records.load_record(own / name), status="running"))
    with pytest.raises(SelectionError, match="not ready"):
        run_choice.by_id(own, name)


def test_a_run_of_another_data_set_than_its_study_is_refused(own: Path) -> None:
    _edit_study(own, request={**_study(own)["request"], "data_digest": "0" * 64})
    with pytest.raises(SelectionError, match="another data set or split"):
        run_choice.best(own)


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to every value of a JSON object that is no object itself."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    else:
        yield path


def _edited(value: object) -> object:
    """Another value, of the same type where that is possible."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value * 0.9 + 0.01
    if isinstance(value, int):
        return value + 1
    return f"{value}x" if isinstance(value, str) else "edited"


def _taken(runs: Path, name: str) -> tuple[run_choice.Chosen | None, BrainsegError | None]:
    """A run by its name, or the error."""
    try:
        return run_choice.by_id(runs, name), None
    except BrainsegError as error:
        return None, error


def test_no_edit_of_a_run_record_changes_what_is_told_of_the_run(own: Path) -> None:
    before = run_choice.best(own)
    path = before.folder / records.RECORD
    original = json.loads(path.read_text(encoding="utf-8"))
    refused, ignored = set(), set()
    for way in _leaves(original):
        value = json.loads(json.dumps(original))
        place = value
        for key in way[:-1]:
            place = place[key]
        place[way[-1]] = _edited(place[way[-1]])
        path.write_text(json.dumps(value), encoding="utf-8")
        after, error = _taken(own, before.run)
        if after is None:
            # A status or network that does not exist, or a type that does not fit, is refused on reading.
            named = (records.RECORD, "not ready", "its split is by")
            assert any(text in str(error) for text in named) or isinstance(error, ConfigError), way
            refused.add(".".join(way))
        else:
            assert dataclasses.replace(after, reason=before.reason, study=before.study) == before, way
            ignored.add(".".join(way))
    assert {"id", "data_digest", "split_digest", "best.epoch", "best.validation.dice", "config.rate", "config.batch",
            "config.loss.dice", "config.model", "config.width", "config.seed", "config.epochs"} <= refused  # fmt: skip
    assert {"parameters", "epochs", "timing.seconds", "slices.train", "precision", "threads"} <= ignored


def test_an_edited_score_wins_no_choice_between_runs(own: Path) -> None:
    loser = min(run_choice.best_of_each(own), key=lambda chosen: chosen.validation_dice)
    path = loser.folder / records.RECORD
    value = json.loads(path.read_text(encoding="utf-8"))
    value["best"]["validation"]["dice"] = 0.999
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(SelectionError, match=r"run\.json contradicts best\.json"):
        run_choice.best(own)


def test_weights_of_an_older_release_say_less_and_are_taken(own: Path) -> None:
    name = run_choice.best(own).run
    weights, info = checkpoint.load_weights(own / name)
    checkpoint.save_weights(own / name, weights, dataclasses.replace(info, config=None, validation={}))
    chosen = run_choice.by_id(own, name)
    assert chosen.config is None
    assert chosen.recipe == records.load_record(own / name).config


def test_a_study_that_only_the_record_names_is_not_believed(own: Path) -> None:
    name = run_choice.best(own).run
    folder = next((own / "studies").iterdir())
    other = folder.with_name("19990101-000000-00000000")
    shutil.copytree(folder, other)
    record = dataclasses.replace(records.load_record(own / name), study=other.name)
    records.save_record(own / name, record)
    assert run_choice.by_id(own, name).study is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data_digest": "0" * 64}, "data digest"),
        ({"split_digest": "0" * 64}, "split digest"),
        ({"run": "another"}, "run"),
    ],
)
def test_weights_of_another_run_are_refused(own: Path, change: dict[str, str], named: str) -> None:
    chosen = run_choice.best(own)
    weights, info = checkpoint.load_weights(chosen.folder)
    checkpoint.save_weights(chosen.folder, weights, WeightsInfo(**{**dataclasses.asdict(info), **change}))
    with pytest.raises(SelectionError, match=named):
        run_choice.load(chosen)


def test_weights_of_another_width_are_refused(own: Path) -> None:
    chosen = run_choice.best(own)
    _, info = checkpoint.load_weights(chosen.folder)
    other = models.build(info.model, width=info.width + 1).state_dict()
    checkpoint.save_weights(chosen.folder, other, dataclasses.replace(info, width=info.width + 1))
    with pytest.raises(SelectionError, match="width"):
        run_choice.load(chosen)


def test_damaged_weights_are_refused(own: Path) -> None:
    chosen = run_choice.best(own)
    path = chosen.folder / "best.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    files.write_bytes(path, bytes(data))
    with pytest.raises(CheckpointError):
        run_choice.load(chosen)


def test_a_damaged_record_is_refused(own: Path) -> None:
    name = run_choice.best(own).run
    (own / name / records.RECORD).write_text("{", encoding="utf-8")
    with pytest.raises(RecordError):
        run_choice.by_id(own, name)
