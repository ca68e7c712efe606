"""Proof that a split leaks nothing: no patient, no person and no identical pixels in two subsets."""

from __future__ import annotations

from brainseg_train.data.persons import several
from brainseg_train.data.slices import duplicates_across_patients
from brainseg_train.data.split import SUBSETS, Split, SplitSource, names_of
from brainseg_train.errors import LeakageError, SplitError


def check_leakage(split: Split, dataset: SplitSource) -> None:
    """Prove that no patient, no person and no pixels lie in two subsets.

    A split by slice is leaky by nature and says so; of it only the slices themselves are checked, when it is made.

    Raises:
        LeakageError: Two subsets share a person or pixels; every shared slice is named.
        SplitError: The split is of another data set, or leaves out or invents a patient.
    """
    rows = {subset: split.indices(dataset, subset) for subset in SUBSETS}
    known, listed = (
        set(names_of(dataset, split.split_by)),
        {name for subset in SUBSETS for name in split.subset(subset)},
    )
    if known != listed:
        raise SplitError(
            "the split does not cover the data set",
            expected="every name once",
            got=f"missing {sorted(known - listed)}, unknown {sorted(listed - known)}",
        )
    if split.leaky:
        return
    require_whole_persons(split)
    subset_of_row = {int(row): subset for subset in SUBSETS for row in rows[subset]}
    shared = [group for group in shared_pixels(dataset) if len({subset_of_row[row] for row in group}) > 1]
    if shared:
        shown = "; ".join(
            " = ".join(f"{dataset.slices[row].key} ({subset_of_row[row]})" for row in group) for group in shared
        )
        raise LeakageError(f"identical pixels in two subsets: {shown}")


def require_whole_persons(split: Split) -> None:
    """Refuse a split by patient that has one person's folders in two subsets.

    Raises:
        LeakageError: There is such a person; every one is named.
    """
    subset_of = {name: subset for subset in SUBSETS for name in split.subset(subset)}
    torn = {
        person: names
        for person, names in several({name: split.person(name) for name in subset_of}).items()
        if len({subset_of[name] for name in names}) > 1
    }
    if torn:
        shown = "; ".join(
            f"{person}: " + ", ".join(f"{name} ({subset_of[name]})" for name in names) for person, names in torn.items()
        )
        raise LeakageError(
            f"one person in two subsets: {shown}",
            remedy="put all folders of a person into one subset; where the names mislead, say whose they are with "
            "--person-from",
        )


def shared_pixels(dataset: SplitSource) -> tuple[tuple[int, ...], ...]:
    """Rows of slices that are identical, pixel for pixel, and of more than one patient; blank slices aside."""
    digests = [digest.tobytes() for digest in dataset.image_digests]
    return duplicates_across_patients(dataset.slices, digests, dataset.blank.tolist())
