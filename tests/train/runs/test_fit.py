"""`fit` learns, keeps what is best, stops when it should, and goes on exactly where it stopped."""

from __future__ import annotations

import json
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from brainseg_train.checkpoint import load_network, load_resume, load_weights
from brainseg_train.config import AugmentConfig, preset
from brainseg_train.errors import CheckpointError, ConfigError, DivergedError, LeakageError, RecordError, SplitError
from brainseg_train.learning.schedule import learning_rate_at
from brainseg_train.runs.fit import Progress, fit
from brainseg_train.runs.records import load_history, load_record
from tests.train.run_files import snapshot
from tests.train.small_runs import CONFIG, DATASET, SPLIT, after, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(CONFIG, folder, save_every=3)
    return folder


def test_fit_learns_to_find_the_squares(tmp_path: Path) -> None:
    config = replace(CONFIG, width=8, epochs=20, rate=1e-2, augment=AugmentConfig().scaled(0.2), ema_decay=0.0)
    record = train(config, tmp_path / "run")
    assert record.best is not None
    assert record.best.validation["dice"] > 0.9


def test_the_kept_weights_score_what_the_record_says(tmp_path: Path) -> None:
    record = train(replace(CONFIG, precision="fp32", width=4), tmp_path / "run")
    network, info = load_network(tmp_path / "run")
    rows = SPLIT.indices(DATASET, "validation")
    images = torch.from_numpy(DATASET.images[rows].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    with torch.inference_mode():
        found = torch.sigmoid(network(images))[:, 0].numpy() >= 0.5
    true = DATASET.masks[rows] == 1
    patients = DATASET.patient_of_slice[rows]
    dice = [
        2
        * (found & true)[patients == patient].sum()
        / (found[patients == patient].sum() + true[patients == patient].sum())
        for patient in np.unique(patients)
    ]
    assert record.best is not None
    assert np.mean(dice) == pytest.approx(record.best.validation["dice"], abs=1e-3)  # fp32 layouts differ in last bits
    assert (info.epoch, info.validation_dice) == (record.best.epoch, record.best.validation["dice"])


def test_the_same_run_twice_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    train(CONFIG, tmp_path / "run", save_every=3)
    assert snapshot(tmp_path / "run") == snapshot(whole)


@pytest.mark.parametrize("setting", [{"seed": 1}, {"rate": 4e-3}, {"batch": 4}])
def test_what_changes_the_weights_changes_them(whole: Path, tmp_path: Path, setting: dict[str, object]) -> None:
    train(replace(CONFIG, **setting), tmp_path / "run")  # type: ignore[arg-type]
    assert (tmp_path / "run/best.safetensors").read_bytes() != (whole / "best.safetensors").read_bytes()


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 6, 11])
@pytest.mark.parametrize("save_every", [3, 100])
def test_an_interrupted_run_ends_in_the_same_bytes(whole: Path, tmp_path: Path, steps: int, save_every: int) -> None:
    folder = tmp_path / "run"
    stopped = train(CONFIG, folder, save_every=save_every, should_stop=after(steps))
    assert (stopped.status, stopped.stopped) == ("interrupted", "interrupted")
    assert load_record(folder) == stopped
    assert len(load_history(folder)) == steps // 4
    done = train(CONFIG, folder, resume=True, save_every=3)
    assert done.status == "complete"
    assert snapshot(folder) == snapshot(whole)


def test_interruptions_at_every_step_end_in_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    folder, record = tmp_path / "run", None
    for _ in range(20):
        record = train(CONFIG, folder, resume=True, should_stop=after(1))
        if record.status == "complete":
            break
    assert record is not None
    assert record.status == "complete"
    assert snapshot(folder) == snapshot(whole)


