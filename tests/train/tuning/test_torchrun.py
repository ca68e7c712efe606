"""`fit` under torchrun, as the command that a user types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from brainseg_train.tuning import study

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_S = 180.0


def test_a_comparison_under_torchrun_is_refused_once_and_leaves_nobody_behind(
    small_patients: Path, tmp_path: Path
) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "brainseg_train.cli", "all", "--data", str(small_patients), "--runs", str(tmp_path / "runs")]
    done = subprocess.run(
        [*launcher, *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    assert done.returncode != 0
    assert done.stderr.count("not compared under torchrun") == 1
    assert not (tmp_path / "runs").exists()


def test_two_processes_train_one_network_and_write_one_study(small_patients: Path, tmp_path: Path) -> None:
    if not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [
        "-m",
        "brainseg_train.cli",
        "fit",
        "unet",
        "--data",
        str(small_patients),
        "--runs",
        str(tmp_path / "runs"),
    ]
    options = ["--preset", "quick", "--width", "2", "--epochs", "2", "--threads", "1", "--device", "cpu"]
    result = tmp_path / "fit.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [*launcher, *command, *options, "--json", str(result)]
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said, told = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its workers when asked politely, and leaves them when killed
            raise
    assert process.returncode == 0, told
    (run,) = json.loads(result.read_text(encoding="utf-8"))["runs"]
    assert (run["status"], run["processes"], run["epochs"]) == ("complete", 2, 2)
    assert said.count("validation Dice") == 1  # rank 0 alone speaks
    found = study.newest(tmp_path / "runs")
    assert found is not None
    assert found.record.status == "complete"
    assert len(list((tmp_path / "runs" / "studies").iterdir())) == 1
