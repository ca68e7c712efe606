"""Problems of files and folders, one a file, and how a long list of them is told: a line for each kind.

A set of thousands of slices that lacks its masks has thousands of equal problems. All of them stay on record; what is
shown is their number, their kind and the first few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

FEW: Final = 3
"""Names shown of a kind of problem that many files have."""

KINDS: Final = 20
"""Kinds shown of one list: more than the finder and the readers tell apart, so that nothing usual is cut."""

SHORT: Final = 40
"""Characters of a detail that are shown beside a name among others."""

ALONE: Final = 2
"""As many problems of a kind are shown as they are, in full."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one file or folder.

    Attributes:
        where: The file or folder.
        kind: What is wrong, in words that are the same for every file of which it is true.
        detail: What is told of this file alone, such as the values that were found.
    """

    where: str
    kind: str
    detail: str = ""

    def __str__(self) -> str:
        """The whole problem in one line."""
        return f"{self.where}{'' if self.kind.startswith(':') else ' '}{self.kind}{self.detail}"


def printable(text: str) -> str:
    """A line for a terminal, whatever a file's name holds: control characters and broken text are escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def grouped(problems: Sequence[Problem | str]) -> tuple[str, ...]:
    """A list of problems as lines to show: one for each kind, in the order in which the kinds first appear.

    Args:
        problems: All of them; plain text is a kind of its own.

    Returns:
        Lines without bullets. Up to `ALONE` problems of a kind come in full; of more, the count and the first names.
    """
    kinds: dict[str, list[Problem | str]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind if isinstance(problem, Problem) else problem, []).append(problem)
    lines: list[str] = []
    for members in list(kinds.values())[:KINDS]:
        lines += map(str, members) if len(members) <= ALONE else [_line(members)]
    if hidden := list(kinds.values())[KINDS:]:
        lines.append(f"{sum(map(len, hidden))} more, of {len(hidden)} other kinds")
    return tuple(lines)


def first_few(names: Iterable[str], *, few: int = FEW) -> str:
    """The first names, and how many more there are."""
    known = list(names)
    more = len(known) - few
    return ", ".join(known[:few]) + (f" and {more} more" if more > 0 else "")


def _line(members: Sequence[Problem | str]) -> str:
    """Many problems of one kind; what all of them detail alike is told once, what is long and differs not at all."""
    first = members[0]
    if isinstance(first, str):
        return f"{len(members)} × {first}"
    known = [one for one in members if isinstance(one, Problem)]
    alike = len({one.detail for one in known}) == 1
    names = [one.where if alike or len(one.detail) > SHORT else f"{one.where}{one.detail}" for one in known]
    return f"{len(known)} × {first.kind.lstrip(': ')}{first.detail if alike else ''}: {first_few(names)}"
