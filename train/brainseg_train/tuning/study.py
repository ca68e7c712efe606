"""A study on disk: what was asked for, where its runs are, and which of them were selected.

    RUNS/splits/<digest>.json           each split that a study used
    RUNS/data/<digest>.json             a digest of each slice of a data set that a study used
    RUNS/studies/<id>/study.json        the record, written when the study begins and again when it is complete
    RUNS/studies/<id>/journal.log       Optuna's journal of its trials
    RUNS/studies/<id>/test/             what the one look at the test part saw
    RUNS/<study>-<unit>-<trial>/        the runs

A unit is one network on one split; there are several splits only in cross-validation.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_runtime.safe_io.typed_json import from_json
from brainseg_train.config import TrainConfig
from brainseg_train.data.source import DataSource
from brainseg_train.data.split import Split
from brainseg_train.errors import RecordError, StudyError
from brainseg_train.runs import records
from brainseg_train.runs.records import RunRecord
from brainseg_train.tuning.search import Search, Tuner

STUDY: Final = "study.json"

Kind = Literal["all", "fit"]

_MAX_BYTES: Final = 4 << 20  # a record takes some 10 KiB


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One network on one split of the study.

    Attributes:
        model: The network's name.
        fold: Index into the study's splits.
        name: What its trials are called.
    """

    model: str
    fold: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRequest:
    """What a study is asked to do; two studies with equal requests do the same work."""

    kind: Kind
    """`all` compares networks and looks at the test part; `fit` trains one."""
    models: tuple[str, ...]
    """Networks, in the order in which they are trained."""
    preset: str
    """Where the configurations came from: paper or quick."""
    seed: int
    """Of the split, the search and every run."""
    data_digest: str
    """Content digest of the data set."""
    split_by: Literal["patient", "slice"]
    """`slice` for the leaky comparison."""
    splits: tuple[str, ...]
    """Digest of each split: one, or one a fold."""
    search: Search
    """What is tried for each network."""
    baseline: float
    """Validation Dice in [0, 1] of the best single threshold on FLAIR: what no network should fall short of."""
    configs: dict[str, TrainConfig]
    """For each network what the search starts from."""

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the request as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def units(self) -> tuple[Unit, ...]:
        """Every network on every split, network by network."""
        several = len(self.splits) > 1
        return tuple(
            Unit(model=model, fold=fold, name=f"{model}-fold{fold + 1}" if several else model)
            for model in self.models
            for fold in range(len(self.splits))
        )

    @property
    def leaky(self) -> bool:
        """Whether slices of one patient lie in several parts, so that scores mean nothing for new patients."""
        return self.split_by == "slice"


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecord:
    """Everything there is to say about one study, as `study.json` holds it."""

    id: str
    """The study's name: its folder's. Sorts by time."""
    status: Literal["running", "complete"] = "running"
    """A study that says running and has no process was interrupted, and can go on."""
    data: str
    """The data set's folder when the study began."""
    source: DataSource | None = None
    """What was stated then about where the data comes from; None where nothing was."""
    threads: int
    """Threads of each training process; a run's bits depend on it."""
    tensorboard: bool = False
    """Whether each run keeps a TensorBoard event file."""
    request: StudyRequest
    """What was asked for."""
    runs: tuple[str, ...] = ()
    """Every run, in order, once the study is complete."""
    selected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each network the run with the best validation Dice, one a split, once the study is complete."""
    timing: dict[str, float] = field(default_factory=dict)
    """`started` and `ended` as Unix time, `seconds` of the processes that led it."""

    @property
    def split_digest(self) -> str:
        """The split's digest; in cross-validation a digest of all splits' digests."""
        splits = self.request.splits
        return splits[0] if len(splits) == 1 else hashlib.sha256(" ".join(splits).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Every field; what a reader looks for first stands at the top again."""
        request = self.request
        head = {
            "id": self.id,
            "kind": request.kind,
            "status": self.status,
            "models": list(request.models),
            "preset": request.preset,
            "seed": request.seed,
            "split_by": request.split_by,
            "leaky": request.leaky,
            "data_digest": request.data_digest,
            "split_digest": self.split_digest,
        }
        rest = dataclasses.asdict(self)
        return {**head, **{key: value for key, value in rest.items() if key not in head}}

    @classmethod
    def from_json(cls, value: object, where: str = STUDY) -> Self:
        """The record that `to_json` made.

        Raises:
            RecordError: A key is missing, unknown or of the wrong type.
        """
        if not isinstance(value, dict):
            raise RecordError(f"{where} is no study", expected="a JSON object", got=type(value).__name__)
        repeated = {"kind", "models", "preset", "seed", "split_by", "leaky", "data_digest", "split_digest"}
        return from_json(
            cls, {key: item for key, item in value.items() if key not in repeated}, where, error=RecordError
        )


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
        """What the look at the test part left."""
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
        """The records of a unit's runs by trial, those that have begun.

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

    Args:
        runs: The folder of runs, made where it is not there.
        request: What is asked for.
        splits: The splits that the request names.
        data: The data set's folder.
        threads: Threads of each training process.
        tensorboard: Whether each run keeps a TensorBoard event file.
        source: What is stated about where the data comes from.

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
        request: Only studies that were asked for exactly this.
        kind: Only studies of this kind.
        complete: Only complete ones, or only unfinished ones.
        besides: Not the study of this name.

    Raises:
        RecordError: A newer study's record is damaged.
    """
    for path in sorted((runs / "studies").glob(f"*/{STUDY}"), reverse=True):
        study = load(runs, path.parent.name)
        if (
            (request is None or study.request.digest == request.digest)
            and (kind is None or study.request.kind == kind)
            and study.record.id != besides
            and (complete is None or (study.record.status == "complete") == complete)
        ):
            return study
    return None


def newest_complete(runs: Path, study_id: str | None = None) -> Study:
    """The study that a report is made of.

    Args:
        runs: The folder of runs.
        study_id: Its name; the newest complete comparison without one.

    Raises:
        StudyError: There is none, or the one named is not complete.
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
