"""Runs `brainseg` the way a shell does, in this process where that shows the same and in another where it does not."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from brainseg_runtime.cli import application

BUNDLE = Path(__file__).resolve().parents[1] / "bundles" / "tiny"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def brainseg(*arguments: object) -> Done:
    """Runs the command in this process."""
    result = CliRunner().invoke(application(), [str(part) for part in arguments], prog_name="brainseg")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def environment() -> dict[str, str]:
    """For a process of its own: the same sources, one thread for numerics."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
