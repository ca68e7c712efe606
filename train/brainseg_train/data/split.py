"""A split: which patients train, which choose the model, which are measured once. `splitting` makes one.

What the set calls a patient is one folder, one examination. A split keeps all folders of one person in the same subset
(`brainseg_train.data.persons` finds the person of a folder), and says so about those who have several.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images import Patient
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_runtime.safe_io.strict_json import Json, parse
from brainseg_runtime.safe_io.typed_json import check, from_json, to_json
from brainseg_train.data.persons import person_of
from brainseg_train.data.slices import SliceRef
from brainseg_train.errors import LeakageError, SplitError

SplitBy = Literal["patient", "slice"]
Subset = Literal["train", "validation", "test"]
SUBSETS: Final[tuple[Subset, Subset, Subset]] = ("train", "validation", "test")

_LATER: Final = frozenset({"person_from", "persons", "given"})
"""Fields that older splits lack: a split that does not use them has the digest that it always had."""

_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a split's file; 100,000 slices' names need 4 MiB."""


class SplitSource(Protocol):
    """What of a data set a split is made from; `DataSet` has it all."""

    @property
    def patients(self) -> Sequence[Patient]:
        """Patients, in order of name."""

    @property
    def slices(self) -> Sequence[SliceRef]:
        """Slices, in order of patient and number."""

    @property
    def digest(self) -> str:
        """SHA-256 of the set's content."""

    @property
    def burden(self) -> NDArray[np.float64]:
        """(patients,) fraction of tumour pixels."""

    @property
    def image_digests(self) -> NDArray[np.uint8]:
        """(N, 32) SHA-256 of each slice's pixels."""

    @property
    def blank(self) -> NDArray[np.bool_]:
        """(N,) whether a slice is blank."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Three subsets of a data set that share nothing.

    They hold patients' names or, where `split_by` is "slice", slices' keys.

    Examples:
        >>> split = Split(train=("a", "b"), validation=("c",), test=("d",), seed=0, data_digest="0" * 64)
        >>> split.subset("validation"), split.leaky
        (('c',), False)
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    split_by: SplitBy = "patient"
    data_digest: str
    """Of the data set that was split."""
    fold: int | None = None
    """Which fold is the test subset, from 0, where this is one of several."""
    folds: int | None = None
    """How many folds there are."""
    person_from: str | None = None
    """What the user gave to find persons by; None where that is the form of the patients' names."""
    persons: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Those persons who have several patients' folders, with the folders' names."""
    given: bool = False
    """Whether the split comes from a file that the user gave; the seed then has no meaning."""

    def __post_init__(self) -> None:
        """Refuse subsets that share a name."""
        check(self, "the split", error=SplitError)
        for first, second in combinations(SUBSETS, 2):
            shared = sorted(set(self.subset(first)) & set(self.subset(second)))
            if shared:
                raise LeakageError(f"{first} and {second} share {self.split_by} {', '.join(shared)}")

    @property
    def leaky(self) -> bool:
        """Whether slices of one patient may lie in two subsets, so that scores mean nothing for new patients."""
        return self.split_by == "slice"

    @property
    def digest(self) -> str:
        """SHA-256 of everything this split holds, 64 hexadecimal digits; what is not used does not count."""
        unused = {name for name in _LATER if not getattr(self, name)}
        content = {name: value for name, value in to_json(self).items() if name not in unused}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def subset(self, name: Subset) -> tuple[str, ...]:
        """The names in one subset."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def person(self, patient: str) -> str:
        """The person of a patient's folder, by the rule this split was made with."""
        for person, names in self.persons.items():
            if patient in names:
                return person
        return person_of(patient) if self.person_from is None else patient

    def indices(self, dataset: SplitSource, subset: Subset) -> NDArray[np.intp]:
        """Rows of the data set's arrays that belong to a subset, ascending, whichever way the set was split.

        Raises:
            SplitError: The split was made for another data set.
        """
        if dataset.digest != self.data_digest:
            raise SplitError(
                "the split is of another data set",
                expected=self.data_digest,
                got=dataset.digest,
                remedy="make a new split, or name the data set that this one was made for",
            )
        wanted = set(self.subset(subset))
        names = names_of(dataset, self.split_by)
        return np.array([row for row, name in enumerate(names) if name in wanted], dtype=np.intp)

    def to_json(self) -> dict[str, Any]:
        """Every field, and what follows from them: `leaky` and `digest`."""
        return {**to_json(self), "leaky": self.leaky, "digest": self.digest}

    @classmethod
    def from_json(cls, value: Json | dict[str, Any], where: str = "the split") -> Split:
        """The split that `to_json` gave.

        Raises:
            SplitError: A key or type is wrong, or the digest is not that of the rest.
            LeakageError: Two subsets share a name.
        """
        if not isinstance(value, dict) or not {"leaky", "digest"} <= set(value):
            raise SplitError(f"{where} is not a split", expected="a file of RUNS/splits", got=type(value).__name__)
        own = {key: item for key, item in value.items() if key not in {"leaky", "digest"}}
        split = from_json(cls, own, where, error=SplitError)
        if (split.digest, split.leaky) != (value["digest"], value["leaky"]):
            raise SplitError(f"{where} was changed", expected=f"digest {value['digest']}", got=split.digest)
        return split

    def save(self, path: Path) -> None:
        """Write the split as JSON.

        Raises:
            FileWriteError: The file could not be written.
        """
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a split that `save` wrote.

        Raises:
            SplitError: The file is missing, is not a split, or was changed.
            LeakageError: Two subsets share a name.
        """
        data = read_capped(Path(path), _LIMIT, error=SplitError)
        return cls.from_json(parse(data, str(path), limit=_LIMIT, error=SplitError), str(path))


def names_of(dataset: SplitSource, split_by: SplitBy) -> list[str]:
    """The name under which each slice is listed in a split."""
    if split_by == "slice":
        return [ref.key for ref in dataset.slices]
    return [dataset.patients[ref.patient].id for ref in dataset.slices]
