"""Checks that initial weights have not seen the patients they are now validated or tested on.

The run that the weights come from names its split, and the split's file lies beside the run: it says who trained it and
who chose its epoch. None of those persons may be held out now, whichever of their folders is meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_train.data.persons import some_of
from brainseg_train.data.split import SUBSETS, Split, Subset
from brainseg_train.errors import LeakageError, SplitError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN_TO: Mapping[Subset, tuple[Subset, ...]] = {"validation": ("train",), "test": ("train", "validation")}
"""For each subset that is held out now, the old subsets whose patients the weights have seen."""


def require_unseen(initial: Path, data_digest: str, split_digest: str, split: Split) -> bool:
    """Refuse initial weights that were trained or chosen on a patient who is held out now.

    Args:
        initial: The run's folder, or its weights file.
        data_digest: Of the data set that the weights were trained on.
        split_digest: Of the split that they were trained on.
        split: The split that they are to be trained on now.

    Returns:
        Whether that could be checked: False where the old split's file is gone and the data set was another one.

    Raises:
        LeakageError: A patient who is held out now was seen then; or the data set is the same, the split is not, and
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
    names = {subset: before.subset(subset) for subset in SUBSETS}
    persons = {subset: {rule.person(name) for rule in (before, split) for name in names[subset]} for subset in SUBSETS}
    seen = {
        f"{name} ({now} now, {then} then)": None
        for now, subsets in _KNOWN_TO.items()
        for name in split.subset(now)
        for then in [one for one in subsets if name in names[one] or split.person(name) in persons[one]][:1]
    }
    if seen:
        raise LeakageError(
            "the initial weights have seen patients that are held out now",
            expected="no validation or test patient among those who trained them, no test patient among those who "
            "chose their epoch",
            got=some_of(seen),
            remedy="start from a run that has not seen them, such as one of the same --seed, or afresh",
        )
    return True


def _require_same_set(before: Split, now: Split) -> None:
    """A split by slice puts every patient into every subset: only weights of another data set have seen nobody."""
    if before.data_digest == now.data_digest:
        raise LeakageError(
            "the initial weights were trained on another split of the same data",
            expected=f"split {now.digest[:12]}",
            got=f"split {before.digest[:12]}; one of the two is by slice, so that every patient was seen",
            remedy="start from a run of this very split, or afresh",
        )
