"""The main job, end to end on small phantoms: what it leaves, and that interrupting it changes nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from brainseg_runtime.metrics import count, dice
from brainseg_train import checkpoint
from brainseg_train.comparison import conduct
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.persons import PersonRule
from brainseg_train.data.split_file import SplitFile
from brainseg_train.errors import ConfigError, StudyError
from brainseg_train.models.pipeline import InferencePipeline
from brainseg_train.runs.records import RunRecord
from brainseg_train.tuning import study, worker_pool
from brainseg_train.tuning.file_lock import FileLock
from brainseg_train.tuning.plan import Plan, layout, make_request, open_study
from brainseg_train.tuning.progress import display
from brainseg_train.tuning.study import Study
from tests.train.studies import TWO, board_of, run_command, tiny, without_times

GIVEN = SplitFile(path=Path("split.csv"), subsets={})

COMMAND = [sys.executable, "-m", "brainseg_train.cli"]


def newest(runs: Path) -> Study:
    found = study.newest(runs)
    assert found is not None
    return found


def test_the_leaderboard_has_a_row_for_each_network_ranked_by_dice(compared: Path) -> None:
    board = board_of(compared)
    rows = board["rows"]
    assert {row["model"] for row in rows} == {"unet", "deeplab"}
    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0]["test"]["volume_dice"]["mean"] >= rows[1]["test"]["volume_dice"]["mean"]
    for row in rows:
        assert set(row) >= {"model", "config", "validation", "test", "parameters", "epochs", "timing"}
        assert row["config"]["model"] == row["model"]
        assert row["timing"]["seconds"] > 0
        assert row["epochs"] == 2
    assert (board["split_by"], board["leaky"]) == ("patient", False)


def test_the_test_scores_are_those_of_the_chosen_weights_on_raw_slices(compared: Path, small_patients: Path) -> None:
    current = newest(compared)
    dataset = load_dataset(small_patients)
    for row in board_of(compared)["rows"]:
        network, _ = checkpoint.load_network(compared / current.record.selected[row["model"]][0])
        pipeline = InferencePipeline(network).eval()
        scores = {}
        for patient in current.split().test:
            rows = dataset.indices([patient])
            images = np.stack([dataset.native_image(index) for index in rows])
            truth = np.stack([dataset.native_mask(index) for index in rows])
            with torch.inference_mode():
                mask, _ = pipeline(torch.from_numpy(images))
            scores[patient] = dice(count(mask.numpy(), truth))
        assert scores == {patient["id"]: patient["dice"] for patient in row["test"]["patients"]}


def test_the_study_says_what_was_asked_and_chosen(compared: Path) -> None:
    current = newest(compared)
    assert current.record.status == "complete"
    assert set(current.record.selected) == {"unet", "deeplab"}
    assert set(current.record.runs) == {path.parent.name for path in compared.glob("*/run.json")}
    again = study.load(compared, current.record.id)
    assert again.record == current.record
    assert again.request.digest == current.request.digest


def test_a_complete_study_is_not_measured_again(
    compared: Path, small_patients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in newest(compared).test_folder.iterdir()}
    assert run_command("all", *tiny(small_patients, compared, *TWO, "--resume")) == 0
    assert "is complete" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in newest(compared).test_folder.iterdir()} == before
    assert len(list((compared / "studies").iterdir())) == 1


def test_killed_and_resumed_it_ends_in_the_same_bytes(compared: Path, small_patients: Path, tmp_path: Path) -> None:
    arguments = ["all", *tiny(small_patients, tmp_path, *TWO)]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("deeplab 1/1:"))  # the second network has begun
        process.kill()
    assert newest(tmp_path).record.status == "running"
    assert run_command(*arguments, "--resume") == 0
    assert without_times(board_of(tmp_path)) == without_times(board_of(compared))
    assert (tmp_path / "leaderboard.md").read_bytes() == (compared / "leaderboard.md").read_bytes()
    one, other = newest(compared), newest(tmp_path)
    for unit in one.request.units:
        weights = [current.run_dir(unit, 0) / "best.safetensors" for current in (one, other)]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def test_two_workers_make_the_same_leaderboard_and_ctrl_c_keeps_everything(
    compared: Path, small_patients: Path, tmp_path: Path
) -> None:
    arguments = ["all", *tiny(small_patients, tmp_path, *TWO, "--workers", "2")]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "1/1:" in line)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "--resume" in rest
    done = subprocess.run(
        [*COMMAND, *arguments, "--resume", "--json", "-"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert without_times(json.loads(done.stdout)) == without_times(board_of(compared))


def small_study(small_patients: Path, runs: Path) -> Study:
    plan = Plan(kind="all", models=("unet",), preset="quick", changes={"epochs": 1, "width": 2}, threads=1)
    return open_study(plan, load_dataset(small_patients), runs, resume=False)[0]


def test_a_worker_that_is_killed_is_named_and_its_trial_free_again(
    small_patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = small_study(small_patients, tmp_path)
    started = []

    def start(*arguments: Any) -> Any:  # noqa: ANN401 - passes on what it is given
        started.append(genuine(*arguments))
        return started[-1]

    genuine = worker_pool._start
    monkeypatch.setattr(worker_pool, "_start", start)
    with pytest.raises(StudyError, match="ended unexpectedly") as caught:
        worker_pool.run_workers(
            current, data=small_patients, cache=None, count=1, show=lambda _event: started[0].process.kill()
        )
    assert "--resume" in str(caught.value.remedy)
    (unit,) = current.request.units
    claim = current.tuner(unit).claim()
    assert claim is not None
    assert claim.number == 0
    claim.leave()


def test_a_fault_in_a_worker_is_the_commands_fault(small_patients: Path, tmp_path: Path) -> None:
    current = small_study(small_patients, tmp_path)
    with pytest.raises(StudyError, match="nowhere"):
        worker_pool.run_workers(current, data=tmp_path / "nowhere", cache=None, count=2, show=lambda _event: None)
    assert newest(tmp_path).record.status == "running"


def test_folds_measure_every_patient_once(small_patients: Path, tmp_path: Path) -> None:
    arguments = tiny(small_patients, tmp_path, "--folds", "3", "--json", str(tmp_path / "fit.json"))
    assert run_command("fit", "unet", *arguments) == 0
    document = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert len(document["runs"]) == 3
    assert document["row"]["test"]["n_patients"] == 20
    assert len(set(newest(tmp_path).request.splits)) == 3


def test_a_single_fit_does_not_look_at_the_test_part(small_patients: Path, tmp_path: Path) -> None:
    arguments = tiny(small_patients, tmp_path, "--rate", "1e-3:1e-5", "--batch", "8")
    assert run_command("fit", "resunet", *arguments) == 0
    current = newest(tmp_path)
    assert not current.test_folder.exists()
    (unit,) = current.request.units
    config = current.run_records(unit)[0].config
    assert (config.schedule, config.rate, config.final_rate, config.batch) == ("cosine", 1e-3, 1e-5, 8)


def test_a_split_by_slice_is_marked_in_everything_it_makes(small_patients: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "all", *tiny(small_patients, tmp_path, "--models", "unet", "--split-by", "slice")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "slice (LEAKY)" in done.stdout
    assert "LEAKY" in done.stdout
    assert "Split by slice" in done.stderr
    assert board_of(tmp_path)["leaky"]
    assert board_of(tmp_path)["rows"][0]["leaky"]
    for name in ("leaderboard.md", "report.html"):
        assert "leaky" in (tmp_path / name).read_text(encoding="utf-8").lower()


def test_tuning_by_tpe_keeps_every_trial(small_patients: Path, tmp_path: Path) -> None:
    search = ["--search", "tpe", "--trials", "3"]
    assert run_command("all", *tiny(small_patients, tmp_path, "--models", "unet", "--width", "4", *search)) == 0
    trials = board_of(tmp_path)["trials"]
    assert [trial["trial"] for trial in trials] == [0, 1, 2]
    assert board_of(tmp_path)["rows"][0]["validation"]["dice"] == max(trial["validation"]["dice"] for trial in trials)


def test_a_pruned_run_ends_early_and_stays_in_the_record(small_patients: Path, tmp_path: Path) -> None:
    assert run_command("all", *tiny(small_patients, tmp_path, "--models", "unet", "--epochs", "5")) == 0
    (trial,) = board_of(tmp_path)["trials"]
    assert (trial["status"], trial["epochs"]) == ("pruned", 3)
    assert "PRUNED" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads(next(tmp_path.glob("*/run.json")).read_text(encoding="utf-8"))["status"] == "pruned"


def test_a_file_of_settings_and_no_test_part_reach_the_run(small_patients: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"model": "unet", "width": 2, "epochs": 3, "augment": {"noise": 0.5}}')
    arguments = ["--data", str(small_patients), "--runs", str(tmp_path / "runs"), "--config", str(settings)]
    assert run_command("fit", "unet", *arguments, "--epochs", "1", "--no-test", "--threads", "1") == 0
    (record,) = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("runs/*/run.json")]
    config = record["config"]
    assert (config["width"], config["epochs"], config["augment"]["noise"]) == (2, 1, 0.5), "options before the file"
    split = json.loads((tmp_path / "runs/splits" / f"{record['split_digest']}.json").read_text(encoding="utf-8"))
    assert split["test"] == []


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--config", "{settings}"], "another network|another model"),
        (["--no-test", "--folds", "3"], "--no-test"),
        (["--no-test", "--split-by", "slice"], "--no-test"),
    ],
)
def test_settings_that_do_not_go_together_are_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], told: str
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"model": "deeplab"}')
    extra = [argument.format(settings=settings) for argument in extra]
    assert run_command("fit", "unet", "--data", str(tmp_path), "--runs", str(tmp_path), *extra) == 2
    assert re.search(told, capsys.readouterr().err)


def test_a_run_that_diverges_is_a_fault_that_is_named(
    small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("fit", "unet", *tiny(small_patients, tmp_path, "--epochs", "2", "--rate", "1e30")) == 1
    said = capsys.readouterr().err
    assert "every trial of unet diverged" in said
    assert "is not finite" in said
    assert "--rate" in said
    assert "more epochs" not in said


def test_a_second_command_helps_and_stays_until_the_study_is_complete_whoever_leads(
    small_patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conduct, "WAIT_SECONDS", 0.01)
    current, dataset = opened(small_patients, tmp_path)
    lead = FileLock(current.folder / "lead.lock")
    assert lead.acquire(wait=False)
    with ThreadPoolExecutor(1) as pool:
        helper = pool.submit(carried_out, current, dataset)
        try:
            wait_for(lambda: all(run.status == "complete" for run in records(current)) and len(records(current)) == 2)
            with pytest.raises(TimeoutError):  # it waits for the leader
                helper.result(timeout=0.3)
        finally:
            lead.release()  # as the system does for a leader that is killed after the last trial has ended
        done = helper.result(timeout=60)
    assert done.record.status == "complete"
    assert study.load(tmp_path, current.record.id).record == done.record


def test_a_helper_shows_what_the_leader_measured(
    small_patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conduct, "WAIT_SECONDS", 0.01)
    current, dataset = opened(small_patients, tmp_path)
    with FileLock(current.folder / "lead.lock"), ThreadPoolExecutor(1) as pool:
        helper = pool.submit(carried_out, current, dataset)
        wait_for(lambda: all(run.status == "complete" for run in records(current)) and len(records(current)) == 2)
        led = conduct.finish(current, dataset)
        assert helper.result(timeout=60).record == led.record


def opened(patients: Path, runs: Path) -> tuple[Study, DataSet]:
    """A new study of two networks, not yet begun."""
    wanted = Plan(
        kind="all",
        models=("unet", "deeplab"),
        preset="quick",
        changes={"epochs": 1, "width": 2, "device": "auto"},
        workers=1,
        threads=1,
    )
    dataset = load_dataset(patients)
    return open_study(wanted, dataset, runs, resume=False)[0], dataset


def carried_out(current: Study, dataset: DataSet) -> Study:
    with display(conduct.epochs_left(current), quiet=True) as shown:
        return conduct.carry_out(current, dataset, workers=1, cache=None, display=shown)


def records(current: Study) -> list[RunRecord]:
    return [run for unit in current.request.units for run in current.run_records(unit).values()]


def wait_for(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def plan(**changes: object) -> Plan:
    return dataclasses.replace(Plan(kind="all", models=("unet",), preset="paper", changes={}), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": ("unet", "vgg")}, "vgg"),
        ({"models": ()}, "no network has that name"),
        ({"models": ("unet", "unet")}, "twice"),
        ({"folds": 3, "split_by": "slice"}, "by patient"),
        ({"folds": 3, "split_file": GIVEN}, "already defines the split"),
        ({"split_by": "slice", "split_file": GIVEN}, "already defines the split"),
        ({"split_by": "slice", "rule": PersonRule.read("(x)")}, "keep persons together"),
        ({"folds": 3, "changes": {"initial": "runs/before"}}, "initial weights"),
        ({"trials": 4}, "fixed number"),
        ({"workers": 0}, "workers"),
        ({"threads": 0}, "threads"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan(**changes)


def test_paper_is_the_whole_grid_and_prunes_nothing(small_patients: Path) -> None:
    request, _ = make_request(plan(), load_dataset(small_patients))
    assert request.search.trials == 6
    assert request.search.prune_below is None
    assert request.configs["unet"].epochs == 40


def test_quick_gives_up_what_is_below_the_brightness_threshold(small_patients: Path) -> None:
    request, _ = make_request(plan(preset="quick"), load_dataset(small_patients))
    assert request.search.prune_below == request.baseline
    assert request.search.prune_from >= 3


def test_a_study_too_short_to_save_an_epoch_gives_nothing_up(small_patients: Path) -> None:
    request, _ = make_request(plan(preset="quick", changes={"epochs": 3}), load_dataset(small_patients))
    assert request.search.prune_below is None


def test_processes_share_the_cores(small_patients: Path) -> None:
    dataset = load_dataset(small_patients)
    alone, _ = make_request(plan(preset="quick"), dataset)
    assert layout(plan(preset="quick"), alone)[0] == 1
    full, _ = make_request(plan(), dataset)
    workers, threads = layout(plan(workers=3, threads=2), full)
    assert (workers, threads) == (3, 2)


def test_the_environment_says_how_many_threads_where_the_plan_does_not(
    small_patients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, _ = make_request(plan(), load_dataset(small_patients))
    monkeypatch.setattr("brainseg_train.tuning.plan.usable_cores", lambda: 8)
    monkeypatch.setattr("brainseg_train.learning.threads.usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert layout(plan(changes={"device": "cpu"}), full) == (2, 4)
    assert layout(plan(workers=1), full) == (1, 4)
    assert layout(plan(threads=2, workers=1), full) == (1, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert layout(plan(), full) == (1, 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert layout(plan(), full) == (6, 1)


def test_resuming_with_other_settings_begins_anew_and_says_what_differs(
    small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, _ = open_study(
        Plan(kind="fit", models=("unet",), preset="quick", changes={"epochs": 1, "width": 2}, search=None),
        load_dataset(small_patients),
        tmp_path,
        resume=False,
    )
    assert run_command("fit", "unet", *tiny(small_patients, tmp_path, "--batch", "8", "--resume")) == 0
    said = capsys.readouterr().err
    assert f"study {before.record.id} is unfinished" in said
    assert "configs.unet.batch: 16, now 8" in said
    assert "epochs" not in said.partition("is unfinished")[2].partition("unet 1/1")[0]
    assert len(list((tmp_path / "data").glob("*.json"))) == 1


def test_a_split_file_reaches_the_study(small_patients: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in small_patients.iterdir() if path.is_dir())
    subsets = ["train"] * (len(names) - 2) + ["val", "test"]
    table = tmp_path / "mine.csv"
    rows = [f"{name},{subset}" for name, subset in zip(names, subsets, strict=True)]
    table.write_text("\n".join(["patient,subset", *rows]), encoding="utf-8")
    runs = tmp_path / "runs"
    assert run_command("fit", "unet", *tiny(small_patients, runs, "--split-file", str(table))) == 0
    split = newest(runs).split()
    assert (split.validation, split.test, split.given) == ((names[-2],), (names[-1],), True)
