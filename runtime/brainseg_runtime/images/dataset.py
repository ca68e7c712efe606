"""Patients and their slices, found in a folder laid out as the `kaggle_3m` data set is.

::

    ROOT/<set>_<site>_<id>_<date>/<set>_<site>_<id>_<date>_<n>.tif         n = 1, 2, ... without gaps
                                  <set>_<site>_<id>_<date>_<n>_mask.tif

Only names are looked at here; nothing is decoded. Files that lie directly in the root are ignored (the set's own
`README.md` and `data.csv` lie there), and so is what file browsers leave behind: names that begin with a dot,
`Thumbs.db`, `desktop.ini`. Whatever else does not fit is a problem, and all problems are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.errors import DatasetError

Masks: TypeAlias = Literal["required", "optional", "absent"]

_PATIENT: Final = re.compile(r"[A-Za-z0-9]+_(?P<site>[A-Za-z0-9]+)_[A-Za-z0-9-]+_[0-9]{8}")
_SLICE: Final = re.compile(r"_(?P<number>[1-9][0-9]{0,8})(?P<mask>_mask)?\.tif")
_LITTER: Final = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicePaths:
    """Where one slice lies.

    Attributes:
        number: Place in the volume, from 1.
        image: The image's file.
        mask: The mask's file, or None.
    """

    number: int
    image: Path
    mask: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """One patient's volume.

    Attributes:
        id: The folder's name.
        site: Code of the hospital, the second part of the name, such as ``CS``.
        slices: In the order of their numbers.
    """

    id: str
    site: str
    slices: tuple[SlicePaths, ...]


def scan_dataset(root: Path | str, *, masks: Masks = "required") -> tuple[Patient, ...]:
    """Find the patients of a data set.

    Args:
        root: Folder of patient folders; links to folders and files are followed.
        masks: ``required``: every image needs its mask. ``optional``: it may be missing. ``absent``: masks are not
            looked at.

    Returns:
        Patients by name, at least one, each with its slices by number.

    Raises:
        DatasetError: The folder is missing, or holds anything that does not fit; it lists every problem with its name.
    """
    root = Path(root)
    problems: list[str] = []
    patients = [
        patient
        for folder in _folders(root, problems)
        if (patient := _scan_patient(folder, masks, problems)) is not None
    ]
    if not patients and not problems:
        problems.append(f"{root} holds no patient folder")
    if problems:
        raise DatasetError(
            f"{root} is not a data set that can be used: {len(problems)} problem{'s' * (len(problems) > 1)}",
            problems=[_printable(problem) for problem in problems],
            remedy=_remedy(root),
        )
    return tuple(patients)


def site_of(patient_id: str) -> str:
    """Code of the hospital, the second part of a patient folder's name; empty where the name is of another form."""
    name = _PATIENT.fullmatch(patient_id)
    return name["site"] if name else ""


def _folders(root: Path, problems: list[str]) -> Iterator[Path]:
    """The folders in the root, by name."""
    if not root.is_dir():
        problems.append(f"{root} is {'not a folder' if root.exists() else 'not there'}")
        return
    for path in _listed(root, problems):
        if path.is_dir():
            yield path
        elif path.is_symlink() and not path.exists():
            problems.append(f"{path} is a link to nothing")


def _scan_patient(folder: Path, masks: Masks, problems: list[str]) -> Patient | None:
    """One patient, or None and what is wrong with the folder."""
    name = _PATIENT.fullmatch(folder.name)
    if name is None:
        problems.append(f"{folder} is no patient: expected a name like TCGA_CS_4941_19960909")
        return None
    known = len(problems)
    found: dict[bool, dict[int, Path]] = {False: {}, True: {}}
    for path in _listed(folder, problems):
        part = _SLICE.fullmatch(path.name.removeprefix(folder.name)) if path.name.startswith(folder.name) else None
        if part is None or not path.is_file():
            problems.append(
                f"{path} does not belong: expected files like {folder.name}_1.tif and {folder.name}_1_mask.tif"
            )
            continue
        found[part["mask"] is not None][int(part["number"])] = path
    images, truths = found[False], found[True] if masks != "absent" else {}
    problems.extend(_pairing_problems(folder, images, truths, masks))
    if len(problems) > known:
        return None
    slices = tuple(SlicePaths(number=n, image=images[n], mask=truths.get(n)) for n in sorted(images))
    return Patient(id=folder.name, site=name["site"], slices=slices)


def _pairing_problems(folder: Path, images: dict[int, Path], truths: dict[int, Path], masks: Masks) -> Iterator[str]:
    """Images without mask, masks without image, and numbers that are skipped."""
    if not images and not truths:
        yield f"{folder} is empty: it holds no slice"
        return
    if masks == "required":
        yield from (f"{images[n]} has no mask" for n in sorted(images.keys() - truths.keys()))
    yield from (f"{truths[n]} is a mask without an image" for n in sorted(truths.keys() - images.keys()))
    if gaps := ", ".join(_gaps(images)):
        yield f"{folder} lacks slices: {gaps}"


def _gaps(numbers: Iterable[int]) -> Iterator[str]:
    """The ranges that are missing between 1 and the highest number; the numbers are never counted through."""
    last = 0
    for number in sorted(numbers):
        if number > last + 1:
            yield str(last + 1) if number == last + 2 else f"{last + 1} to {number - 1}"
        last = number


def _listed(folder: Path, problems: list[str]) -> list[Path]:
    """A folder's entries by name, without what file browsers leave."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        problems.append(f"{folder} cannot be listed: {error.strerror}")
        return []
    return [path for path in paths if not path.name.startswith(".") and path.name.casefold() not in _LITTER]


def _printable(text: str) -> str:
    """A line for a terminal, whatever a file's name holds: control characters and broken text are escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _remedy(root: Path) -> str:
    """What to do; where the root is one level off, which folder was probably meant."""
    if root.is_dir():
        if _PATIENT.fullmatch(root.resolve().name):
            return f"give the folder that holds the patients, {root.resolve().parent}"
        for folder in _listed(root, []):
            if folder.is_dir() and any(_PATIENT.fullmatch(path.name) for path in _listed(folder, [])):
                return f"give the folder that holds the patients, such as {folder}"
    return "put the named files right, or move what does not belong out of the folder; nothing is skipped silently"
