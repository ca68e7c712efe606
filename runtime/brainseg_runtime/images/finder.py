"""The one finder: which folders below an input hold slices, and what else lies there.

`brainseg predict`, `brainseg evaluate`, `brainseg-train` and `brainseg-export` all find their slices here, by the same
rules. A folder that directly holds images is a patient's; folders are searched `DEPTH` levels down. Links are followed,
and each folder is looked at once, so that links that form a loop end. Litter is passed over without a word; results of
earlier runs are left out and told; whatever else does not fit is a problem and told as well. Only names are looked at.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.images.litter import is_hidden
from brainseg_runtime.images.names import (
    PICTURES,
    TIFF,
    Role,
    belongs,
    natural_order,
    slice_name,
    slice_number,
    suffix,
)
from brainseg_runtime.problems import Problem, printable

DEPTH: Final = 3
"""Levels under an input that are searched; a data set has one, the archive it is downloaded as two."""

_PEEK: Final = 10_000
"""Entries looked at below that, to tell whether images lie there; beyond, they are taken to."""

PREDICTIONS: Final = "predictions.json"
"""The record of a prediction, beside the masks that it made."""

RECORDS: Final = frozenset({PREDICTIONS, "run.json", "study.json", "manifest.json"})
"""Files that name the folder of a prediction, a training run, a study or a bundle."""

_Kind: TypeAlias = Literal["folder", "file", "other", "broken", "unreadable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSlice:
    """An image, and its place in its folder's order."""

    image: Path
    number: int | None
    mask: Path | None
    """The file `<name>_mask` beside it, if there is one that may be trusted to be a reader's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceFolder:
    """A folder that directly holds images, or masks whose images are gone.

    Attributes:
        path: The folder, as it was reached.
        slices: By number, those without one last, then by name.
        orphans: Masks without an image.
    """

    path: Path
    slices: tuple[FoundSlice, ...]
    orphans: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name, made fit to be shown."""
        return folder_name(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What lies below an input.

    Attributes:
        folders: Folders with slices, in order of path.
        problems: What does not fit.
        left_out: What was recognised as a result of an earlier run, or reached twice.
    """

    folders: tuple[SliceFolder, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[Problem, ...]


def find(root: Path, *, pictures: bool = False) -> Found:
    """Search a folder for slices.

    Args:
        root: An existing folder.
        pictures: Whether PNG and JPEG files are slices too.
    """
    search = _Search(root, pictures)
    if search.visit(root, 0, among_results=False) == "nothing" and not search.problems:
        search.problem(root, "holds no patient folder and no slice")
    return Found(
        folders=tuple(sorted(search.folders, key=lambda folder: folder.path.parts)),
        problems=tuple(search.problems),
        left_out=tuple(search.left_out),
    )


def folder_name(folder: Path) -> str:
    """What a patient is called: the folder's own name, also where it was given as `.`, escaped where it is no text."""
    return printable(_own_name(folder))


_Held: TypeAlias = Literal["slices", "results", "nothing"]


class _Search:
    """One search and what it has found so far."""

    def __init__(self, root: Path, pictures: bool) -> None:
        self.root = os.path.realpath(root)
        self.pictures = pictures
        self.folders: list[SliceFolder] = []
        self.problems: list[Problem] = []
        self.left_out: list[Problem] = []
        self.seen: dict[str, Path] = {}

    def problem(self, path: Path, kind: str, detail: str = "") -> None:
        self.problems.append(Problem(printable(str(path)), kind, printable(detail)))

    def leave_out(self, path: Path, kind: str, detail: str = "") -> None:
        self.left_out.append(Problem(printable(str(path)), kind, printable(detail)))

    def visit(self, folder: Path, level: int, *, among_results: bool) -> _Held:
        """Look at a folder and at those in it; tells what they hold.

        Args:
            folder: Where.
            level: How far below the input.
            among_results: Whether a folder above is that of a prediction.
        """
        real = os.path.realpath(folder)
        if real in self.seen:
            self.leave_out(folder, "is a folder that was looked at already", f" ({self.seen[real]})")
            return "results"
        if level and Path(real) in Path(self.root).parents:
            self.leave_out(folder, "leads out of the folder that was given, to one above it")
            return "results"
        self.seen[real] = folder
        try:
            names = sorted(path.name for path in folder.iterdir() if not is_hidden(path.name))
        except OSError as error:
            self.problem(folder, f"cannot be listed: {error.strerror}")
            return "slices"  # it may hold some; that it cannot be listed is told
        among_results = among_results or PREDICTIONS in names
        files, folders = self._sorted_out(folder, names)
        own = self._take(folder, files, among_results=among_results)
        held = self._below(folder, folders, level, among_results=among_results, own=own)
        if own == "nothing" and held == "nothing" and RECORDS & set(names):
            self.leave_out(folder, "holds results of an earlier run")
            return "results"
        return own if own != "nothing" else held

    def _sorted_out(self, folder: Path, names: Sequence[str]) -> tuple[list[Path], list[Path]]:
        """A folder's image files, and the folders in it; links to real folders come after those."""
        files, folders = [], []
        for path in (folder / name for name in names):
            image = suffix(path) in TIFF or suffix(path) in PICTURES
            kind = _kind(path)
            if kind == "folder":
                folders.append(path)
            elif kind == "broken":
                self.problem(path, "is a link to nothing")
            elif kind == "unreadable":
                self.problem(path, "cannot be looked at")
            elif kind == "file" and image:
                files.append(path)
            elif image:
                self.problem(path, "is not a regular file")
        return files, sorted(folders, key=lambda path: (path.is_symlink(), path.name))

    def _below(self, folder: Path, folders: Sequence[Path], level: int, *, among_results: bool, own: _Held) -> _Held:
        """Look at the folders in a folder."""
        if level == DEPTH:
            deep = [path for path in folders if os.path.realpath(path) not in self.seen and _holds_image(path)]
            for path in deep:
                self.problem(path, f"lies more than {DEPTH} folders below the one that was given, and was not searched")
            return "slices" if deep else "nothing"
        held = {path: self.visit(path, level + 1, among_results=among_results) for path in folders}
        if own == "slices" and (inner := [path for path, what in held.items() if what == "slices"]):
            self.problem(folder, "holds slices beside folders that hold slices", f", such as {inner[0].name}")
        if own == "slices" or "slices" in held.values() or level == 0:
            for path, what in held.items():
                if what == "nothing":
                    self.problem(path, "holds no slice")
        return next((what for what in _ORDER if what in held.values()), "nothing")

    def _take(self, folder: Path, files: Sequence[Path], *, among_results: bool) -> _Held:
        """Pair a folder's images with its masks, and leave results out."""
        by_role: dict[Role, list[Path]] = {"image": [], "mask": [], "result": []}
        for path in files:
            by_role[slice_name(path).role].append(path)
        images, pictures = self._images(by_role["image"])
        masks = [path for path in by_role["mask"] if suffix(path) in TIFF]
        if by_role["result"]:
            what = "probability maps and overlays of an earlier run"
            self.leave_out(folder, f"holds {what}", f" ({len(by_role['result'])})")
        if not images:
            return self._without_images(folder, by_role, pictures, among_results=among_results)
        if masks and any(path.name == PREDICTIONS for path in folder.iterdir()):
            self.problem(folder, "holds a prediction's results among its slices: its masks may not be a reader's")
            masks = []
        slices, orphans = _paired(images, masks)
        self.problems += _order_problems(folder, slices)
        self.folders.append(SliceFolder(path=folder, slices=slices, orphans=orphans))
        return "slices"

    def _images(self, found: Sequence[Path]) -> tuple[list[Path], list[Path]]:
        """The images that count as slices, and those that are of no format that does."""
        tiffs = [path for path in found if suffix(path) in TIFF]
        others = [path for path in found if suffix(path) not in TIFF]
        return (list(found), []) if self.pictures else (tiffs, others)

    def _without_images(
        self, folder: Path, by_role: Mapping[Role, Sequence[Path]], pictures: Sequence[Path], *, among_results: bool
    ) -> _Held:
        """What a folder is that holds no image: a patient's whose images are gone, or an earlier run's."""
        if pictures:
            self.problem(folder, "holds PNG or JPEG images and no TIFF: save them as TIFF", f" ({len(pictures)} files)")
            return "slices"
        masks, results = by_role["mask"], by_role["result"]
        if not masks:
            return "results" if results else "nothing"
        if among_results or results or not any(belongs(path.stem, _own_name(folder)) for path in masks):
            self.leave_out(folder, "holds masks without images, as an earlier run writes them", f" ({len(masks)})")
            return "results"
        self.folders.append(SliceFolder(path=folder, slices=(), orphans=tuple(masks)))
        return "slices"


_ORDER: Final[tuple[_Held, ...]] = ("slices", "results")


def _paired(images: Sequence[Path], masks: Sequence[Path]) -> tuple[tuple[FoundSlice, ...], tuple[Path, ...]]:
    """Images in order, each with its mask, and masks that are left over."""
    free = {path: slice_name(path).stem for path in masks}
    chosen: dict[Path, Path] = {}
    for exactly in (True, False):  # first the very name, so that names that differ by case alone keep their masks
        by_stem = {stem if exactly else stem.lower(): path for path, stem in reversed(free.items())}
        for image in images:
            mask = by_stem.pop(image.stem if exactly else image.stem.lower(), None)
            if mask is not None and image not in chosen:
                chosen[image] = mask
                del free[mask]
    found = [
        FoundSlice(image=image, number=slice_number(image.stem, _own_name(image.parent)), mask=chosen.get(image))
        for image in images
    ]
    found.sort(key=lambda one: (one.number is None, one.number or 0, natural_order(one.image.name)))
    return tuple(found), tuple(free)


def _order_problems(folder: Path, slices: Sequence[FoundSlice]) -> list[Problem]:
    """Slices that are named after another folder than their own, and numbers that two slices have."""
    problems = []
    name = _own_name(folder)
    own = [one for one in slices if belongs(one.image.stem, name)]
    if own:
        problems += [
            Problem(printable(str(one.image)), "is named otherwise than the other slices", f": {printable(name)}_<n>")
            for one in slices
            if one not in own
        ]
    known: dict[int, Path] = {}
    for one in own or slices:
        if one.number is None:
            continue
        other = known.setdefault(one.number, one.image)
        if other is not one.image:
            problems.append(
                Problem(printable(str(one.image)), "has the number of another slice", f" ({printable(other.name)})")
            )
    return problems


def _own_name(folder: Path) -> str:
    """A folder's name as the system has it."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def _kind(path: Path) -> _Kind:
    """What a path is, links followed."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "broken"
    except OSError as error:
        return "broken" if path.is_symlink() and error.errno == errno.ELOOP else "unreadable"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _holds_image(folder: Path) -> bool:
    """Whether an image lies somewhere below a folder, as far as a bounded look can tell; links are not followed."""
    looked = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        if any(_is_slice(Path(name)) for name in files if not is_hidden(name)):
            return True
        looked += len(folders) + len(files)
        if looked > _PEEK:
            return True
    return False


def _is_slice(path: Path) -> bool:
    """Whether a file's name is that of an image."""
    return suffix(path) in TIFF | PICTURES and slice_name(path).role == "image"
