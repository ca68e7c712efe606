"""Standard output and error that are closed, full or not read: a named fault or a quiet end, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.command_line import BUNDLE, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the shell's redirections are POSIX's")

RUNTIME = f"{sys.executable} -m brainseg_runtime"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash; the code is that of the last program in a pipe that did not end with 0."""
    command = ["bash", "-o", "pipefail", "-c", line]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("what", ["--help", f"verify {BUNDLE}", f"verify {BUNDLE} --json -"])
def test_a_reader_that_goes_ends_the_command_quietly(what: str) -> None:
    done = shell(f"{RUNTIME} {what} | head -c1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) == 1


def test_a_reader_that_goes_does_not_hide_a_failed_check(tmp_path: Path) -> None:
    assert shell(f"{RUNTIME} verify {tmp_path} | head -c1").returncode == 1


@FULL
@pytest.mark.parametrize("what", ["--help", "--version", f"verify {BUNDLE}", f"verify {BUNDLE} --json -"])
def test_a_full_standard_output_is_a_named_fault(what: str) -> None:
    done = shell(f"{RUNTIME} {what} > /dev/full")
    assert done.returncode == 1
    assert "error: standard output cannot be written" in done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize("gone", [pytest.param("2>/dev/full", marks=FULL), "2>&-"])
def test_a_standard_error_that_takes_nothing_changes_no_result(gone: str) -> None:
    done = shell(f"{RUNTIME} verify {BUNDLE} {gone}")
    assert done.returncode == 0
    assert "PASS" in done.stdout
    assert shell(f"{RUNTIME} verify --nonsense {gone}").returncode == 2
    assert shell(f"{RUNTIME} bench nowhere {gone}").returncode == 1


def test_a_standard_output_that_is_closed_from_the_start(tmp_path: Path) -> None:
    assert (shell(f"{RUNTIME} verify {BUNDLE} >&-").returncode, shell(f"{RUNTIME} --help >&-").returncode) == (0, 0)
    done = shell(f"{RUNTIME} verify {BUNDLE} --json - >&-")
    assert done.returncode == 1
    assert "a closed one" in done.stderr
    assert shell(f"{RUNTIME} verify {BUNDLE} --json {tmp_path / 'a.json'} <&- >&- 2>&-").returncode == 0
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")


def test_dev_stdout_is_standard_output_and_then_json_alone(tmp_path: Path) -> None:
    if not Path("/dev/stdout").exists():
        pytest.skip("this system has no /dev/stdout")
    for target in ("| cat", f"> {tmp_path / 'file'}; cat {tmp_path / 'file'}"):
        found = shell(f"{RUNTIME} verify {BUNDLE} --json /dev/stdout {target}").stdout
        assert found.startswith("{")
        assert found == shell(f"{RUNTIME} verify {BUNDLE} --json -").stdout


NOISY = """
import os, sys
from brainseg_runtime.terminal.streams import guarded_streams, stdout_kept_for_results
with guarded_streams():
    print("before")
    with stdout_kept_for_results():
        print("noise")
        os.write(1, b"deeper noise" + os.linesep.encode())
        os.system("echo a child")
    print("after")
"""


def test_what_a_library_prints_is_kept_out_of_the_results() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert sorted(done.stderr.splitlines()) == ["a child", "deeper noise", "noise"]
