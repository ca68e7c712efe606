"""Patients and their slices, found in a folder laid out as the `kaggle_3m` data set is.

::

    ROOT/<patient>/<patient>_<n>.tif         n = 0 or 1, 2, ... without gaps
                   <patient>_<n>_mask.tif

A patient may have any name; `TCGA_<site>_<id>_<date>` also names site and person. ROOT may be one patient's folder, or
lie up to two folders above the patients. `finder` decides for every command what counts as a slice; this file says what
else a set for evaluation or training needs. Only names are looked at; nothing is decoded.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.errors import DatasetError
from brainseg_runtime.images.finder import TOO_DEEP, WHY_NO_FOLDER, Found, SliceFolder, find, kind_of
from brainseg_runtime.images.names import MASK
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import Problem, first_few, grouped, printable

Masks: TypeAlias = Literal["required", "optional", "absent"]

NO_FOLDER: Final = "is not a folder"
NO_MASK: Final = "has no mask"
NO_MASKS: Final = "has images but no mask"

_TCGA: Final = re.compile(r"(?P<person>[A-Za-z0-9]+_(?P<site>[A-Za-z0-9]+)_[A-Za-z0-9-]+)_[0-9]{8}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicePaths:
    """Where one slice lies.

    Attributes:
        number: Place in the volume, from 0 or 1.
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
        site: Code of the hospital, the second part of the name, such as ``CS``; empty if the name has no such part.
        slices: In the order of their numbers.
    """

    id: str
    site: str
    slices: tuple[SlicePaths, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """Everything that a folder holds, faulty or not.

    Attributes:
        patients: Folders with slices, including faulty ones.
        orphans: Masks without an image.
        problems: What is wrong.
        left_out: Results of earlier runs, and folders that were reached twice.
        copies: Two folders that hold the same patients; nothing else is surveyed then.
    """

    patients: tuple[Patient, ...]
    orphans: tuple[Path, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[Problem, ...]
    copies: Copies | None = None


def scan_dataset(
    root: Path | str, *, masks: Masks = "required", tell: Callable[[str], None] | None = None
) -> tuple[Patient, ...]:
    """Find the patients of a data set.

    Args:
        root: Folder of patient folders, or one patient's; links to folders and files are followed.
        masks: ``required``: every image needs its mask. ``optional``: it may be missing. ``absent``: masks are not
            looked at.
        tell: Called with a line for each kind of thing that is left out, such as results of earlier runs.

    Returns:
        Patients by name, at least one, each with its slices by number.

    Raises:
        DatasetError: The folder is missing, or holds anything that does not fit; it lists every problem with its name.

    >>> Path("found/ann").mkdir(parents=True)
    >>> for name in ("ann_1.tif", "ann_1_mask.tif", "ann_2.tif", "ann_2_mask.tif"):
    ...     Path("found/ann", name).touch()
    >>> [(patient.id, len(patient.slices)) for patient in scan_dataset("found")]
    [('ann', 2)]
    """
    root = Path(root)
    surveyed = survey(root, masks=masks)
    if surveyed.problems:
        raise unusable(root, surveyed.problems, remedy=remedy_of(surveyed))
    if tell is not None:
        for line in grouped(surveyed.left_out):
            tell(f"left out: {line}")
    return surveyed.patients


def survey(root: Path, *, masks: Masks = "required") -> Survey:
    """Find what a folder holds, and everything that is wrong with it as a data set.

    Args:
        root: The folder.
        masks: As `scan_dataset` takes it.
    """
    if (is_a := kind_of(root)) != "folder":
        kind = WHY_NO_FOLDER.get(is_a, NO_FOLDER)
        return Survey(patients=(), orphans=(), problems=(Problem(printable(str(root)), kind),), left_out=())
    found = find(root)
    if (copies := find_copies(found.folders)) is not None:
        return Survey(patients=(), orphans=(), problems=(copies.problem,), left_out=found.left_out, copies=copies)
    problems = [*found.problems]
    for folder in found.folders:
        problems += _mask_problems(folder, masks)
        if gaps := ", ".join(_gaps(one.number for one in folder.slices if one.number is not None)):
            problems.append(Problem(printable(str(folder.path)), "lacks slices", f": {gaps}"))
    problems += _name_problems(found)
    patients = sorted((_patient(folder, masks) for folder in found.folders if folder.slices), key=lambda one: one.id)
    if not patients and not problems:
        problems.append(Problem(printable(str(root)), "holds no slice, only results of earlier runs"))
    return Survey(
        patients=tuple(patients),
        orphans=tuple(path for folder in found.folders for path in folder.orphans),
        problems=tuple(problems),
        left_out=found.left_out,
    )


def unusable(root: Path, problems: Sequence[Problem | str], *, remedy: str | None) -> DatasetError:
    """The error of a data set that something is wrong with."""
    what = f"{printable(str(root))} is not a data set that can be used: {counted(len(problems), 'problem')}"
    return DatasetError(what, problems=problems, remedy=remedy)


def remedy_of(surveyed: Survey) -> str:
    """What to do about a survey's problems."""
    if surveyed.copies is not None:
        return surveyed.copies.remedy
    kinds = {problem.kind for problem in surveyed.problems}
    if kinds <= {*WHY_NO_FOLDER.values(), NO_FOLDER}:
        return "give a folder of patients' folders, or one patient's folder"
    if kinds <= {NO_MASK, NO_MASKS}:
        return f"put a reader's mask, <name>{MASK}.tif, beside each image; brainseg predict needs none"
    if kinds == {TOO_DEEP}:
        return "give a folder that lies nearer to the slices"
    return "correct the listed files, or move files that do not belong out of the folder; nothing is skipped silently"


