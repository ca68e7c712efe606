"""Threads sleep while they wait, and are as many as the user says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from brainseg_runtime.inference.processor import usable_cores
from brainseg_train.learning.threads import requested_threads, wait_asleep


def test_waiting_threads_sleep_unless_the_user_says_how_they_wait() -> None:
    plain: dict[str, str] = {}
    wait_asleep(plain)
    assert plain == {"OMP_WAIT_POLICY": "PASSIVE"}
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "10"), ("KMP_BLOCKTIME", "3")):
        said = {name: value}
        wait_asleep(said)
        assert said == {name: value}


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP says on Linux what it was told")
def test_the_command_s_own_openmp_waits_asleep() -> None:
    """The library itself is asked, in the process that has loaded PyTorch."""
    code = "from brainseg_train.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\nimport torch"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP", "KMP"))}
    environment["OMP_DISPLAY_ENV"] = "VERBOSE"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


@pytest.mark.parametrize(
    ("text", "threads"),
    [("1", 1), (" 1 ", 1), ("1,4", 1), ("", None), ("0", None), ("-2", None), ("many", None), ("²", None)],
)
def test_the_number_of_threads_is_read_or_passed_over(
    text: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert requested_threads() == threads


def test_no_more_threads_than_cores_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    assert requested_threads() == usable_cores()
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert requested_threads() is None