@pytest.mark.parametrize("name", ["safetensors", "json"])
def test_a_damaged_state_is_refused_by_name_and_the_one_before_used(
    whole: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    train(CONFIG, folder, save_every=3, should_stop=after(7))
    path = folder / f"resume-000000007.{name}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        train(CONFIG, folder, resume=True, save_every=3)
    assert path.name in caplog.text
    assert snapshot(folder) == snapshot(whole)


def test_states_that_are_all_damaged_are_an_error_and_stay(tmp_path: Path) -> None:
    train(CONFIG, tmp_path / "run", should_stop=after(6))
    for path in (tmp_path / "run").glob("resume-*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"resume-000000006.*truncated"):
        train(CONFIG, tmp_path / "run", resume=True)
    assert (tmp_path / "run/resume-000000006.safetensors").exists()


def test_best_weights_that_were_lost_or_damaged_are_written_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(CONFIG, folder, should_stop=after(9))
    (folder / "best.safetensors").write_bytes(b"damaged")
    (folder / ".best.json.0123.tmp").write_bytes(b"half")
    train(CONFIG, folder, resume=True)
    assert snapshot(folder) == snapshot(whole)


def test_a_finished_run_is_left_as_it_is(whole: Path) -> None:
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert train(CONFIG, whole, resume=True).status == "complete"
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_a_folder_with_a_run_is_not_overwritten(whole: Path) -> None:
    with pytest.raises(RecordError, match="resume"):
        train(CONFIG, whole)


def test_another_configuration_or_split_is_not_resumed(whole: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.rate"):
        train(replace(CONFIG, rate=1e-3), whole, resume=True)
    with pytest.raises(CheckpointError, match="the split"):
        fit(CONFIG, DATASET, replace(SPLIT, seed=1), whole, resume=True)


def test_another_number_of_threads_is_not_resumed_but_the_run_s_own_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(CONFIG, DATASET, SPLIT, folder, threads=2, should_stop=after(0))
    with pytest.raises(CheckpointError, match="threads 2"):
        fit(CONFIG, DATASET, SPLIT, folder, threads=1, resume=True)
    assert fit(CONFIG, DATASET, SPLIT, folder, resume=True, should_stop=after(0)).threads == 2


def test_history_and_record_tell_what_happened(whole: Path) -> None:
    record, history = load_record(whole), load_history(whole)
    assert [entry.epoch for entry in history] == [1, 2, 3]
    assert [entry.rate for entry in history] == [learning_rate_at(CONFIG, last, 4) for last in (3, 7, 11)]
    assert {entry.slices for entry in history} == {32}
    best = max(history, key=lambda entry: entry.validation["dice"])
    assert record.best is not None
    assert (record.best.epoch, record.best.validation) == (best.epoch, best.validation)
    assert (record.status, record.stopped, record.epochs) == ("complete", "epochs", 3)
    assert (record.id, record.threads, record.processes) == ("run", 1, 1)
    assert record.slices == {"train": 32, "validation": 16}
    assert (record.data_digest, record.split_digest) == (DATASET.digest, SPLIT.digest)


def test_patience_ends_a_run_that_no_longer_gets_better(tmp_path: Path) -> None:
    # At such a rate nothing ever changes, so the first epoch stays the best.
    record = train(replace(CONFIG, rate=1e-30, final_rate=0.0, epochs=9, patience=2, ema_decay=0.999), tmp_path / "run")
    assert (record.status, record.stopped, record.epochs) == ("complete", "patience", 3)


def test_the_last_epoch_is_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    # At such a rate nothing ever changes, so the first epoch stays the best.
    config = replace(CONFIG, rate=1e-30, final_rate=0.0, ema_decay=0.999)
    kept: dict[Literal["best", "last"], int] = {"best": 1, "last": 3}
    for keep, epoch in kept.items():
        record = train(replace(config, keep=keep), tmp_path / keep)
        history = load_history(tmp_path / keep)
        assert record.best is not None
        assert (record.best.epoch, record.best.validation) == (epoch, history[epoch - 1].validation)
        assert load_weights(tmp_path / keep)[1].epoch == epoch


def test_a_run_with_maps_of_heads_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    dataset = replace(DATASET, folder=tmp_path / "cache")
    config = replace(preset("shipped", "unet"), width=2, epochs=2, batch=8, device="cpu")
    fit(config, dataset, SPLIT, tmp_path / "a" / "run", threads=1)
    maps = sorted(path.name for path in tmp_path.glob("cache.*"))
    assert maps == ["cache.head1.json", "cache.head1.safetensors"]
    fit(config, dataset, SPLIT, tmp_path / "b" / "run", threads=1, should_stop=after(3))
    fit(config, dataset, SPLIT, tmp_path / "b" / "run", threads=1, resume=True)
    assert snapshot(tmp_path / "a" / "run") == snapshot(tmp_path / "b" / "run")


def test_a_pruned_run_says_so_and_is_not_taken_up(tmp_path: Path) -> None:
    asked: list[tuple[int, float]] = []

    def prune(epoch: int, dice: float) -> bool:
        asked.append((epoch, dice))
        return epoch == 2

    record = train(CONFIG, tmp_path / "run", prune=prune)
    assert (record.status, record.stopped, record.epochs) == ("pruned", "pruned", 2)
    assert asked == [(entry.epoch, entry.validation["dice"]) for entry in load_history(tmp_path / "run")]
    assert train(CONFIG, tmp_path / "run", resume=True) == record


def test_a_loss_that_is_no_number_fails_the_run_and_keeps_the_last_state(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="not finite"):
        train(replace(CONFIG, rate=1e38, schedule="constant"), tmp_path / "run", save_every=1)
    record = load_record(tmp_path / "run")
    assert record.status == "failed"
    assert "not finite" in (record.stopped or "")
    state, refused = load_resume(tmp_path / "run")
    assert state is not None
    assert refused == ()


def test_a_validation_loss_that_is_no_number_fails_the_run_and_resuming_says_so_again(tmp_path: Path) -> None:
    """One step an epoch: its own loss is finite, and the weights that it leaves are not worth one."""
    config = replace(CONFIG, rate=1e38, schedule="constant", batch=len(DATASET.slices), epochs=2, ema_decay=0.0)
    for resume in (False, True, True):
        with pytest.raises(DivergedError, match="validation loss of epoch 1 is not finite"):
            train(config, tmp_path / "run", resume=resume)
        record = load_record(tmp_path / "run")
        assert (record.status, record.best, record.epochs) == ("failed", None, 0)
        assert "validation loss of epoch 1" in (record.stopped or "")


def test_ctrl_c_stops_between_steps_and_keeps_everything(whole: Path, tmp_path: Path) -> None:
    def press(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 3) and progress.validation is None:
            signal.raise_signal(signal.SIGINT)

    record = train(CONFIG, tmp_path / "run", progress=press)
    assert (record.status, record.epochs) == ("interrupted", 1)
    assert (tmp_path / "run/resume-000000007.json").exists()
    train(CONFIG, tmp_path / "run", resume=True)
    assert snapshot(tmp_path / "run") == snapshot(whole)


def test_progress_is_told_after_every_step_and_every_validation(tmp_path: Path) -> None:
    told: list[Progress] = []
    train(CONFIG, tmp_path / "run", progress=told.append)
    places = [(p.epoch, p.step, p.validation is not None) for p in told]
    expected = [
        place for epoch in (1, 2, 3) for place in [*((epoch, step, False) for step in (1, 2, 3, 4)), (epoch, 4, True)]
    ]
    assert places == expected
    assert all(p.images_per_s > 0 and p.epochs == 3 and p.steps == 4 for p in told)
    assert told[-1].best == load_record(tmp_path / "run").best


def test_training_starts_from_the_weights_that_are_named(whole: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, initial=str(whole), epochs=1, rate=1e-30, final_rate=0.0, ema_decay=0.9)
    record = train(config, tmp_path / "run")
    named = json.loads((whole / "best.json").read_text(encoding="utf-8"))
    assert record.initial == {"run": "run", "epoch": named["epoch"], "sha256": named["sha256"]}
    first, second = (dict(load_network(folder)[0].named_parameters()) for folder in (whole, tmp_path / "run"))
    assert all(torch.allclose(first[name], second[name], atol=1e-7) for name in first)
    with pytest.raises(CheckpointError, match=rf"does not fit[\s\S]*with --width {CONFIG.width}"):
        train(replace(config, width=3), tmp_path / "other")


def test_weights_that_have_seen_other_patients_of_the_same_data_are_refused(whole: Path, tmp_path: Path) -> None:
    other = replace(SPLIT, validation=SPLIT.test, test=SPLIT.validation)
    assert other.digest != SPLIT.digest
    SPLIT.save(_split_file(whole))
    with pytest.raises(LeakageError, match=f"{SPLIT.validation[0]} .test now, validation then"):
        fit(replace(CONFIG, initial=str(whole)), DATASET, other, tmp_path / "run", threads=1)
    _split_file(whole).unlink()
    with pytest.raises(LeakageError, match="another split"):
        fit(replace(CONFIG, initial=str(whole)), DATASET, other, tmp_path / "run", threads=1)


def _split_file(run: Path) -> Path:
    """Where a study would have kept the split of a run."""
    path = run.parent / "splits" / f"{SPLIT.digest}.json"
    path.parent.mkdir(exist_ok=True)
    return path


def test_an_epoch_without_its_share_of_empty_slices_is_shorter(tmp_path: Path) -> None:
    train(replace(CONFIG, empty_fraction=0.0, epochs=1, batch=4), tmp_path / "run")
    tumour = int(DATASET.masks[SPLIT.indices(DATASET, "train")].any(axis=(1, 2)).sum())
    assert load_history(tmp_path / "run")[0].slices == tumour // 4 * 4


def test_the_process_is_left_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (torch.get_num_threads(), signal.getsignal(signal.SIGINT), torch.get_rng_state())
    train(CONFIG, tmp_path / "run")
    assert (torch.get_num_threads(), signal.getsignal(signal.SIGINT)) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert capfd.readouterr() == ("", "")


def test_an_empty_part_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="empty"):
        fit(CONFIG, DATASET, replace(SPLIT, validation=()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="save_every"):
        train(CONFIG, tmp_path / "run", save_every=0)
    with pytest.raises(ConfigError, match="threads"):
        fit(CONFIG, DATASET, SPLIT, tmp_path / "run", threads=-1)