@dataclass(frozen=True, kw_only=True, slots=True)
class Copies:
    """Two folders with patients of the same names, as the archive of `kaggle_3m` has them.

    Attributes:
        first: The one that lies higher; where only one patient is shared, that patient's folder.
        second: The other.
        names: Patients of both.
    """

    first: Path
    second: Path
    names: tuple[str, ...]

    @property
    def problem(self) -> Problem:
        """Both folders, in one line."""
        kind = f"and {printable(str(self.second))} hold "
        few = first_few(self.names, few=1)
        kind += f"one patient twice: {few}" if len(self.names) == 1 else f"the same {len(self.names)} patients: {few}"
        return Problem(printable(str(self.first)), kind)

    @property
    def remedy(self) -> str:
        """What to do about them."""
        first, second = (printable(str(path)) for path in (self.first, self.second))
        if len(self.names) == 1:
            return "move one of the two out of the folder, or rename one if they are different patients"
        if self.first in self.second.parents:
            return f"give {second}, or move it out of {first}"
        return f"give one of the two, such as {first}"


def find_copies(folders: Iterable[SliceFolder]) -> Copies | None:
    """The two folders that share most patients by name; None if no name occurs in two folders.

    Args:
        folders: As the finder found them.
    """
    by_name: defaultdict[str, set[Path]] = defaultdict(set)
    for folder in folders:
        by_name[folder.name].add(folder.path)
    shared: defaultdict[tuple[Path, Path], list[tuple[str, Path, Path]]] = defaultdict(list)
    for name, paths in by_name.items():
        first, *others = sorted(paths, key=lambda path: (len(path.parts), path.parts))
        for other in others:
            if other.parent != first.parent:
                shared[first.parent, other.parent].append((name, first, other))
    if not shared:
        return None
    parents, members = max(shared.items(), key=lambda item: len(item[1]))
    names = tuple(sorted(name for name, _, _ in members))
    first, second = parents if len(members) > 1 else members[0][1:]
    return Copies(first=first, second=second, names=names)


def site_of(patient_id: str) -> str:
    """Code of the hospital, the second part of a patient folder's name; empty if the name has another form.

    >>> site_of("TCGA_CS_4941_19960909")
    'CS'
    """
    name = _TCGA.fullmatch(patient_id)
    return name["site"] if name else ""


def person_of(patient_id: str) -> str:
    """The person who was examined, from a patient folder's name; the whole name if it has another form.

    >>> person_of("TCGA_CS_4941_19960909")
    'TCGA_CS_4941'
    """
    name = _TCGA.fullmatch(patient_id)
    return name["person"] if name else patient_id


def _patient(folder: SliceFolder, masks: Masks) -> Patient:
    """A folder's slices as a volume; slices whose names hold no number follow the others, in the order of names."""
    last = 0
    slices = []
    for one in folder.slices:
        number = last = last + 1 if one.number is None else one.number
        slices.append(SlicePaths(number=number, image=one.image, mask=None if masks == "absent" else one.mask))
    return Patient(id=folder.name, site=site_of(folder.name), slices=tuple(slices))


def masks_alone(folder: SliceFolder) -> Problem:
    """The problem of a folder without images."""
    return Problem(printable(str(folder.path)), "has masks but no image")


def _mask_problems(folder: SliceFolder, masks: Masks) -> Iterator[Problem]:
    """Images without a mask, and masks without an image."""
    if masks == "absent":
        if not folder.slices:
            yield masks_alone(folder)
        return
    bare = [one for one in folder.slices if one.mask is None]
    if masks == "required" and bare:
        if len(bare) == len(folder.slices) > 1:
            yield Problem(printable(str(folder.path)), NO_MASKS, f" ({len(bare)} images)")
        else:
            yield from (Problem(printable(str(one.image)), NO_MASK) for one in bare)
    yield from (Problem(printable(str(path)), "is a mask without an image") for path in folder.orphans)


def _name_problems(found: Found) -> Iterator[Problem]:
    """Patients of one name in one folder, which only escaped names can be."""
    known: dict[str, Path] = {}
    for folder in found.folders:
        if known.setdefault(folder.name, folder.path) is not folder.path:
            yield Problem(printable(str(folder.path)), "has the name of another patient")


def _gaps(numbers: Iterable[int]) -> Iterator[str]:
    """The ranges that are missing between 0 or 1 and the highest number, without counting through them."""
    last = 0
    for number in sorted(numbers):
        if number > last + 1:
            yield str(last + 1) if number == last + 2 else f"{last + 1} to {number - 1}"
        last = number
