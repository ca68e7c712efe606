"""Whether the inputs of `brainseg predict` are slices or studies, told from names and first bytes alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.errors import InputError
from brainseg_runtime.images.finder import WHY_NO_FOLDER, kind_of
from brainseg_runtime.images.formats import format_names, is_image_name
from brainseg_runtime.plurals import counted

Kind: TypeAlias = Literal["slices", "studies"]

_STUDY_SUFFIXES: Final = (".dcm", ".dicom", ".ima", ".nii", ".nii.gz", ".zip")
_HEAD_BYTES: Final = 132
"""DICOM's preamble and its prefix."""
_MOST_FILES: Final = 200_000
"""Looked at in one folder; the largest studies have some ten thousand."""
_MOST_OPENED: Final = 2000
"""Files without a telling name that are opened, before a folder counts as one without studies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the inputs are.

    Attributes:
        kind: All slices, or all studies.
        warnings: What was left out, in words.
    """

    kind: Kind
    warnings: tuple[str, ...] = ()


def told_kind(inputs: Sequence[Path]) -> Told:
    """Tell slices from studies.

    A folder with DICOM, NIfTI or zip files in it, however deep, holds studies; images beside them are left out.

    Args:
        inputs: Files and folders, at least one.

    Raises:
        InputError: An input is missing or cannot be read, or there are both slices and studies.
    """
    kinds: dict[Kind, Path] = {}
    warnings: list[str] = []
    for given in inputs:
        kind, images = _kind_of(Path(given))
        kinds.setdefault(kind, given)
        if kind == "studies" and images:
            what = f"{given} holds DICOM or NIfTI, so {counted(images, 'image')} ({format_names()}) in it were left out"
            warnings.append(f"{what}; to segment slices, name their own folder")
    if len(kinds) > 1:
        raise InputError(
            "the inputs are both slices and studies",
            expected="inputs of one kind, since their results are kept on different records",
            got=f"slices in {kinds['slices']}, a study in {kinds['studies']}",
            remedy="run predict once for each kind, each with its own OUT",
        )
    return Told(kind=next(iter(kinds)), warnings=tuple(warnings))


def _kind_of(given: Path) -> tuple[Kind, int]:
    """What one input is, and how many images a folder of studies holds besides."""
    kind = kind_of(given)
    if kind == "folder":
        return _kind_of_folder(given)
    if kind in WHY_NO_FOLDER:
        raise InputError(f"{given} {WHY_NO_FOLDER[kind]}", expected="an image, a study, or a folder of either")
    if is_image_name(given.name):
        return "slices", 0
    if _is_study_file(given):
        return "studies", 0
    raise InputError(
        f"{given} is neither an image nor a study",
        expected=f"{format_names()} for slices; DICOM, NIfTI or a zip for a study",
        got=given.name,
    )


def _kind_of_folder(folder: Path) -> tuple[Kind, int]:
    """Slices, unless there is a file of a study somewhere below."""
    images, opened, holds = 0, 0, False
    for number, path in enumerate(_files(folder)):
        if number >= _MOST_FILES or opened >= _MOST_OPENED:
            break
        if is_image_name(path.name):
            images += 1
        elif not holds:
            opened += not path.name.lower().endswith(_STUDY_SUFFIXES)
            holds = _is_study_file(path)
    return ("studies", images) if holds else ("slices", 0)


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder; folders that are links are not entered, so there is no circle."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent, name)


def _is_study_file(path: Path) -> bool:
    """Whether a file has the name or the first bytes of DICOM, NIfTI or a zip."""
    if path.name.lower().endswith(_STUDY_SUFFIXES):
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    # Files without the preamble begin with a tag of group 0008 or 0002, in either byte order.
    return head[128:] == b"DICM" or head[:4] == b"PK\x03\x04" or head[:2] in {b"\x08\0", b"\0\x08", b"\x02\0"}
