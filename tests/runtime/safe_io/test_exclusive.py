"""The lock is another process's as long as that lives, whatever ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.safe_io.exclusive import lock_at_once

_HOLD = """
import sys
from brainseg_runtime.safe_io.exclusive import lock_at_once
file = open(sys.argv[1], "r+b")
lock_at_once(file)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_refused_at_once_while_another_process_holds_it_and_is_free_after_its_kill(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with path.open("r+b") as file, pytest.raises(OSError, match=r"unavailable|denied"):
            lock_at_once(file)
        other.kill()
        other.wait()
        with path.open("r+b") as file:
            lock_at_once(file)


def test_a_lock_is_free_once_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    for _ in range(2):
        with path.open("r+b") as file:
            lock_at_once(file)
