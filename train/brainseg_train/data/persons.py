"""The person of a patient folder: one person examined on two dates has two folders, which must stay in one subset.

In a name like `TCGA_CS_4941_19960909` the date is the examination's, so `TCGA_CS_4941` names the person. Any other name
is the person's as a whole, unless the user says how to find the person in it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from brainseg_runtime.images.dataset import person_of
from brainseg_runtime.problems import first_few
from brainseg_train.data.csv_table import read_columns
from brainseg_train.errors import ConfigError, SplitError

__all__ = ["PersonRule", "person_of", "several", "some_of"]

_SHOWN: Final = 5
"""Names that an error lists before it only counts the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonRule:
    """How persons are found in the names of patients' folders.

    Attributes:
        text: What the user gave: a regular expression, or the name of a CSV file; None for `person_of`.
        pattern: The expression, whose only group is the person.
        table: Person by patient, as the CSV file has it.

    Examples:
        >>> PersonRule().persons(["TCGA_CS_4941_19960909"])
        {'TCGA_CS_4941_19960909': 'TCGA_CS_4941'}
        >>> PersonRule.read("(sub-[0-9]+)").persons(["sub-01_ses-1", "sub-01_ses-2"])
        {'sub-01_ses-1': 'sub-01', 'sub-01_ses-2': 'sub-01'}
    """

    text: str | None = None
    pattern: re.Pattern[str] | None = None
    table: Mapping[str, str] | None = None

    @classmethod
    def read(cls, text: str | None) -> Self:
        """The rule that `--person-from` names.

        Args:
            text: A regular expression with one group, or a CSV file with the columns `patient` and `person`; None for
                the rule of `person_of`.

        Raises:
            ConfigError: It is not an expression with one group, or the file cannot be read.
        """
        if text is None:
            return cls()
        if text.casefold().endswith(".csv"):
            rows = read_columns(Path(text), ("patient", "person"), error=ConfigError)
            counts = Counter(patient for patient, _ in rows)
            if repeated := [patient for patient, count in counts.items() if count > 1]:
                raise ConfigError(f"{text} names patients twice", expected="each once", got=some_of(repeated))
            return cls(text=Path(text).name, table=MappingProxyType({row[0]: row[1] for row in rows}))
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise ConfigError(
                "--person-from is not a regular expression",
                expected="one with a group, such as '(sub-[0-9]+)'",
                got=error,
            ) from error
        if pattern.groups != 1:
            raise ConfigError(
                "--person-from must have one group, which is the person",
                expected="one pair of parentheses, such as '(sub-[0-9]+)'",
                got=f"{pattern.groups} in {text}",
            )
        return cls(text=text, pattern=pattern)

    def persons(self, names: Iterable[str]) -> dict[str, str]:
        """Each patient's person.

        Raises:
            SplitError: The expression does not match a name, or the file does not list it.
        """
        found = {name: self._person(name) for name in names}
        if lost := [name for name, person in found.items() if person is None]:
            raise SplitError(
                "--person-from finds no person for some patients",
                expected="a person for each of them",
                got=f"none for {some_of(lost)}",
                remedy="let the expression match them, or list them in the file",
            )
        return {name: person for name, person in found.items() if person is not None}

    def _person(self, name: str) -> str | None:
        if self.table is not None:
            return self.table.get(name) or None
        if self.pattern is None:
            return person_of(name)
        match = self.pattern.search(name)
        return (match[1] or None) if match else None


def several(persons: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The persons who have more than one patient folder, with the folders' names; both in order.

    Examples:
        >>> several({"a_1": "a", "a_2": "a", "b_1": "b"})
        {'a': ('a_1', 'a_2')}
    """
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, person in persons.items():
        names[person].append(name)
    return {person: tuple(sorted(names[person])) for person in sorted(names) if len(names[person]) > 1}


def some_of(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    return first_few(names, few=_SHOWN)
