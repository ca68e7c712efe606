"""Images of one folder in the order of their volume, each with its mask, and problems with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brainseg_runtime.images.names import belongs, natural_order, own_name, slice_name, slice_number
from brainseg_runtime.problems import Problem, printable


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSlice:
    """An image, and its place in its folder's order."""

    image: Path
    number: int | None
    mask: Path | None
    """The file `<name>_mask` beside it, if there is one that may be trusted to be a reader's."""


def paired(images: Sequence[Path], masks: Sequence[Path]) -> tuple[tuple[FoundSlice, ...], tuple[Path, ...]]:
    """Images in order, each with its mask, and the masks that are left over."""
    free = {path: slice_name(path).stem for path in masks}
    chosen: dict[Path, Path] = {}
    for exactly in (True, False):  # first the very name, so that names that differ by case alone keep their masks
        by_stem = {stem if exactly else stem.lower(): path for path, stem in reversed(free.items())}
        for image in (one for one in images if one not in chosen):
            mask = by_stem.pop(image.stem if exactly else image.stem.lower(), None)
            if mask is not None:
                chosen[image] = mask
                del free[mask]
    found = [
        FoundSlice(image=image, number=slice_number(image.stem, own_name(image.parent)), mask=chosen.get(image))
        for image in images
    ]
    found.sort(key=lambda one: (one.number is None, one.number or 0, natural_order(one.image.name)))
    return tuple(found), tuple(free)


def order_problems(folder: Path, slices: Sequence[FoundSlice]) -> list[Problem]:
    """Slices that are named after another folder than their own, and numbers that two slices have."""
    problems = []
    name = own_name(folder)
    own = [one for one in slices if belongs(one.image.stem, name)]
    if own:
        problems += [
            Problem(
                printable(str(one.image)), "does not follow the naming of the other slices", f": {printable(name)}_<n>"
            )
            for one in slices
            if not belongs(one.image.stem, name)
        ]
    known: dict[int, Path] = {}
    for one in own or slices:
        if one.number is None:
            continue
        other = known.setdefault(one.number, one.image)
        if other is not one.image:
            problems.append(
                Problem(
                    printable(str(one.image)), "has the same number as another slice", f" ({printable(other.name)})"
                )
            )
    return problems
