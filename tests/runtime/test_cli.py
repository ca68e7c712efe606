"""The command as a whole: help with examples, exit codes, and a clear word where an extra is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.metrics.scores import keys_text, names_text, table
from brainseg_runtime.version import __version__
from tests.runtime.command_line import BUNDLE, brainseg, environment
from tests.runtime.made_slices import made_data, made_patient

COMMANDS = ("predict", "evaluate", "bench", "verify", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_the_keys_and_the_exit_codes(command: str) -> None:
    done = brainseg(command, "--help")
    assert done.code == 0
    text = " ".join(done.out.split())
    assert f"Example: brainseg {command}" in text
    assert "The JSON" in text
    assert "130 interrupted" in text
    assert "--json" in text


def test_help_lists_every_command_and_no_command_means_help() -> None:
    done = brainseg("--help")
    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)


def test_version_is_the_package_version() -> None:
    assert brainseg("--version").out.strip() == __version__


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        ["predict"],
        ["predict", BUNDLE, "x.tif"],
        ["doctor", "--no-such-option"],
        ["evaluate", BUNDLE, "data", "--threads", "0"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[object]) -> None:
    assert brainseg(*arguments).code == 2


def test_a_missing_bundle_is_a_fault_that_names_it(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    data = made_data(tmp_path / "data", patients=1)
    for arguments in (
        ["predict", "gone", folder, "-o", tmp_path / "out"],
        ["evaluate", "gone", data],
        ["bench", "gone"],
    ):
        done = brainseg(*arguments)
        assert done.code == 1
        assert "error: no bundle at gone" in done.err


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_the_command_names_it_and_exits_with_1(missing: str) -> None:
    """The extra is hidden from a fresh interpreter, as it is where only the bare runtime is installed."""
    hidden = f"import sys; sys.modules[{missing!r}] = None\nfrom brainseg_runtime.cli import main\nmain(['doctor'])\n"
    done = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, env=environment(), check=False, timeout=60
    )
    assert done.returncode == 1
    assert "brainseg-runtime[cli]" in done.stderr
    assert re.search(r"remedy: .*pip install", done.stderr)
    assert not re.search(r"pip install ['\"]?brainseg", done.stderr), "the package is on no index"
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_help_waits_for_a_library_that_computes_or_reads() -> None:
    """But for `predict` and `evaluate`, whose files import what they work with: a tenth of a second."""
    light = [command for command in COMMANDS if command not in {"predict", "evaluate"}]
    script = (
        "import sys; from brainseg_runtime.cli import main\n"
        f"for command in {[*light, None]}:\n"
        "    try: main([*filter(None, [command]), '--help'])\n"
        "    except SystemExit: pass\n"
        "found = {'numpy', 'onnxruntime', 'tifffile', 'PIL', 'jinja2'} & set(sys.modules)\n"
        "sys.stderr.write(', '.join(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=False, timeout=60
    )
    assert not done.stderr
    assert all(f"Usage: brainseg {command}" in done.stdout for command in light)


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "brainseg_runtime", "--version"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=60,
    )
    assert done.stdout.strip() == __version__


def test_the_help_of_evaluate_lists_the_scores_of_the_table() -> None:
    text = " ".join(brainseg("evaluate", "--help").out.split())
    assert names_text() in text
    assert all(f"({keys_text(scores)}" in text for scores in (table().pooled, table().surface, table().lesions))
