"""On a terminal: tables and bars, and still every name in full."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.command_line import BUNDLE, environment
from tests.runtime.made_slices import made_patient

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")


def on_a_terminal(*arguments: object, columns: int = 60) -> tuple[int, str]:
    """Exit code and what a terminal showed, its control sequences taken out."""
    import pty

    main, other = pty.openpty()
    command = [sys.executable, "-m", "brainseg_runtime", *map(str, arguments)]
    environ = {**environment(), "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(command, stdout=other, stderr=other, stdin=other, env=environ) as process:
        os.close(other)
        shown = b""
        try:
            while part := os.read(main, 4096):
                shown += part
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(main)
    return process.returncode, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode("utf-8"))


def test_a_name_wider_than_the_terminal_is_folded_and_not_cut(tmp_path: Path) -> None:
    name = "TCGA_DU_" + "abcdefghij" * 8 + "_19950101"
    folder = made_patient(tmp_path / name, slices=2)
    code, shown = on_a_terminal("predict", BUNDLE, folder, "-o", tmp_path / "out")
    assert code == 0
    assert "━" in shown, "a progress bar"
    table = [line for line in shown.splitlines() if line.startswith((" TCGA", " "))]
    assert name in "".join(line.split()[0] for line in table if line.split())
    assert "…" not in shown


def test_help_on_a_terminal_has_its_example() -> None:
    code, shown = on_a_terminal("bench", "--help", columns=100)
    assert code == 0
    assert "Example: brainseg bench" in shown
