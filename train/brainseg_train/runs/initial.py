"""Initial weights must not know the patients that are to judge them.

The run that the weights are of names its split, and the split's file lies beside the run: it says who trained it and
who chose its epoch. Nobody of those may be held out now, by person and not only by folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from brainseg_train.data.persons import some_of
from brainseg_train.data.split import PARTS, Part, Split
from brainseg_train.errors import LeakageError, SplitError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN_TO: Mapping[Part, tuple[Part, ...]] = {"validation": ("train",), "test": ("train", "validation")}
"""For each part that judges now, the parts of then whose patients the weights know."""


def require_unseen(initial: Path, data_digest: str, split_digest: str, split: Split) -> bool:
    """Refuse initial weights that were trained or chosen on somebody who is held out now.

    Args:
        initial: The run's folder, or its weights file.
        data_digest: Of the data set that the weights were trained on.
        split_digest: Of the split that they were trained on.
        split: The split that they are to be trained on now.

    Returns:
        Whether that could be checked: False where the old split's file is gone and the data set was another one.

    Raises:
        LeakageError: Somebody who is held out now was seen then; or the data set is the same, the split is not, and
            the old one's file is gone.
    """
    if split_digest == split.digest:
        return True
    path = (initial if initial.is_dir() else initial.parent).parent / "splits" / f"{split_digest}.json"
    try:
        before = Split.load(path)
    except SplitError as error:
        if data_digest != split.data_digest:
            return False
        raise LeakageError(
            "the initial weights were trained on another split of the same data",
            expected=f"split {split.digest[:12]}, or the old split's file, which says who was seen",
            got=f"split {split_digest[:12]}, and no file {path}",
            remedy="start from a run of this split, that is with the same --seed and --test, or afresh",
        ) from error
    if before.leaky or split.leaky:
        _require_same_set(before, split)
        return True
    known = {part: _Known.of(part, before, split) for part in PARTS}
    seen = {
        f"{name} ({now} now, {then} then)": None
        for now, parts in _KNOWN_TO.items()
        for name in split.part(now)
        for then in [part for part in parts if known[part].has(name, split.person(name))][:1]
    }
    if seen:
        raise LeakageError(
            "the initial weights have seen patients that are held out now",
            expected="nobody of validation and test among those who trained them, nobody of test among those who chose "
            "their epoch",
            got=some_of(seen),
            remedy="start from a run that has not seen them, such as one of the same --seed, or afresh",
        )
    return True


@dataclass(frozen=True, slots=True)
class _Known:
    """Patients of a part of the old split, and their persons by the rules of then and of now."""

    patients: frozenset[str]
    persons: frozenset[str]

    @classmethod
    def of(cls, part: Part, before: Split, now: Split) -> Self:
        """Those of one part."""
        names = before.part(part)
        return cls(frozenset(names), frozenset(rule.person(name) for rule in (before, now) for name in names))

    def has(self, patient: str, person: str) -> bool:
        """Whether a patient, or another folder of the same person, is among them."""
        return patient in self.patients or person in self.persons


def _require_same_set(before: Split, now: Split) -> None:
    """A split by slice puts every patient into every part: only another data set's weights know nobody."""
    if before.data_digest == now.data_digest:
        raise LeakageError(
            "the initial weights were trained on another split of the same data",
            expected=f"split {now.digest[:12]}",
            got=f"split {before.digest[:12]}; one of the two is by slice, so that every patient was seen",
            remedy="start from a run of this very split, or afresh",
        )
