"""The study of a launch: known to processes that are started again, and to nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from torch._C._distributed_c10d import TCPStore

from brainseg_train.data.dataset import load_dataset
from brainseg_train.errors import StudyError
from brainseg_train.tuning.launch import remember_study, remembered_study, restarted_blindly
from brainseg_train.tuning.plan import Plan, open_study

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(kind="fit", models=("unet",), preset="quick", changes={"epochs": 1, "width": 2}, threads=1)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    """The environment that torchrun gives a process, with a store of its own."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=10))
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    return store


def test_a_study_is_remembered_within_its_launch(launched: TCPStore) -> None:
    assert launched.port
    assert remembered_study() is None
    remember_study("20260101-000000-abcdef01")
    assert remembered_study() == "20260101-000000-abcdef01"


def test_without_torchrun_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    remember_study("20260101-000000-abcdef01")
    assert remembered_study() is None
    assert not restarted_blindly()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert restarted_blindly()


def test_a_new_launch_begins_its_own_study_and_one_that_is_started_again_goes_on(
    small_patients: Path, tmp_path: Path, launched: TCPStore
) -> None:
    dataset = load_dataset(small_patients)
    first, origin = open_study(PLAN, dataset, tmp_path, resume=False)
    assert origin == "new"
    again, origin = open_study(PLAN, dataset, tmp_path, resume=False)
    assert (again.record.id, origin) == (first.record.id, "resumed")
    launched.delete_key("brainseg/study")  # as in another launch, with the same arguments and folder
    other, origin = open_study(PLAN, dataset, tmp_path, resume=False)
    assert origin == "new"
    assert other.record.id != first.record.id


def test_a_study_whose_data_changed_under_the_launch_is_refused(
    small_patients: Path, tmp_path: Path, launched: TCPStore
) -> None:
    assert launched.port
    dataset = load_dataset(small_patients)
    open_study(PLAN, dataset, tmp_path, resume=False)
    changed = Plan(kind="fit", models=("unet",), preset="quick", changes={"epochs": 2, "width": 2}, threads=1)
    with pytest.raises(StudyError, match="another request"):
        open_study(changed, dataset, tmp_path, resume=False)


KILL_ONCE = """
import os, signal, sys
from pathlib import Path
from brainseg_train.cli import main
from brainseg_train.runs.recorder import Recorder
saved = Recorder.save_state
def save_state(self, *arguments):
    saved(self, *arguments)
    if not Path(sys.argv[1]).exists():
        Path(sys.argv[1]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
Recorder.save_state = save_state
main(sys.argv[2:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_process_alone_under_torchrun_resumes_without_being_told(small_patients: Path, tmp_path: Path) -> None:
    script = tmp_path / "kill_once.py"
    script.write_text(KILL_ONCE, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    launcher += ["--max-restarts", "1", str(script), str(tmp_path / "killed")]
    command = ["fit", "unet", "--data", str(small_patients), "--runs", str(tmp_path / "runs"), "--preset", "quick"]
    options = [
        "--width",
        "2",
        "--epochs",
        "2",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--json",
        str(tmp_path / "fit.json"),
    ]
    done = subprocess.run(
        [*launcher, *command, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists()
    (run,) = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))["runs"]
    assert (run["status"], run["epochs"]) == ("complete", 2)
    assert len(list((tmp_path / "runs" / "studies").glob("*/study.json"))) == 1
