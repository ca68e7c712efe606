"""Problems of files and folders, and how a long list of them is shown: one line for each kind.

A data set of thousands of slices without masks has thousands of equal problems. All of them are recorded; their number,
their kind and the first few are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

FEW: Final = 3
"""Names shown for a kind of problem that many files have."""

KINDS: Final = 20
"""Kinds shown of one list: more than the finder and the readers distinguish, so that usual lists are not cut."""

SHORT: Final = 40
"""Longest detail, in characters, that is shown beside a name in a list of names."""

ALONE: Final = 2
"""Up to this many problems of a kind are shown in full."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one file or folder.

    Attributes:
        where: The file or folder.
        kind: What is wrong, in the same words for every file with this problem.
        detail: What concerns this file alone, such as the values that were found.
    """

    where: str
    kind: str
    detail: str = ""

    def __str__(self) -> str:
        """The whole problem in one line."""
        return f"{self.where}{'' if self.kind.startswith(':') else ' '}{self.kind}{self.detail}"


def printable(text: str) -> str:
    r"""A line that is safe for a terminal: control characters and broken text in file names are escaped.

    Examples:
        >>> print(printable(f"slice{chr(7)}.tif"))
        slice\x07.tif
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def grouped(problems: Sequence[Problem | str]) -> tuple[str, ...]:
    """A list of problems as lines to show: one for each kind, in the order in which the kinds first appear.

    Args:
        problems: All of them; each plain text is a kind of its own.

    Returns:
        Lines without bullets. Up to `ALONE` problems of a kind come in full; of more, the count and the first names.

    Examples:
        >>> grouped([Problem(f"{n}.tif", "has no mask") for n in range(5)])
        ('5 × has no mask: 0.tif, 1.tif, 2.tif and 2 more',)
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
    """The first names, and how many more there are.

    Examples:
        >>> first_few(["a", "b", "c", "d"], few=2)
        'a, b and 2 more'
    """
    known = list(names)
    more = len(known) - few
    return ", ".join(known[:few]) + (f" and {more} more" if more > 0 else "")


def _line(members: Sequence[Problem | str]) -> str:
    """Many problems of one kind: a detail that all share is shown once, a long one that differs is left out."""
    first = members[0]
    if isinstance(first, str):
        return f"{len(members)} × {first}"
    known = [one for one in members if isinstance(one, Problem)]
    alike = len({one.detail for one in known}) == 1
    names = [one.where if alike or len(one.detail) > SHORT else f"{one.where}{one.detail}" for one in known]
    return f"{len(known)} × {first.kind.lstrip(': ')}{first.detail if alike else ''}: {first_few(names)}"


def without_folders(label: str) -> str:
    """A file's name without its folders, which exports often call after the patient; for what is written down.

    >>> without_folders("export.zip: DOE^JANE/4/IM0001")
    'IM0001'
    """
    return label.replace("\\", "/").rpartition("/")[2].rpartition(": ")[2]
