"""Which patients train, which choose the model, which are looked at once.

Patients are put in order of site and, within a site, of tumour burden; the order is cut into as many runs of neighbours
as the test part has patients, and each run gives one patient to the test part and one to validation (or, for folds, one
to each fold). Every part thus has its share of every site and of small and large tumours to within two patients,
which random drawing within site-by-burden classes cannot promise for classes of three or four patients. Who of a run
goes where is decided by SHA-256 of seed and name: the same seed gives the same split on every platform and with every
version of every library.

What the set calls a patient is one folder, one examination. All folders of one person go to the same part together
(`brainseg_train.data.persons` says whose a folder is), and so do patients who share a slice, pixel for pixel. Slices
that are blank (every channel a single value) say nothing about whose they are and do not count as shared.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import combinations
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images import Patient
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_train.data.persons import PersonRule, person_of, several
from brainseg_train.data.slices import SliceRef, duplicates_across_patients
from brainseg_train.errors import LeakageError, SplitError

SplitBy = Literal["patient", "slice"]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, Part, Part] = ("train", "validation", "test")

SHARE = 0.15
"""Of the patients, to the test part and as many to validation."""

RARE_SITE = 7
"""A site with fewer patients is pooled with the other rare ones: 15 % of it would be less than one patient."""

_LATER = frozenset({"person_from", "persons", "given"})
"""Fields that older splits lack: a split that does not use them has the digest that it always had."""

_LIMIT = 16 * 1024 * 1024
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
        """(patients,) share of tumour pixels."""

    @property
    def image_digests(self) -> NDArray[np.uint8]:
        """(N, 32) SHA-256 of each slice's pixels."""

    @property
    def blank(self) -> NDArray[np.bool_]:
        """(N,) whether a slice is blank."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Three parts of a data set that share nothing.

    The parts hold patients' names or, where `split_by` is "slice", slices' keys.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    split_by: SplitBy = "patient"
    data_digest: str
    """Of the data set that was split."""
    fold: int | None = None
    """Which fold is the test part, from 0, where this is one of several."""
    folds: int | None = None
    """Of how many."""
    person_from: str | None = None
    """What the user gave to find persons by; None where that is the form of the patients' names."""
    persons: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Those persons who have several patients' folders, with the folders' names."""
    given: bool = False
    """Whether a file that the user gave says who is in which part; the seed then has no meaning here."""

    def __post_init__(self) -> None:
        """Refuse what could not have come from a data set."""
        if self.split_by not in ("patient", "slice"):
            raise SplitError("split_by is not known", expected="patient or slice", got=repr(self.split_by))
        for first, second in combinations(PARTS, 2):
            shared = sorted(set(self.part(first)) & set(self.part(second)))
            if shared:
                raise LeakageError(f"{first} and {second} share {self.split_by} {', '.join(shared)}")

    @property
    def leaky(self) -> bool:
        """Whether slices of one patient may lie in two parts, so that scores mean nothing for new patients."""
        return self.split_by == "slice"

    @property
    def digest(self) -> str:
        """SHA-256 of everything this split holds, 64 hexadecimal digits; what is not used does not count."""
        unused = {name for name in _LATER if not getattr(self, name)}
        content = {name: value for name, value in asdict(self).items() if name not in unused}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def part(self, name: Part) -> tuple[str, ...]:
        """The names in one part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def person(self, patient: str) -> str:
        """Whose a patient's folder is, as this split was made."""
        for person, names in self.persons.items():
            if patient in names:
                return person
        return person_of(patient) if self.person_from is None else patient

    def indices(self, dataset: SplitSource, part: Part) -> NDArray[np.intp]:
        """Rows of the data set's arrays that belong to a part, ascending, whichever way the set was split.

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
        wanted = set(self.part(part))
        names = _names(dataset, self.split_by)
        return np.array([row for row, name in enumerate(names) if name in wanted], dtype=np.intp)

    def to_json(self) -> dict[str, object]:
        """Everything, and the digest."""
        return {**asdict(self), "leaky": self.leaky, "digest": self.digest}

    @classmethod
    def from_json(cls, value: object) -> Split:
        """The split that `to_json` gave.

        Raises:
            SplitError: Keys or types are wrong, or the digest is not that of the rest.
            LeakageError: Two parts share a name.
        """
        keys = {item.name for item in fields(cls)} | {"leaky", "digest"}
        if not isinstance(value, dict) or not keys - _LATER <= set(value) <= keys:
            got = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise SplitError("this is not a split", expected=sorted(keys), got=got)
        for part in PARTS:
            if not isinstance(value[part], (list, tuple)) or not all(isinstance(name, str) for name in value[part]):
                raise SplitError(f"the split's {part} is not a list of names", got=repr(value[part])[:80])
        for key in ("seed", "fold", "folds"):
            if type(value[key]) is not int and (key == "seed" or value[key] is not None):
                raise SplitError(f"the split's {key} is not a whole number", got=repr(value[key])[:80])
        split = cls(
            train=tuple(value["train"]),
            validation=tuple(value["validation"]),
            test=tuple(value["test"]),
            seed=value["seed"],
            split_by=value["split_by"],
            data_digest=value["data_digest"],
            fold=value["fold"],
            folds=value["folds"],
            person_from=value.get("person_from"),
            persons=_read_persons(value.get("persons", {})),
            given=value.get("given", False) is True,
        )
        if (split.digest, split.leaky) != (value["digest"], value["leaky"]):
            raise SplitError("the split was changed", expected=f"digest {value['digest']}", got=split.digest)
        return split

    def save(self, path: Path) -> None:
        """Write the split as JSON.

        Raises:
            FileWriteError: The system refused.
        """
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a split that `save` wrote.

        Raises:
            SplitError: The file is missing or no split, or was changed.
            LeakageError: Two parts share a name.
        """
        try:
            return cls.from_json(json.loads(read_capped(Path(path), _LIMIT, error=SplitError)))
        except (ValueError, RecursionError) as error:
            raise SplitError(f"{path} is not JSON", got=error) from error


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
        test: False gives the test part to training, for weights that ship after their recipe was judged; validation
            stays what it is with the same seed.
        rule: Whose a patient's folder is; that of `person_of` if not given.

    Raises:
        SplitError: Fewer than three persons (or slices), counting those who share pixels as one; or the rule names no
            person for some patient.
    """
    rule = rule or PersonRule()
    persons = _persons(dataset, rule) if split_by == "patient" else {}
    names = _ordered_groups(dataset, persons) if split_by == "patient" else [[ref.key] for ref in dataset.slices]
    if split_by == "slice":
        names = [names[position] for position in _shuffled(range(len(names)), names, seed)]
    if len(names) < len(PARTS):
        raise SplitError(
            f"the data set cannot be split by {split_by}",
            expected=f"at least {len(PARTS)} {'persons' if split_by == 'patient' else 'slices'} that share no pixels",
            got=len(names),
        )
    held_out = max(1, round(SHARE * len(names)))
    parts: dict[Part, list[str]] = {part: [] for part in PARTS}
    for run in np.array_split(np.arange(len(names)), held_out):
        for rank, position in enumerate(_shuffled(run.tolist(), names, seed)):
            parts["validation" if rank == 1 else "test" if rank == 0 and test else "train"] += names[position]
    train, validation, tested = (tuple(sorted(parts[part])) for part in PARTS)
    split = Split(
        train=train,
        validation=validation,
        test=tested,
        seed=seed,
        split_by=split_by,
        data_digest=dataset.digest,
        person_from=rule.text,
        persons=several(persons),
    )
    check_leakage(split, dataset)
    return split


def make_folds(dataset: SplitSource, k: int, seed: int, *, rule: PersonRule | None = None) -> tuple[Split, ...]:
    """Patient-wise cross-validation: fold i is the test part, the next one validation, the rest train.

    Args:
        dataset: What to split.
        k: How many folds, at least 3.
        seed: Any integer; the same gives the same folds.
        rule: Whose a patient's folder is; that of `person_of` if not given.

    Returns:
        One split a fold; every patient is in exactly one test part.

    Raises:
        SplitError: Fewer than 3 folds, or fewer persons than folds.
    """
    rule = rule or PersonRule()
    persons = _persons(dataset, rule)
    groups = _ordered_groups(dataset, persons)
    if not len(PARTS) <= k <= len(groups):
        raise SplitError(
            f"the data set cannot be split into {k} folds",
            expected=f"{len(PARTS)} to {len(groups)}, the persons who share no pixels",
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


def check_leakage(split: Split, dataset: SplitSource) -> None:
    """Prove that no patient, no person and no pixels lie in two parts.

    A split by slice is leaky by nature and says so; of it only the slices themselves are checked, when it is made.

    Args:
        split: What to check.
        dataset: The set that it splits.

    Raises:
        LeakageError: Two parts share a person or pixels; every shared slice is named.
        SplitError: The split is of another data set, or leaves out or invents a patient.
    """
    rows = {part: split.indices(dataset, part) for part in PARTS}
    known, listed = set(_names(dataset, split.split_by)), {name for part in PARTS for name in split.part(part)}
    if known != listed:
        raise SplitError(
            "the split does not cover the data set",
            expected="every name once",
            got=f"missing {sorted(known - listed)}, unknown {sorted(listed - known)}",
        )
    if split.leaky:
        return
    require_whole_persons(split)
    part_of_row = {int(row): part for part in PARTS for row in rows[part]}
    shared = [group for group in shared_pixels(dataset) if len({part_of_row[row] for row in group}) > 1]
    if shared:
        shown = "; ".join(
            " = ".join(f"{dataset.slices[row].key} ({part_of_row[row]})" for row in group) for group in shared
        )
        raise LeakageError(f"identical pixels in two parts: {shown}")


def require_whole_persons(split: Split) -> None:
    """Refuse a split by patient that has one person's folders in two parts.

    Raises:
        LeakageError: There is such a person; every one is named.
    """
    part_of = {name: part for part in PARTS for name in split.part(part)}
    torn = {
        person: names
        for person, names in several({name: split.person(name) for name in part_of}).items()
        if len({part_of[name] for name in names}) > 1
    }
    if torn:
        shown = "; ".join(
            f"{person}: " + ", ".join(f"{name} ({part_of[name]})" for name in names) for person, names in torn.items()
        )
        raise LeakageError(
            f"one person in two parts: {shown}",
            remedy="put all folders of a person into one part; where the names mislead, say whose they are with "
            "--person-from",
        )


def shared_pixels(dataset: SplitSource) -> tuple[tuple[int, ...], ...]:
    """Rows of slices that are identical, pixel for pixel, and of more than one patient; blank slices aside."""
    digests = [digest.tobytes() for digest in dataset.image_digests]
    return duplicates_across_patients(dataset.slices, digests, dataset.blank.tolist())


def _names(dataset: SplitSource, split_by: SplitBy) -> list[str]:
    """The name under which each slice is listed in a split."""
    if split_by == "slice":
        return [ref.key for ref in dataset.slices]
    return [dataset.patients[ref.patient].id for ref in dataset.slices]


def _persons(dataset: SplitSource, rule: PersonRule) -> dict[str, str]:
    """Each patient's person."""
    return rule.persons(patient.id for patient in dataset.patients)


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


def _read_persons(value: object) -> dict[str, tuple[str, ...]]:
    """Persons with several folders, from a split's JSON.

    Raises:
        SplitError: It is no object of lists of names.
    """
    lists = list(value.values()) if isinstance(value, dict) else [None]
    if not isinstance(value, dict) or not all(
        isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names) for names in lists
    ):
        raise SplitError("the split's persons are not lists of names", got=repr(value)[:80])
    return {str(person): tuple(names) for person, names in value.items()}
