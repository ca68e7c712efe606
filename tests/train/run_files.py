"""What a run's folder holds, wall-clock times aside, for comparing one run with another."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

# Times, the digest of a JSON that holds times, and the state of the repository, which may move while tests run.
_MAY_DIFFER = {"timing", "digest", "git", "resumed"}


def snapshot(folder: Path) -> dict[str, Any]:
    """Every file by name: tensors as bytes, JSON as values without what may differ."""
    return {path.name: _content(path) for path in sorted(folder.iterdir())}


def _content(path: Path) -> object:
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        return [_without_times(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".csv":
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        return [{key: value for key, value in row.items() if not key.startswith("timing.")} for row in rows]
    return path.read_bytes()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in _MAY_DIFFER}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return value
