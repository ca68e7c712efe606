"""What a campaign leaves behind: `results.jsonl`, a line a run, and `runs/`, a folder of each in the product's form.

A line is written after its run's folder, so that a run with a line is whole. `brainseg-export --runs FOLDER/runs --run
deeplab-final` takes a run from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from brainseg_runtime.safe_io.files import make_folder, read_capped, write_text
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_train.data.split import Split
from brainseg_train.errors import RecordError

_MAX_BYTES = 64 << 20
"""Of the results; a run takes some 10 KiB."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A campaign's folder."""

    path: Path
    _lock: Lock = field(default_factory=Lock)

    @property
    def runs(self) -> Path:
        """The folder of the runs' folders."""
        return self.path / "runs"

    @property
    def _file(self) -> Path:
        return self.path / "results.jsonl"

    def save_split(self, split: Split) -> None:
        """Keep a run's split where export looks for it.

        Raises:
            FileWriteError: It could not be written.
        """
        splits = self.runs / "splits"
        make_folder(splits)
        split.save(splits / f"{split.digest}.json")

    def results(self) -> dict[str, dict[str, Any]]:
        """Each measured run's figures, by its name.

        Raises:
            RecordError: A line is not a JSON object with a job.
        """
        if not self._file.exists():
            return {}
        lines = read_capped(self._file, _MAX_BYTES, error=RecordError).splitlines()
        parsed = [parse(line, str(self._file), limit=_MAX_BYTES, error=RecordError) for line in lines]
        try:
            return {str(value["job"]): value for value in parsed}
        except (TypeError, KeyError) as error:
            raise RecordError(f"{self._file} has a line of another kind", expected="objects with a job") from error

    def add(self, figures: dict[str, Any]) -> None:
        """Add a run's figures; the file is written whole or not at all.

        Raises:
            FileWriteError: It could not be written.
        """
        with self._lock:
            found = self.results() | {figures["job"]: figures}
            write_text(self._file, "".join(json.dumps(line, allow_nan=False) + "\n" for line in found.values()))
