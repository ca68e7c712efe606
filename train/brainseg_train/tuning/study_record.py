"""A study's request, and its record as in `study.json`.

A unit is one network on one split; there are several splits only in cross-validation.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Self

from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_train.config import TrainConfig
from brainseg_train.data.source import DataSource
from brainseg_train.errors import RecordError
from brainseg_train.tuning.search import Search

Kind = Literal["all", "fit"]

_REPEATED: Final = frozenset({"kind", "models", "preset", "seed", "split_by", "leaky", "data_digest", "split_digest"})
"""Keys at the top of a record that follow from the rest."""


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
    """A study's request; studies with equal requests do the same work."""

    kind: Kind
    """`all` compares networks and measures them on the test subset; `fit` trains one."""
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
        return hashlib.sha256(json.dumps(to_json(self), sort_keys=True).encode()).hexdigest()

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
        """Whether slices of one patient lie in several subsets, so that scores mean nothing for new patients."""
        return self.split_by == "slice"


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecord:
    """The record of one study, as in `study.json`."""

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
        """Every field; what a reader looks for first is repeated at the top."""
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
        source = None if self.source is None else asdict(self.source)
        return {**head, **{key: value for key, value in to_json(self).items() if key not in head}, "source": source}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """The record that `to_json` made.

        Raises:
            RecordError: A key is missing, unknown or of the wrong type.
        """
        if not isinstance(value, dict):
            raise RecordError(f"{where} is not a study record", expected="a JSON object", got=type(value).__name__)
        own = {key: item for key, item in value.items() if key not in _REPEATED}
        return from_json(cls, own, where, error=RecordError)
