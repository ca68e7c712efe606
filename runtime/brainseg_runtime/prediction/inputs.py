"""The slices that `brainseg predict` is given: files, patient folders and data sets turned into one list.

`images.finder` decides what counts as a slice, as for every other command. Only names are looked at.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from brainseg_runtime.errors import DatasetError, InputError
from brainseg_runtime.images.dataset import find_copies, masks_alone
from brainseg_runtime.images.finder import WHY_NO_FOLDER, SliceFolder, find, kind_of
from brainseg_runtime.images.formats import format_names, is_image_name, suffixes
from brainseg_runtime.images.names import belongs, folder_name, slice_name, slice_number
from brainseg_runtime.prediction.layout import Layout, place
from brainseg_runtime.problems import Problem, grouped, printable


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One slice to segment.

    Attributes:
        path: Its file.
        name: The file's name without suffix; outputs are called after it.
        patient: The patient's folder, or None for a file that came without one.
        number: Place in the volume, from the end of the name; None where the name has none.
    """

    path: Path
    name: str
    patient: Path | None
    number: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What the inputs hold.

    Attributes:
        items: Every slice once.
        warnings: What does not fit ("warning: ...") and what was left out ("left out: ..."), a line for each kind.
    """

    items: tuple[Item, ...]
    warnings: tuple[str, ...]


def collect(inputs: Sequence[Path], out: Path, layout: Layout = "flat") -> Collected:
    """Lists every slice once, in the order of the inputs, patients by name, slices by number.

    Args:
        inputs: Images, patient folders (images directly inside) or data sets (patient folders inside), in any mix.
        out: The folder for results; it is not changed.
        layout: How they will be arranged there.

    Returns:
        At least one item; no two would write the same file, even on a system that ignores case.

    Raises:
        InputError: An input is missing, is not an image, cannot be listed or holds no image; two slices would write
            the same file; or the results would lie among the inputs.
    """
    gathered = _Gathered()
    for given in inputs:
        gathered.add(Path(given))
    items = gathered.items()
    if not items:
        got = "; ".join(grouped(gathered.left_out)) or "none"
        raise InputError("the inputs hold no image", expected="images", got=got)
    _refuse_collisions(items, gathered.folders, layout)
    _refuse_overwriting(inputs, items, out)
    left_out = (f"left out: {line}" for line in grouped(gathered.left_out))
    warnings = (f"warning: {line}" for line in grouped(gathered.problems))
    return Collected(items=items, warnings=(*warnings, *left_out))


def missing_numbers(numbers: Iterable[int | None]) -> tuple[int, ...]:
    """The slice numbers that are missing between the first and the last of a patient.

    >>> missing_numbers([1, 2, 5, None])
    (3, 4)
    """
    known = {number for number in numbers if number is not None}
    if not known or max(known) - min(known) > 10_000:  # numbers that far apart do not count slices
        return ()
    return tuple(number for number in range(min(known), max(known)) if number not in known)


def in_ranges(numbers: Iterable[int]) -> tuple[str, ...]:
    """Numbers as a message shows them: those that follow one another together.

    >>> in_ranges([3, 4, 5, 9, 11, 12])
    ('3 to 5', '9', '11 to 12')
    """
    runs = [[number for _, number in run] for _, run in groupby(enumerate(sorted(numbers)), _behind)]
    return tuple(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _behind(counted: tuple[int, int]) -> int:
    """How far a number is ahead of its place, which those that follow one another share."""
    return counted[1] - counted[0]


class _Gathered:
    """What the inputs up to now hold."""

    def __init__(self) -> None:
        self.folders: list[SliceFolder] = []
        self.problems: list[Problem] = []
        self.left_out: list[Problem] = []
        self._items: dict[tuple[str, str], Item] = {}

    def items(self) -> tuple[Item, ...]:
        """Every slice once, in the order of the inputs."""
        return tuple(self._items.values())

    def add(self, given: Path) -> None:
        """Look at one input."""
        kind = kind_of(given)
        if kind == "folder":
            self._add_folder(given)
        elif kind in WHY_NO_FOLDER:
            raise InputError(f"{given} {WHY_NO_FOLDER[kind]}", expected="an image, a patient folder or a data set")
        elif not is_image_name(given.name):
            raise InputError(
                f"{given} is not a {format_names()} file",
                expected=f"a name ending in {', '.join(suffixes())}",
                got=given.name,
            )
        else:
            self._add_file(given)

    def _add_folder(self, given: Path) -> None:
        found = find(given, pictures=True)
        for problem in found.problems:
            if problem.kind.startswith("cannot be"):
                raise InputError(str(problem), expected="a readable folder")
        slices = [(folder, one) for folder in found.folders for one in folder.slices]
        if not slices:
            what = (*found.problems, *found.left_out, *(masks_alone(folder) for folder in found.folders))
            raise InputError(
                f"{given} holds no image",
                expected=f"files ending in {', '.join(suffixes())}, or folders of them",
                got="; ".join(grouped(what)),
            )
        for folder, one in slices:
            self._add(Item(path=one.image, name=one.image.stem, patient=folder.path, number=one.number))
        self.folders += found.folders
        self.problems += [*found.problems, *(masks_alone(folder) for folder in found.folders if not folder.slices)]
        self.left_out += found.left_out

    def _add_file(self, given: Path) -> None:
        """A file given by name; it may be a mask or a result, as when a shell expands `patient/*.tif`."""
        if slice_name(given).role == "image":
            folder = folder_name(given.parent)
            patient = given.parent if belongs(given.stem, folder) else None
            self._add(Item(path=given, name=given.stem, patient=patient, number=slice_number(given.stem, folder)))
        elif slice_name(given).role == "result" or not _image_beside(given):
            kind = "has the name of a mask, a probability map or an overlay"
            self.left_out.append(Problem(printable(str(given)), kind))

    def _add(self, item: Item) -> None:
        """Adds a slice unless it is there; names that are links to one file are slices of their own."""
        self._items.setdefault((os.path.realpath(item.path.parent), item.path.name), item)


def _image_beside(mask: Path) -> bool:
    """Whether the image of a mask lies beside it."""
    return any(mask.with_name(slice_name(mask).stem + ending).exists() for ending in {mask.suffix, *suffixes()})


def _refuse_collisions(items: Sequence[Item], folders: Sequence[SliceFolder], layout: Layout) -> None:
    """Refuses two slices that would write the same file, even where case matters."""
    places = [place(item.name, item.patient, layout).casefold() for item in items]
    counts = Counter(places)
    double = [item for item, where in zip(items, places, strict=True) if counts[where] > 1]
    if not double:
        return
    if (copies := find_copies(folders)) is not None:
        raise InputError(f"{copies.problem}: they would write the same files", remedy=copies.remedy)
    apart = len({place(item.name, item.patient, "by-patient").casefold() for item in double}) == len(double)
    flat = ": results lie flat in one folder, so names must differ" if layout == "flat" else ""
    raise DatasetError(
        f"{len(double)} inputs would write the same files{flat}",
        problems=[Problem(printable(str(item.path)), "has the name of another slice") for item in double],
        remedy=f"{'give --by-patient, or ' if apart else ''}run predict once for each input, each with its own OUT",
    )


def _refuse_overwriting(inputs: Sequence[Path], items: Sequence[Item], out: Path) -> None:
    """Refuses an OUT among the inputs.

    A predicted mask must never replace one that a reader drew, nor, beside its image, pass for one in an evaluation.
    """
    there = out.resolve()
    given = {Path(folder).resolve() for folder in inputs if kind_of(Path(folder)) == "folder"}
    beside = {item.path.resolve().parent for item in items} | {item.path.parent.resolve() for item in items}
    if there in beside or given & {there, *there.parents}:
        sets = {item.patient.resolve().parent for item in items if item.patient is not None}
        free = _free_folder(given | beside | sets)
        raise InputError(
            f"the results would be written among the inputs, in {there}",
            expected="a folder outside the inputs, since a predicted mask beside its image could pass for a reader's",
            remedy=f"give another folder with -o{'' if free is None else f', such as {free}'}",
        )


def _free_folder(taken: set[Path]) -> Path | None:
    """A folder for results outside all of these, as near to the current folder as possible."""
    here = Path.cwd()
    above = sorted({parent for folder in taken for parent in folder.parents}, key=lambda path: -len(path.parts))
    for folder in (here, *above, Path.home(), Path(tempfile.gettempdir())):
        inside = any(folder == one or one in folder.parents for one in taken)
        if not inside and os.access(folder, os.W_OK):
            return folder / "predictions"
    return None
