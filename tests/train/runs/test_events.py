"""TensorBoard event files hold the history's figures, each epoch once, however often the run was interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brainseg_runtime.errors import FileWriteError, MissingExtraError
from brainseg_train.runs.events import EventFile, scalars
from brainseg_train.runs.records import EpochRecord, RunRecord, load_history, load_record
from brainseg_train.tuning import study
from tests.train.run_files import snapshot
from tests.train.small_runs import CONFIG, after, train
from tests.train.studies import run_command, tiny


def _fit(folder: Path, **how: object) -> RunRecord:
    return train(CONFIG, folder, **{"tensorboard": True, **how})


def event_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*tfevents*"))


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader finds in a run's folder: tag to steps and values."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def assert_same_as_history(folder: Path) -> None:
    history = load_history(folder)
    found = read_back(folder)
    assert set(found) == set(scalars(history[0]))
    for tag, points in found.items():
        assert [step for step, _ in points] == [entry.epoch for entry in history], tag
        wanted = [scalars(entry)[tag] for entry in history]
        assert [value for _, value in points] == pytest.approx(wanted, rel=1e-6), "float32 holds seven digits"


def _epochs(count: int) -> tuple[EpochRecord, ...]:
    scores = {"loss": 0.3, "dice": 0.8, "dice_median": 0.9, "dice_min": 0.1, "dice_pooled": 0.85}
    return tuple(
        EpochRecord(
            epoch=n,
            rate=1e-3 / n,
            train_loss=1.0 / n,
            gradient_norm=2.0,
            slices=5,
            validation=scores,
            timing={"seconds": 10.0, "images_per_s": 50.0},
        )
        for n in range(1, count + 1)
    )


def test_every_epoch_is_a_step_with_the_figures_of_the_history(tmp_path: Path) -> None:
    _fit(tmp_path / "run")
    assert_same_as_history(tmp_path / "run")
    assert {
        "optimiser/learning_rate",
        "loss/train",
        "loss/validation",
        "validation_dice/mean",
        "speed/images_per_s",
    } <= set(read_back(tmp_path / "run"))


def test_events_change_nothing_in_what_is_trained(tmp_path: Path) -> None:
    _fit(tmp_path / "a" / "run")
    _fit(tmp_path / "b" / "run", tensorboard=False)
    with_events, without = snapshot(tmp_path / "a" / "run"), snapshot(tmp_path / "b" / "run")
    assert {name for name in with_events if "tfevents" in name} == set(with_events) - set(without)
    assert {name: with_events[name] for name in without} == without


@pytest.mark.parametrize("steps", [0, 3, 4, 6, 11])
def test_an_interrupted_run_can_be_read_and_goes_on_without_doubled_steps(tmp_path: Path, steps: int) -> None:
    folder = tmp_path / "run"
    _fit(folder, should_stop=after(steps))
    if steps >= 4:
        assert_same_as_history(folder)
    else:
        assert read_back(folder) == {}
    _fit(folder, resume=True)
    assert_same_as_history(folder)
    assert len(event_files(folder)) == 1


def test_a_run_begun_without_events_gets_all_of_them_when_resumed_with_them(tmp_path: Path) -> None:
    _fit(tmp_path / "run", tensorboard=False, should_stop=after(5))
    _fit(tmp_path / "run", resume=True)
    assert_same_as_history(tmp_path / "run")


def test_the_file_of_an_interrupted_run_is_that_of_a_whole_one(tmp_path: Path) -> None:
    """Byte for byte, but for the figures that are seconds: those of one history are compared."""
    (tmp_path / "b" / "a").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    EventFile(tmp_path / "a").follow(_epochs(0), 5.0)
    EventFile(tmp_path / "a").follow(_epochs(2), 5.0)
    writer = EventFile(tmp_path / "a")
    writer.follow(_epochs(2), 5.0)
    writer.follow(_epochs(3), 5.0)
    EventFile(tmp_path / "b" / "a").follow(_epochs(3), 5.0)
    (first,), (second,) = event_files(tmp_path / "a"), event_files(tmp_path / "b" / "a")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_an_epoch_whose_state_was_lost_is_there_once(tmp_path: Path) -> None:
    """As when the newest state is damaged and the run goes on from the one before."""
    EventFile(tmp_path).follow(_epochs(3), 0.0)
    lost = replace(_epochs(3)[2], train_loss=9.0, timing={"seconds": 11.0, "images_per_s": 40.0})
    writer = EventFile(tmp_path)
    writer.follow(_epochs(2), 0.0)
    assert [step for step, _ in read_back(tmp_path)["loss/train"]] == [1, 2]
    writer.follow((*_epochs(2), lost), 0.0)
    assert read_back(tmp_path)["loss/train"] == [(1, 1.0), (2, 0.5), (3, 9.0)]


@pytest.mark.parametrize("keep", [0, 1, 30, 100, 300, 600])
def test_a_damaged_file_is_mended_when_the_run_goes_on(tmp_path: Path, keep: int) -> None:
    EventFile(tmp_path).follow(_epochs(3), 0.0)
    (path,) = event_files(tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[:keep], whole[:keep] + b"\xff" * 50, whole + whole[:keep]):
        path.write_bytes(damaged)
        EventFile(tmp_path).follow(_epochs(3), 0.0)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [1, 4, 11, 40])
def test_a_write_that_was_cut_short_leaves_the_epochs_before_readable(tmp_path: Path, cut: int) -> None:
    EventFile(tmp_path).follow(_epochs(3), 0.0)
    (path,) = event_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert [step for step, _ in read_back(tmp_path)["loss/train"]] == [1, 2]


def test_a_reader_that_stays_open_sees_each_epoch_as_it_comes(tmp_path: Path) -> None:
    reader = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    writer = EventFile(tmp_path)
    for count in (1, 2, 3):
        writer.follow(_epochs(count), 0.0)
        reader.Reload()
        assert [event.step for event in reader.Scalars("loss/train")] == list(range(1, count + 1))
    EventFile(tmp_path).follow(_epochs(3), 0.0)  # another process takes the run up
    reader.Reload()
    assert [event.step for event in reader.Scalars("loss/train")] == [1, 2, 3]
    EventFile(tmp_path).follow(_epochs(4), 0.0)
    reader.Reload()
    assert [event.step for event in reader.Scalars("loss/train")] == [1, 2, 3, 4]


def test_times_are_of_training_without_pauses(tmp_path: Path) -> None:
    EventFile(tmp_path).follow(_epochs(3), 1000.0)
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    assert [event.wall_time for event in reader.Scalars("loss/train")] == [1010.0, 1020.0, 1030.0]


def test_a_killed_run_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = (
        "from pathlib import Path\n"
        "from tests.train.runs import test_events as t\n"
        "import dataclasses\n"
        f"t.CONFIG = dataclasses.replace(t.CONFIG, epochs=10_000)\nt._fit(Path({str(folder)!r}))\n"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
    )
    deadline = time.monotonic() + 120
    while len(load_history(folder)) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    steps = [step for step, _ in read_back(folder)["validation_dice/mean"]]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 2


def test_a_refused_write_is_named(tmp_path: Path) -> None:
    writer = EventFile(tmp_path)
    writer.follow(_epochs(1), 0.0)
    (path,) = event_files(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileWriteError, match="tfevents"):
        writer.follow(_epochs(2), 0.0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    writer = EventFile(tmp_path)
    writer.follow(_epochs(1), 0.0)
    (path,) = event_files(tmp_path)
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(FileWriteError, match=r"tfevents.*space"):
        writer.follow(_epochs(2), 0.0)


def test_without_the_extra_the_command_says_so_before_it_reads_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match="tensorboardX"):
        EventFile(tmp_path)
    data = tmp_path / "patients"
    data.mkdir()
    assert run_command("fit", "unet", "--data", str(data), "--runs", str(tmp_path / "runs"), "--tensorboard") == 1
    said = capsys.readouterr().err
    assert "pip install" in said
    assert "tensorboardX" in said
    assert not (tmp_path / "runs").exists()


def test_the_command_writes_events_in_worker_processes_too(small_patients: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    arguments = tiny(small_patients, runs, "--epochs", "2", "--cache", str(tmp_path / "cache"))
    assert run_command("all", *arguments, "--workers", "2", "--models", "unet,deeplab", "--tensorboard") == 0
    current = study.newest_complete(runs)
    assert current.record.tensorboard
    assert len(current.record.runs) == 2
    for run in current.record.runs:
        assert_same_as_history(runs / run)


def test_a_complete_study_gets_its_events_afterwards(small_patients: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    arguments = ["fit", "unet", *tiny(small_patients, runs, "--epochs", "2", "--cache", str(tmp_path / "cache"))]
    assert run_command(*arguments) == 0
    (run,) = [path.parent for path in runs.glob("*/run.json")]
    assert event_files(run) == []
    before = {path: path.read_bytes() for path in run.iterdir()}
    assert run_command(*arguments, "--resume", "--tensorboard") == 0
    assert_same_as_history(run)
    assert {path: path.read_bytes() for path in before} == before
    assert json.loads((runs / "studies" / load_record(run).study / "study.json").read_text())["tensorboard"] is True  # type: ignore[operator]


def test_names_hold_neither_the_host_nor_a_path(tmp_path: Path) -> None:
    _fit(tmp_path / "run")
    (path,) = event_files(tmp_path / "run")
    assert re.fullmatch(r"events\.out\.tfevents\.\d+", path.name)
