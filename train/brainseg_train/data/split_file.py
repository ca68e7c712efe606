"""A split that the user gives: our own JSON, a plain JSON of three lists, or a CSV of patients and subsets.

    {"train": ["TCGA_CS_4941_19960909", ...], "validation": [...], "test": [...]}

    patient,subset
    TCGA_CS_4941_19960909,train

`val` stands for validation too. Every patient of the data set is named once; what any split must hold (no person and no
pixels in two subsets) holds for these as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from brainseg_runtime.safe_io.files import read_capped
from brainseg_train.data.csv_table import read_columns
from brainseg_train.data.leakage import check_leakage, require_whole_persons
from brainseg_train.data.persons import PersonRule, several, some_of
from brainseg_train.data.split import SUBSETS, Split, SplitSource, Subset
from brainseg_train.errors import LeakageError, SplitError

_LIMIT: Final = 16 * 1024 * 1024
"""Bytes; 100,000 patients' names take 4 MiB."""

_BY_NAME: Final[Mapping[str, Subset]] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}

_FORMS: Final = (
    'a split of RUNS/splits, or {"train": [...], "validation": [...], "test": [...]}, or a CSV file with the columns '
    "patient and subset"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitFile:
    """What a split file says, before it is matched with the data set.

    Attributes:
        path: The file.
        subsets: Patients' names by subset, each name once.
        split: The split itself, where the file is one of ours.
    """

    path: Path
    subsets: Mapping[Subset, tuple[str, ...]]
    split: Split | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of any of the three forms.

        Raises:
            SplitError: It is missing or has another form, or names a patient twice or an unknown subset.
            LeakageError: A patient is in two subsets.
        """
        if path.suffix.casefold() == ".csv":
            rows = read_columns(path, ("patient", "subset"), error=SplitError)
            return cls(path=path, subsets=_by_subset(rows, path))
        try:
            value = json.loads(read_capped(path, _LIMIT, error=SplitError).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise SplitError(f"{path} is not JSON", expected=_FORMS, got=error) from error
        if isinstance(value, dict) and {"digest", "train"} <= set(value):
            split = Split.from_json(value, str(path))
            if split.leaky:
                raise SplitError(
                    f"{path} splits by slice", expected="a split by patient", got="a split by slice, which leaks",
                    remedy="use --split-by slice with the same --seed to make that split again",
                )  # fmt: skip
            return cls(path=path, subsets={subset: split.subset(subset) for subset in SUBSETS}, split=split)
        if not isinstance(value, dict) or not all(_is_names(names) for names in value.values()):
            raise SplitError(f"{path} is not a split", expected=_FORMS, got=_kind(value))
        return cls(path=path, subsets=_by_subset([(name, key) for key, names in value.items() for name in names], path))

    def for_dataset(self, dataset: SplitSource, *, rule: PersonRule, test: bool) -> Split:
        """The split of a data set that the file describes.

        Args:
            dataset: Whose patients the file names.
            rule: Whose a patient's folder is.
            test: Whether a test subset is wanted.

        Raises:
            SplitError: A patient is unknown or missing, a subset that is needed is empty, or there is a test subset
                that is not wanted.
            LeakageError: A person or identical slices are in two subsets; every one is named.
        """
        self._require_cover({patient.id for patient in dataset.patients})
        self._require_subsets(test=test)
        if self.split is not None and self.split.data_digest == dataset.digest and rule.text is None:
            split = self.split
        else:
            persons = rule.persons(patient.id for patient in dataset.patients)
            train, validation, tested = (tuple(sorted(self.subsets[subset])) for subset in SUBSETS)
            split = Split(
                train=train,
                validation=validation,
                test=tested,
                seed=0,
                data_digest=dataset.digest,
                person_from=rule.text,
                persons=several(persons),
                given=True,
            )
        require_whole_persons(split)
        check_leakage(split, dataset)
        return split

    def _require_cover(self, known: set[str]) -> None:
        listed = {name for names in self.subsets.values() for name in names}
        if unknown := sorted(listed - known):
            raise SplitError(
                f"{self.path} names patients that the data set does not have",
                expected="names of its patients' folders",
                got=some_of(unknown),
            )
        if missing := sorted(known - listed):
            raise SplitError(
                f"{self.path} leaves patients out",
                expected="every patient of the data set once",
                got=f"no subset for {some_of(missing)}",
                remedy="put them into a subset, or take their folders out of the data set",
            )

    def _require_subsets(self, *, test: bool) -> None:
        for subset in SUBSETS if test else SUBSETS[:2]:
            if not self.subsets[subset]:
                raise SplitError(
                    f"{self.path} has an empty subset",
                    expected="patients in train, validation and test",
                    got=f"none in {subset}",
                    remedy="fit --no-test trains without a test subset" if subset == "test" else None,
                )
        if not test and self.subsets["test"]:
            raise SplitError(
                f"{self.path} has a test subset",
                expected="none with --no-test",
                got=f"{len(self.subsets['test'])} patients",
                remedy="run without --no-test, or move these patients into train",
            )


def _by_subset(rows: Iterable[tuple[str, ...]], path: Path) -> dict[Subset, tuple[str, ...]]:
    """Patients by subset, from pairs of patient and subset."""
    pairs = [(name, subset) for name, subset in rows]
    strange = sorted({subset for _, subset in pairs if subset.casefold() not in _BY_NAME})
    if strange:
        raise SplitError(f"{path} names an unknown subset", expected="train, validation or test", got=some_of(strange))
    found: dict[Subset, list[str]] = {subset: [] for subset in SUBSETS}
    for name, subset in pairs:
        found[_BY_NAME[subset.casefold()]].append(name)
    for subset, names in found.items():
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise SplitError(f"{path} names patients twice in {subset}", expected="each once", got=some_of(twice))
    homes = Counter(name for names in found.values() for name in names)
    if shared := [name for name, count in homes.items() if count > 1]:
        where = "; ".join(
            f"{name}: " + ", ".join(subset for subset in SUBSETS if name in found[subset]) for name in shared[:5]
        )
        raise LeakageError(f"{path} has patients in two subsets", expected="each in one", got=where)
    return {subset: tuple(names) for subset, names in found.items()}


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _kind(value: object) -> str:
    """What the file holds instead of a split, for an error."""
    return f"an object of {', '.join(map(str, value))}"[:200] if isinstance(value, dict) else type(value).__name__
