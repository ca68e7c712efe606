"""Which slices a run of `brainseg predict` is about: files, patient folders and data sets turned into one flat list.

Nothing is decoded here; only names are looked at. Masks that lie beside their images are not images.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainseg_runtime.errors import InputError
from brainseg_runtime.layout import Layout, place

SUFFIXES = (".tif", ".tiff")
_DEPTH = 3  # levels under an input that are searched; a data set has one, its usual archive two; links may form loops
_MASK = "_mask"
_NUMBER = re.compile(r"_(\d{1,9})$")


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


def collect(inputs: Sequence[Path], out: Path, layout: Layout = "flat") -> tuple[Item, ...]:
    """Lists every slice once, in the order of the inputs, patients by name, slices by number.

    Args:
        inputs: TIFF files, patient folders (images directly inside) or data sets (patient folders inside), in any mix.
        out: Where results will go; looked at, not touched.
        layout: How they will lie there.

    Returns:
        At least one item; no two would write the same file, also where upper and lower case do not count.

    Raises:
        InputError: An input is missing, is no TIFF, holds no image, or two slices would write the same file; or the
            results would land among the inputs.
    """
    try:
        items = tuple({item.path.resolve(): item for given in inputs for item in _expand(Path(given))}.values())
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be listed", expected="a readable folder", got=error.strerror
        ) from error
    if not items:
        raise InputError("the inputs hold no image", expected="images", got="masks alone")
    _refuse_collisions(items, layout)
    _refuse_overwriting(inputs, items, out)
    return items


def missing_numbers(numbers: Iterable[int | None]) -> tuple[int, ...]:
    """The slice numbers that are absent between the first and the last of a patient."""
    known = {number for number in numbers if number is not None}
    if not known or max(known) - min(known) > 10_000:  # numbers that far apart are no counting of slices
        return ()
    return tuple(number for number in range(min(known), max(known)) if number not in known)


def _expand(given: Path) -> Iterator[Item]:
    """The slices of one input."""
    if given.is_dir():
        items = list(_folder(given, depth=_DEPTH))
        if not items:
            raise InputError(f"{given} holds no image", expected="*.tif files, or folders of them", got="none")
        yield from items
    elif not given.exists():
        raise InputError(f"{given} is not there", expected="a .tif file, a patient folder or a data set")
    elif given.suffix.lower() not in SUFFIXES:
        raise InputError(f"{given} is no TIFF file", expected="a name ending in .tif", got=given.name)
    elif not _is_mask(given):
        in_its_patient = given.stem.startswith(f"{given.resolve().parent.name}_")
        yield _item(given, given.parent if in_its_patient else None)


def _folder(folder: Path, *, depth: int) -> Iterator[Item]:
    """The slices directly in a folder, then those of the folders in it, `depth` levels down."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    images = [entry for entry in entries if _is_image(entry)]
    yield from sorted((_item(image, folder) for image in images), key=_order)
    for entry in entries:
        if entry.is_dir() and depth:
            yield from _folder(entry, depth=depth - 1)


def _order(item: Item) -> tuple[float, str]:
    """By number, those without one last, then by name."""
    return (float("inf") if item.number is None else item.number, item.name)


def _item(path: Path, patient: Path | None) -> Item:
    """An item with the number that its name ends in."""
    number = _NUMBER.search(path.stem)
    return Item(path=path, name=path.stem, patient=patient, number=int(number[1]) if number else None)


def _is_image(path: Path) -> bool:
    """Whether a file of a folder is a slice: a TIFF, not a mask."""
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.stem.lower().endswith(_MASK)


def _is_mask(path: Path) -> bool:
    """Whether a file that was named is the mask of an image beside it, as when a shell expands `patient/*.tif`."""
    if not path.stem.lower().endswith(_MASK):
        return False
    return path.with_name(path.stem[: -len(_MASK)] + path.suffix).exists()


def _refuse_collisions(items: Sequence[Item], layout: Layout) -> None:
    """Raises where two slices would write the same file, on systems that ignore case too."""
    places = [place(item.name, item.patient, layout).casefold() for item in items]
    counts = Counter(places)
    double = [item for item, where in zip(items, places, strict=True) if counts[where] > 1]
    if double:
        apart = len({place(item.name, item.patient, "by-patient").casefold() for item in double}) == len(double)
        each = "run once for each of them, with an OUT of its own"
        raise InputError(
            f"{len(double)} inputs would write the same files",
            expected="names that differ" + (", since results lie flat in one folder" if layout == "flat" else ""),
            got=", ".join(str(item.path) for item in double),
            remedy=f"give --by-patient, or {each}" if layout == "flat" and apart else each,
        )


def _refuse_overwriting(inputs: Sequence[Path], items: Sequence[Item], out: Path) -> None:
    """Raises where results would lie among the inputs.

    A mask made here must never replace one that a reader drew, nor, beside its image, pass for one in an evaluation.
    """
    there = out.resolve()
    given = {Path(folder).resolve() for folder in inputs if Path(folder).is_dir()}
    beside = {item.path.resolve().parent for item in items}
    inside = given & {there, *there.parents}
    if there in beside or inside:
        free = (min(inside).parent if inside else there) / "predictions"
        raise InputError(
            f"the results would lie among the inputs, in {there}",
            expected="a folder outside the inputs, as a mask beside its image would pass for one that a reader drew",
            remedy=f"give another folder with -o, such as {free}",
        )
