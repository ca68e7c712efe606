"""Making a split: by patient into train, validation and test, into folds, or (leaky, for comparison) by slice.

Patients are put in order of site and, within a site, of tumour burden; the order is cut into as many runs of neighbours
as the test subset has patients, and each run gives one patient to the test subset and one to validation (or, for folds,
one to each fold). Every subset thus has its fraction of every site and of small and large tumours to within two
patients, which random drawing within site-by-burden classes cannot promise for classes of three or four patients. Who
of a run goes where is decided by SHA-256 of seed and name: the same seed gives the same split on every platform and
with every version of every library.

All folders of one person go to the same subset together, and so do patients who share a slice, pixel for pixel. Blank
slices (every channel a single value) say nothing about whose they are and do not count as shared.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from brainseg_train.data.leakage import check_leakage, shared_pixels
from brainseg_train.data.persons import PersonRule, several
from brainseg_train.data.split import SUBSETS, Split, SplitBy, SplitSource, Subset
from brainseg_train.errors import SplitError

FRACTION: Final = 0.15
"""Of the patients, to the test subset and as many to validation."""

RARE_SITE: Final = 7
"""A site with fewer patients is pooled with the other rare ones: 15 % of it would be less than one patient."""


def make_split(
    dataset: SplitSource,
    seed: int,
    *,
    split_by: SplitBy = "patient",
    test: bool = True,
    rule: PersonRule | None = None,
) -> Split:
    """Split 70/15/15, or 85/15 where nothing is to be tested.

    Args:
        dataset: What to split.
        seed: Any integer; the same gives the same split.
        split_by: "slice" reproduces the leaky split of much published code, and is marked so.
        test: False gives the test subset to training, for weights that ship after their recipe was judged; validation
            stays what it is with the same seed.
        rule: Whose a patient's folder is; that of `person_of` if not given.

    Raises:
        SplitError: Fewer than three persons (or slices), counting those who share pixels as one; or the rule names no
            person for some patient.
    """
    rule = rule or PersonRule()
    persons = rule.persons(patient.id for patient in dataset.patients) if split_by == "patient" else {}
    names = _ordered_groups(dataset, persons) if split_by == "patient" else [[ref.key] for ref in dataset.slices]
    if split_by == "slice":
        names = [names[position] for position in _shuffled(range(len(names)), names, seed)]
    if len(names) < len(SUBSETS):
        raise SplitError(
            f"the data set cannot be split by {split_by}",
            expected=f"at least {len(SUBSETS)} {'persons' if split_by == 'patient' else 'slices'} that share no pixels",
            got=len(names),
        )
    held_out = max(1, round(FRACTION * len(names)))
    subsets: dict[Subset, list[str]] = {subset: [] for subset in SUBSETS}
    for run in np.array_split(np.arange(len(names)), held_out):
        for rank, position in enumerate(_shuffled(run.tolist(), names, seed)):
            subsets["validation" if rank == 1 else "test" if rank == 0 and test else "train"] += names[position]
    split = Split(
        train=tuple(sorted(subsets["train"])),
        validation=tuple(sorted(subsets["validation"])),
        test=tuple(sorted(subsets["test"])),
        seed=seed,
        split_by=split_by,
        data_digest=dataset.digest,
        person_from=rule.text,
        persons=several(persons),
    )
    check_leakage(split, dataset)
    return split


def make_folds(dataset: SplitSource, k: int, seed: int, *, rule: PersonRule | None = None) -> tuple[Split, ...]:
    """Patient-wise cross-validation: fold i is the test subset, the next one validation, the rest train.

    Args:
        dataset: What to split.
        k: How many folds, at least 3.
        seed: Any integer; the same gives the same folds.
        rule: Whose a patient's folder is; that of `person_of` if not given.

    Returns:
        One split a fold; every patient is in exactly one test subset.

    Raises:
        SplitError: Fewer than 3 folds, or fewer persons than folds.
    """
    rule = rule or PersonRule()
    persons = rule.persons(patient.id for patient in dataset.patients)
    groups = _ordered_groups(dataset, persons)
    if not len(SUBSETS) <= k <= len(groups):
        raise SplitError(
            f"the data set cannot be split into {k} folds",
            expected=f"{len(SUBSETS)} to {len(groups)}, the persons who share no pixels",
            got=k,
        )
    folds: list[list[str]] = [[] for _ in range(k)]
    for start in range(0, len(groups), k):
        run = list(range(start, min(start + k, len(groups))))
        for rank, position in enumerate(_shuffled(run, groups, seed)):
            folds[rank] += groups[position]
    splits = []
    for fold in range(k):
        validation = (fold + 1) % k
        train = [name for i, names in enumerate(folds) if i not in (fold, validation) for name in names]
        split = Split(
            train=tuple(sorted(train)),
            validation=tuple(sorted(folds[validation])),
            test=tuple(sorted(folds[fold])),
            seed=seed,
            data_digest=dataset.digest,
            fold=fold,
            folds=k,
            person_from=rule.text,
            persons=several(persons),
        )
        check_leakage(split, dataset)
        splits.append(split)
    return tuple(splits)


def _ordered_groups(dataset: SplitSource, persons: dict[str, str]) -> list[list[str]]:
    """Patients in order of site and burden, those of one person or with shared pixels as one."""
    group_of = _group_of_patient(dataset, persons)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for patient, group in enumerate(group_of):
        members[group].append(patient)
    sites = _pooled_sites([patient.site for patient in dataset.patients])
    ordered: list[list[str]] = []
    for order, site in enumerate(sorted(set(sites))):
        here = [group for group, patients in members.items() if sites[patients[0]] == site]
        # Every second site from large to small, so that neighbours across two sites' border are alike too.
        here.sort(key=lambda group: (float(dataset.burden[group]), dataset.patients[group].id), reverse=order % 2 == 1)
        ordered += [[dataset.patients[patient].id for patient in members[group]] for group in here]
    return ordered


def _group_of_patient(dataset: SplitSource, persons: dict[str, str]) -> list[int]:
    """For each patient the first patient, by index, to whom the person or shared pixels lead."""
    ids = [patient.id for patient in dataset.patients]
    first_of: dict[str, int] = {}
    group = [first_of.setdefault(persons[name], index) for index, name in enumerate(ids)]
    for rows in shared_pixels(dataset):
        linked = {group[dataset.slices[row].patient] for row in rows}
        first = min(linked)
        group = [first if member in linked else member for member in group]
    return group


def _pooled_sites(sites: Sequence[str]) -> list[str]:
    """Sites' names, the rare ones replaced by one name that sorts after all."""
    counts = Counter(sites)
    return [site if counts[site] >= RARE_SITE else "~rare" for site in sites]


def _shuffled(positions: Iterable[int], names: Sequence[Sequence[str]], seed: int) -> list[int]:
    """Positions in the order of SHA-256 of seed and name."""
    return sorted(positions, key=lambda position: hashlib.sha256(f"{seed} {names[position][0]}".encode()).digest())
