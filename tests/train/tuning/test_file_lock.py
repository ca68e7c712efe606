"""The lock that ends with its holder."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from brainseg_train.tuning.file_lock import FileLock, is_held

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from brainseg_train.tuning.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
sys.stdout.write("held\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def test_one_holds_it_and_the_other_is_told(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire(wait=False)
    assert not second.acquire(wait=False)
    assert is_held(tmp_path / "lock")
    first.release()
    assert second.acquire(wait=False)
    second.release()
    assert not is_held(tmp_path / "lock")


def test_a_file_that_is_not_there_is_not_held_and_not_made(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_it_ends_with_a_killed_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(tmp_path / "lock")
        holder.kill()
        holder.wait()
        with FileLock(tmp_path / "lock"):
            assert is_held(tmp_path / "lock")


def test_releasing_what_is_not_held_does_nothing(tmp_path: Path) -> None:
    FileLock(tmp_path / "lock").release()
