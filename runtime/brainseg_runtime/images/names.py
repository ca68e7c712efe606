"""What a file's name says about a slice: whether it is an image, a mask or a result, and its number in the volume.

::

    <patient>/<patient>_<n>.tif         image; n counts from 0 or 1, zeros in front do not count
              <patient>_<n>_mask.tif    its mask

Upper and lower case are the same, so are `.tiff` and `.tif`, and a name need not hold a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.problems import printable

Role: TypeAlias = Literal["image", "mask", "result"]

MASK: Final = "_mask"
RESULTS: Final = ("_probability", "_overlay")
"""What the names of the other results end in."""

_NUMBER: Final = re.compile(r"(?:.*[_\-. ])?0*(?P<number>[0-9]{1,9})", re.DOTALL)
"""At the end of a name, alone or after a separator. Longer numbers are dates or identifiers."""

_RUN: Final = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class SliceName:
    """A name taken apart.

    Attributes:
        role: What the file is.
        stem: Name of the image that it is or belongs to, without suffix.
    """

    role: Role
    stem: str


def slice_name(path: Path) -> SliceName:
    """Take the name of an image file apart.

    >>> slice_name(Path("a_1_mask.tif"))
    SliceName(role='mask', stem='a_1')
    """
    stem = path.stem
    folded = stem.lower()
    if folded.endswith(MASK):
        return SliceName("mask", stem[: -len(MASK)])
    for ending in RESULTS:
        if folded.endswith(ending):
            return SliceName("result", stem[: -len(ending)])
    return SliceName("image", stem)


def slice_number(stem: str, folder: str) -> int | None:
    """Place in the volume, from the end of an image's name.

    Args:
        stem: The file's name without suffix.
        folder: The name of its folder; digits at the end of that are no slice's number.

    Returns:
        0 or more; None if the name holds no number.

    >>> slice_number("TCGA_CS_4941_19960909_12", "TCGA_CS_4941_19960909"), slice_number("scan", "a")
    (12, None)
    """
    own = belongs(stem, folder)
    found = _NUMBER.fullmatch(stem[len(folder) :] if own else stem)
    return int(found["number"]) if found else None


def belongs(stem: str, folder: str) -> bool:
    """Whether a slice is named after its folder, in upper or lower case.

    >>> belongs("p1_3", "P1"), belongs("p10_3", "p1")
    (True, False)
    """
    rest = stem[len(folder) :]
    return stem.lower().startswith(folder.lower()) and (not rest or not rest[0].isalnum())


def natural_order(name: str) -> tuple[tuple[str | int, ...], str]:
    """Sort key that treats runs of digits as numbers.

    >>> sorted(["slice10", "slice2"], key=natural_order)
    ['slice2', 'slice10']
    """
    parts = _RUN.split(name.lower())
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name


def own_name(folder: Path) -> str:
    """A folder's name as the system has it."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def folder_name(folder: Path) -> str:
    """A patient's name: the folder's own, even if it was given as `.`; bytes that are no text are escaped."""
    return printable(own_name(folder))
