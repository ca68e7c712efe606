"""Starts `child.py` and talks to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

COMMAND = (sys.executable, "-m", "benchmarks.child")
ROOT = Path(__file__).resolve().parents[1]


def environment(threads: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with every library held to a number of threads."""
    held = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**os.environ, **held, **(extra or {})}


def run_child(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run a process to its end; its last line, read."""
    done = subprocess.run(
        [*COMMAND, json.dumps(asked)],
        cwd=ROOT,
        env=environment(int(asked["threads"])),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


class Server:
    """A process that stays and makes a batch's masks each time it is asked.

    A question and its answer through two pipes cost some 50 µs, which are in the figures.

    Args:
        asked: As for `run_child`; `what` is `serve` if not given.
        extra: Environment variables that have to be there when the engine is loaded.
    """

    def __init__(self, asked: Mapping[str, Any], extra: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, json.dumps({"what": "serve", **asked})],
            cwd=ROOT,
            env=environment(int(asked["threads"]), extra),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        """Wait until the model is loaded."""
        self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process by ending its input."""
        self._process.communicate()

    def ask(self) -> None:
        """Let it make one batch's masks."""
        if self._process.stdin is None:
            raise RuntimeError("the process has no input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        if self._process.stdout is None or not self._process.stdout.readline():
            raise RuntimeError(f"the process ended with {self._process.wait()}")
