"""An interrupt ends a command without a traceback at any moment, imports included."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.runtime.command_line import BUNDLE, environment
from tests.runtime.made_slices import made_data

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process is interrupted by a signal of POSIX's here")

# As a shell starts a command; a measurement of coverage takes SIGTERM, and a job in the background ignores SIGINT.
USUAL = "signal.signal(2, signal.default_int_handler); signal.signal(15, signal.SIG_DFL)"
STOPPED_AT = """
import importlib.abc, os, signal, sys

class Stop(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r} and not done:
            done.append(1)
            os.kill(os.getpid(), {number})
        return None

done = []
sys.meta_path.insert(0, Stop())
sys.argv[1:] = {arguments!r}
{usual}
from brainseg_runtime.__main__ import main
main()
"""


def interrupted(module: str, number: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command and sends it a signal as soon as it begins to import a module."""
    given = [str(each) for each in arguments]
    script = STOPPED_AT.format(module=module, number=int(number), arguments=given, usual=USUAL)
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["brainseg_runtime.cli", "typer", "rich", "brainseg_runtime.commands", "numpy"])
def test_while_the_command_is_imported(module: str, number: signal.Signals) -> None:
    done = interrupted(module, number, "doctor", BUNDLE)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    if module != "numpy":  # whose import is waited for, by a clock: on a fast machine `doctor` has finished by then
        assert done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["onnxruntime", "onnxruntime.capi"])
def test_while_the_engine_is_imported(module: str, number: signal.Signals) -> None:
    done = interrupted(module, number, "bench", BUNDLE, "--batch", 1)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("interrupted\n")


def test_in_predict_nothing_is_written_without_a_record(tmp_path: Path) -> None:
    """An interrupt waits for the import's end, by a clock; a fast machine may have begun to segment by then."""
    data, out = made_data(tmp_path / "data"), tmp_path / "out"
    done = interrupted("onnxruntime", signal.SIGINT, "predict", BUNDLE, data, "-o", out)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    if out.exists() and any(out.iterdir()):
        record = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
        assert record["status"] == "interrupted"
        assert {path.name for path in out.glob("*.tif")} == {
            each["mask"]["file"] for each in record["slices"] if each["status"] == "done"
        }


def test_what_ignores_interrupts_goes_on_ignoring_them() -> None:
    """As a job in the background of a shell does."""
    script = STOPPED_AT.format(module="numpy", number=int(signal.SIGINT), arguments=["doctor"], usual="")
    command = ["bash", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=120)
    assert done.returncode in {0, 1}
    assert "interrupted" not in done.stderr
    assert "provider" in done.stdout
