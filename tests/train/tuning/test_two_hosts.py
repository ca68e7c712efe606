"""Two hosts, each with a network of its own, train one network; a process that is killed changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_train.runs.records import load_history
from tests.train.launches import Launch, digests, fit_command, launched
from tests.train.network_hosts import two_hosts
from tests.train.studies import run_command

EPOCHS = 4


def test_two_hosts_train_what_one_process_trains_and_a_killed_rank_changes_no_byte(
    small_patients: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert run_command(*fit_command(small_patients, tmp_path / "alone", cache, EPOCHS)[2:]) == 0
    pair = fit_command(small_patients, tmp_path / "pair", cache, EPOCHS)
    local = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, *local, *pair], check=True, env=environment, capture_output=True)
    with two_hosts() as hosts:
        launch = Launch(hosts, small_patients, tmp_path / "hosts", cache, epochs=EPOCHS, restarts=2)
        with launched(launch):
            launch.wait_for_steps(3)  # of an epoch
            launch.kill_worker(1)
            assert launch.wait() == [0, 0], launch.log(0).read_text(encoding="utf-8")
    assert "resumed after epoch" in launch.log(0).read_text(encoding="utf-8")
    assert len(list((launch.runs / "studies").iterdir())) == 1
    assert digests(launch.runs) == digests(tmp_path / "pair")
    _require_close(tmp_path / "alone", launch.runs)


def _require_close(alone: Path, together: Path) -> None:
    """The epochs of two processes are those of one, but for the order in which float32 numbers were added up.

    That nothing but this order differs is shown in float64, in `tests/train/learning/test_distributed.py`. Weights are
    not compared one by one: Adam divides a gradient by its own size, so where that is nearly 0 rounding fills a step.
    """
    one, two = (load_history(next(runs.glob("*/run.json")).parent) for runs in (alone, together))
    assert one[0].train_loss == pytest.approx(two[0].train_loss, rel=1e-6)
    for before, after in zip(one, two, strict=True):
        assert before.train_loss == pytest.approx(after.train_loss, rel=1e-4)
        assert before.validation["dice"] == pytest.approx(after.validation["dice"], abs=1e-3)
