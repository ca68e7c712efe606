"""A study on disk: its folder, its runs, and how studies are begun and found.

RUNS/splits/<digest>.json           each split that a study used
RUNS/data/<digest>.json             a digest of each slice of a data set that a study used
RUNS/studies/<id>/study.json        the record, written when the study begins and again when it is complete
RUNS/studies/<id>/journal.log       Optuna's journal of its trials
RUNS/studies/<id>/test/             what the one measurement on the test subset found
RUNS/<study>-<unit>-<trial>/        the runs
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_train.data.source import DataSource
from brainseg_train.data.split import Split
from brainseg_train.errors import RecordError, StudyError
from brainseg_train.runs import records
from brainseg_train.runs.records import RunRecord
from brainseg_train.tuning.study_record import Kind, StudyRecord, StudyRequest, Unit
from brainseg_train.tuning.tuner import Tuner

STUDY: Final = "study.json"

_MAX_BYTES: Final = 4 << 20  # a record takes some 10 KiB


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A study's record together with the folder of runs that it lies in.

    Attributes:
        runs: The folder of runs.
        record: The record.
    """

    runs: Path
    record: StudyRecord

    @property
    def folder(self) -> Path:
        """Where the study's own files are."""
        return study_folder(self.runs, self.record.id)

    @property
    def request(self) -> StudyRequest:
        """What was asked for."""
        return self.record.request

    @property
    def test_folder(self) -> Path:
        """Where the measurement on the test subset is kept."""
        return self.folder / "test"

    def run_dir(self, unit: Unit, trial: int) -> Path:
        """The folder of a trial's run."""
        return self.runs / f"{self.record.id}-{unit.name}-{trial:02d}"

    def tuner(self, unit: Unit) -> Tuner:
        """The Optuna study of a unit."""
        locks = self.folder / "locks"
        return Tuner(
            folder=self.folder,
            name=unit.name,
            search=self.request.search,
            seed=self.request.seed,
            lock_of=lambda trial: locks / f"{unit.name}-{trial:02d}",
        )

    def split(self, fold: int = 0) -> Split:
        """One of the study's splits.

        Raises:
            SplitError: Its file is missing or was changed.
        """
        return Split.load(split_path(self.runs, self.request.splits[fold]))

    def run_records(self, unit: Unit) -> dict[int, RunRecord]:
        """The records of a unit's runs by trial; trials that have not started are left out.

        Raises:
            RecordError: One is damaged.
        """
        directories = ((trial, self.run_dir(unit, trial)) for trial in range(self.request.search.trials))
        return {trial: records.load_record(path) for trial, path in directories if (path / records.RECORD).exists()}

    def save(self) -> None:
        """Write `study.json`.

        Raises:
            FileWriteError: The system refused.
        """
        files.write_json(self.folder / STUDY, self.record.to_json())

    def with_record(self, record: StudyRecord) -> Study:
        """The same study with another record."""
        return dataclasses.replace(self, record=record)


def begin(
    runs: Path,
    request: StudyRequest,
    splits: tuple[Split, ...],
    *,
    data: Path,
    threads: int,
    tensorboard: bool = False,
    source: DataSource | None = None,
) -> Study:
    """Make a new study's folder.

    Raises:
        FileWriteError: The system refused.
    """
    for split in splits:
        path = split_path(runs, split.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        split.save(path)
    folder = _new_folder(runs, request)
    record = StudyRecord(
        id=folder.name,
        data=str(data.resolve()),
        source=source or None,
        threads=threads,
        tensorboard=tensorboard,
        request=request,
        timing={"started": time.time()},
    )
    study = Study(runs=runs, record=record)
    study.save()
    return study


def load(runs: Path, study_id: str) -> Study:
    """A study by its name.

    Raises:
        RecordError: Its record is missing, damaged or not one.
    """
    path = study_folder(runs, study_id) / STUDY
    data = files.read_capped(path, _MAX_BYTES, error=RecordError)
    value = parse(data, str(path), limit=_MAX_BYTES, error=RecordError)
    return Study(runs=runs, record=StudyRecord.from_json(value, str(path)))


def newest_first(runs: Path) -> Iterator[Study]:
    """Every study in a folder of runs, read one by one.

    Raises:
        RecordError: A study's record is damaged.
    """
    for path in sorted((runs / "studies").glob(f"*/{STUDY}"), reverse=True):
        yield load(runs, path.parent.name)


def newest(
    runs: Path,
    *,
    request: StudyRequest | None = None,
    kind: Kind | None = None,
    complete: bool | None = None,
    besides: str | None = None,
) -> Study | None:
    """The newest study that matches, or None.

    Args:
        runs: The folder of runs.
        request: Only studies with exactly this request.
        kind: Only studies of this kind.
        complete: True for complete ones alone, False for unfinished ones alone.
        besides: Name of a study to leave out.

    Raises:
        RecordError: A newer study's record is damaged.
    """
    for study in newest_first(runs):
        if (
            (request is None or study.request.digest == request.digest)
            and (kind is None or study.request.kind == kind)
            and study.record.id != besides
            and (complete is None or (study.record.status == "complete") == complete)
        ):
            return study
    return None


def newest_complete(runs: Path, study_id: str | None = None) -> Study:
    """The study to make a report of.

    Args:
        runs: The folder of runs.
        study_id: Its name; the newest complete comparison without one.

    Raises:
        StudyError: No study is complete, or the one named is not.
        RecordError: A record is damaged.
    """
    study = load(runs, study_id) if study_id else newest(runs, kind="all", complete=True)
    if study is None:
        raise StudyError(
            f"{runs} holds no complete study",
            expected="one that `brainseg-train all` finished",
            got="none",
            remedy="run `brainseg-train all`, with --resume if it was interrupted",
        )
    if study.record.status != "complete":
        raise StudyError(
            f"study {study.record.id} is not complete", remedy="repeat its command with --resume, then report again"
        )
    return study


def study_folder(runs: Path, study_id: str) -> Path:
    """Where a study's own files are."""
    return runs / "studies" / study_id


def split_path(runs: Path, digest: str) -> Path:
    """Where a split is kept."""
    return runs / "splits" / f"{digest}.json"


def _new_folder(runs: Path, request: StudyRequest) -> Path:
    """An empty folder whose name begins with the time, so that names sort by it."""
    stem = f"{datetime.now(tz=UTC):%Y%m%d-%H%M%S}-{request.digest[:8]}"
    for name in (stem, *(f"{stem}-{count}" for count in range(2, 1000))):
        folder = study_folder(runs, name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise StudyError("too many studies began in one second", expected="at most 999", got="more")
