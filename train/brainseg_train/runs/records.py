"""A run's files for readers: `run.json`, its record; `history.jsonl`, one line an epoch; the same as `history.csv`.

Two runs of one configuration on one machine write the same records, wall-clock times aside: those stand under `timing`
and nowhere else. Each file is written whole or not at all, so that a reader beside a running training sees one state.
The CSV holds the same figures for spreadsheets and is never read back.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_train.config import TrainConfig
from brainseg_train.errors import RecordError

Status = Literal["running", "complete", "pruned", "interrupted", "failed"]
"""A run that says running and has no process was killed, and can be resumed."""

RECORD: Final = "run.json"
HISTORY: Final = "history.jsonl"
HISTORY_CSV: Final = "history.csv"

_NO_EPOCHS: Final = ("epoch", "rate", "train_loss", "gradient_norm", "slices")  # the head of a CSV without a line

_MAX_RECORD_BYTES: Final = 1 << 20  # a record takes about 4 KiB
_MAX_HISTORY_BYTES: Final = 64 << 20  # an epoch takes about 400 bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One line of `history.jsonl`."""

    epoch: int
    """Number of the epoch, from 1."""
    rate: float
    """Learning rate of its last step."""
    train_loss: float
    """Mean loss of its steps."""
    gradient_norm: float
    """Largest norm of a step's gradient, before clipping."""
    slices: int
    """Training slices that it used."""
    validation: dict[str, float]
    """`loss`; `dice`, the mean over patients of the volume's Dice, which selects; `dice_median`, `dice_min`, and
    `dice_pooled` over all pixels. All at the network's size, from the cache, at threshold 0.5."""
    timing: dict[str, float] = field(default_factory=dict)
    """`seconds` of the epoch, `validation_seconds` of that, `images_per_s` of its training steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The epoch whose weights are kept."""

    epoch: int
    """Number of the epoch, from 1."""
    validation: dict[str, float]
    """As in `EpochRecord`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """The record of one run, as in `run.json`."""

    id: str
    """The run's name: its folder's."""
    study: str | None = None
    """The study that it belongs to."""
    status: Status = "running"
    """How far it is, or how it ended."""
    stopped: str | None = None
    """Why it ended: `epochs`, `patience`, `pruned`, `interrupted`, or an error's text; None while it runs."""
    config: TrainConfig
    """What was asked for."""
    data_digest: str
    """Content digest of the data set."""
    split_digest: str
    """Digest of the split."""
    split_by: str
    """`patient`, or `slice` for the leaky comparison."""
    slices: dict[str, int]
    """Number of slices by subset: `train`, `validation`."""
    parameters: int
    """Trainable numbers of the network."""
    best: Best | None = None
    """The epoch whose weights are kept: the best so far by validation Dice, or the latest where the settings say so."""
    epochs: int = 0
    """Epochs finished."""
    initial: dict[str, Any] | None = None
    """Origin of the initial weights when they were not fresh: `run`, `epoch`, `sha256`."""
    precision: str
    """Arithmetic in use: fp32 or bf16."""
    device: str
    """Device in use."""
    threads: int
    """Threads of each process; results are reproducible for a given number."""
    processes: int = 1
    """Processes that trained together."""
    rng: str
    """How the seed of every random draw is derived."""
    versions: dict[str, str]
    """Versions of Python, this package and its libraries."""
    git: dict[str, Any] | None
    """`commit` and `dirty` of the source tree; None for an installed package."""
    hardware: dict[str, Any]
    """System, processor, instruction sets, cores, GPU."""
    resumed: tuple[dict[str, Any], ...] = ()
    """`versions` and `git` of processes that resumed the run, where they differ from the first one's."""
    timing: dict[str, float] = field(default_factory=dict)
    """`seconds` over all processes that worked on the run, `started` and `ended` as Unix time."""

    def to_json(self) -> dict[str, Any]:
        """Every field, with `model` and `seed` repeated at the top for readers that look for those alone."""
        value: dict[str, Any] = to_json(self)
        head = {key: value.pop(key) for key in ("id", "study", "status", "stopped")}
        model = {"name": self.config.model, "width": self.config.width}
        return {**head, "model": model, "seed": self.config.seed, **value}

    @classmethod
    def from_json(cls, value: object, where: str = RECORD) -> Self:
        """The record that `to_json` made.

        Raises:
            RecordError: A key is missing, unknown or of the wrong type.
            ConfigError: The configuration in it holds a value that is not allowed.
        """
        if not isinstance(value, dict):
            raise RecordError(f"{where} is not an object", expected="a JSON object", got=type(value).__name__)
        own = {key: item for key, item in value.items() if key not in {"model", "seed"}}
        return from_json(cls, own, where, error=RecordError)


def save_record(run_dir: Path, record: RunRecord) -> None:
    """Write `run.json`.

    Raises:
        FileWriteError: The file could not be written; the old record stands.
    """
    files.write_json(run_dir / RECORD, record.to_json())


def load_record(run_dir: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        RecordError: It is missing, damaged or not a record.
    """
    path = run_dir / RECORD
    data = files.read_capped(path, _MAX_RECORD_BYTES, error=RecordError)
    return RunRecord.from_json(parse(data, str(path), limit=_MAX_RECORD_BYTES, error=RecordError), str(path))


def save_history(run_dir: Path, history: Iterable[EpochRecord]) -> None:
    """Write `history.jsonl` anew, and `history.csv` from the same epochs.

    Raises:
        FileWriteError: A file could not be written; the old one stands.
    """
    epochs = [to_json(entry) for entry in history]
    files.write_text(run_dir / HISTORY, "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs))
    files.write_text(run_dir / HISTORY_CSV, _csv(epochs))


def _csv(epochs: Sequence[Mapping[str, Any]]) -> str:
    """The epochs as CSV (RFC 4180, but with plain line ends): a column for each figure, named by its path in the JSON.

    Numbers are written as in the JSON, to the last digit. A figure that an epoch lacks leaves its cell empty.
    """
    flat = [_flat(epoch) for epoch in epochs]
    columns = dict.fromkeys(column for epoch in flat for column in epoch) or dict.fromkeys(_NO_EPOCHS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([epoch.get(column, "") for column in columns] for epoch in flat)
    return text.getvalue()


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, `validation.dice` for `dice` of `validation`."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat


def load_history(run_dir: Path) -> tuple[EpochRecord, ...]:
    """Read `history.jsonl`, first epoch first; empty where no epoch has finished.

    Raises:
        RecordError: A line is damaged or not an epoch.
    """
    path = run_dir / HISTORY
    if not path.exists():
        return ()
    lines = files.read_capped(path, _MAX_HISTORY_BYTES, error=RecordError).splitlines()
    where = [f"{path} line {number}" for number in range(1, len(lines) + 1)]
    return tuple(
        from_json(EpochRecord, parse(line, place, limit=_MAX_RECORD_BYTES, error=RecordError), place, error=RecordError)
        for line, place in zip(lines, where, strict=True)
    )
