"""A small comparison of networks, and the command that makes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from brainseg_train.cli import main
from brainseg_train.comparison.page import write_report
from brainseg_train.tuning.study import Study

TWO = ("--epochs", "2", "--models", "unet,deeplab")
"""The small comparison: two networks, two epochs, seconds."""


def tiny(data: Path, runs: Path, *more: str) -> list[str]:
    """Options of the smallest study: an epoch of width 2 with one thread in this process, unless `more` says else."""
    own = ["--preset", "quick", "--width", "2", "--epochs", "1", "--threads", "1", "--workers", "1"]
    return ["--data", str(data), "--runs", str(runs), *own, *more]


def run_command(*arguments: str) -> int:
    """The exit code of `brainseg-train` in this process."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def board_of(runs: Path) -> dict[str, Any]:
    """The leaderboard in a folder of runs."""
    document = json.loads((runs / "leaderboard.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def page_of(current: Study, board: Mapping[str, Any]) -> str:
    """The page of a changed leaderboard; the study's own is put back."""
    path = current.runs / "report.html"
    before = path.read_bytes()
    text = write_report(current, board).read_text(encoding="utf-8")
    path.write_bytes(before)
    return text


def without_times(value: object) -> object:
    """A leaderboard without what may differ between two studies of the same work."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key != "timing"}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value
