"""Jobs for the page's core: what a test asks, and what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PATIENCE_S: Final = 300
"""Longest wait for an answer: what takes longer hangs."""


class CorePage:
    """The core in a browser, one job after the other."""

    def __init__(self, node: str, chromium: str, web: Path, build: Path, results: Path) -> None:
        self._results = results
        self._process = subprocess.Popen(
            [node, "tests/core/drive.mjs", str(build), str(results)],
            cwd=web, env={**os.environ, "CHROMIUM": chromium}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._answer().get("ready"), "the browser did not start"

    def ask(self, do: str, **job: object) -> dict[str, Any]:
        """An answer, or the fault as {"fault": code, "values": ...}; nothing may be asked of another server."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **job}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "crash" not in answer, answer["crash"]
        assert answer.pop("elsewhere") == []
        return answer

    def result(self, name: str) -> Path:
        """A result that a job saved under a name."""
        return self._results / name

    def values(self, name: str, dtype: str, *shape: int) -> NDArray[Any]:
        """A saved array."""
        return np.frombuffer(self.result(name).read_bytes(), dtype).reshape(shape)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(120)
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        """The next line; a browser that hangs is ended."""
        assert self._process.stdout is not None
        alarm = threading.Timer(PATIENCE_S, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        assert line, f"no answer within {PATIENCE_S} s"
        answer: dict[str, Any] = json.loads(line)
        return answer


def folder(path: Path) -> list[tuple[str, str]]:
    """All files of a folder, as a page gets them when the folder is picked."""
    return [(str(each), f"{path.name}/{each.relative_to(path)}") for each in sorted(path.rglob("*")) if each.is_file()]


def files(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Files picked one by one."""
    return [(str(each), each.name) for each in paths]
