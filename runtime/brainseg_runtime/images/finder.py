"""The one finder: which folders below an input hold slices, and what else lies there.

`brainseg predict`, `brainseg evaluate`, `brainseg-train` and `brainseg-export` all find their slices here, by the same
rules. A folder that directly holds images is a patient's; folders are searched `DEPTH` levels down. Links are followed,
but each folder is visited once, under its own name if it has one below the input; so loops of links end. Hidden files
and litter are ignored; results of earlier runs are left out and reported; whatever else does not fit is reported as a
problem. Only names are looked at.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.errors import DatasetError
from brainseg_runtime.images.formats import format_names, is_data_set_name, is_image_name
from brainseg_runtime.images.names import Role, belongs, folder_name, own_name, slice_name
from brainseg_runtime.images.pairing import FoundSlice, order_problems, paired
from brainseg_runtime.problems import Problem, printable
from brainseg_runtime.safe_io.litter import is_hidden

DEPTH: Final = 3
"""Levels under an input that are searched; a data set has one, the archive it is downloaded as two."""

TOO_DEEP: Final = f"lies more than {DEPTH} folders below the input and was not searched"

_PEEK: Final = 10_000
"""Entries looked at below that for images; where there are more, images are assumed."""

PREDICTIONS: Final = "predictions.json"
"""The record of a prediction, beside the masks that it made."""

RECORDS: Final = frozenset({PREDICTIONS, "run.json", "study.json"})
"""Files by which the folder of a prediction, a training run or a study is recognised."""

WHY_NO_FOLDER: Final = {
    "absent": "does not exist",
    "broken": "is a broken link",
    "unreadable": "cannot be accessed: permission denied or invalid name",
}
"""What is said of a path that is not there, by its kind."""

Kind: TypeAlias = Literal["folder", "file", "other", "broken", "absent", "unreadable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceFolder:
    """A folder that directly holds images, or masks whose images are gone.

    Attributes:
        path: The folder, by the path through which it was found.
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
        left_out: Results of earlier runs, and folders that were reached twice.
    """

    folders: tuple[SliceFolder, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[Problem, ...]


def find(root: Path, *, pictures: bool = False) -> Found:
    """Search a folder for slices.

    Args:
        root: An existing folder.
        pictures: Whether files of every format that is read are slices, PNG and JPEG too.
    """
    search = _Search(root, pictures)
    if search.visit(root, 0, among_results=False) == "nothing" and not search.problems:
        search.problem(root, "holds no patient folder and no slice")
    return Found(
        folders=tuple(sorted(search.folders, key=lambda folder: folder.path.parts)),
        problems=tuple(search.problems),
        left_out=tuple(search.left_out),
    )


_Held: TypeAlias = Literal["slices", "results", "nothing"]


class _Search:
    """One search and what it has found so far."""

    def __init__(self, root: Path, pictures: bool) -> None:
        self.root = os.path.realpath(root)
        self.pictures = pictures
        self.folders: list[SliceFolder] = []
        self.problems: list[Problem] = []
        self.left_out: list[Problem] = []
        self.real = frozenset(_real_folders(self.root, DEPTH))
        self.seen: set[str] = set()

    def problem(self, path: Path, kind: str, detail: str = "") -> None:
        self.problems.append(Problem(printable(str(path)), kind, printable(detail)))

    def leave_out(self, path: Path, kind: str, detail: str = "") -> None:
        self.left_out.append(Problem(printable(str(path)), kind, printable(detail)))

    def visit(self, folder: Path, level: int, *, among_results: bool) -> _Held:
        """Look at a folder and those in it; returns what they hold.

        Args:
            folder: Where.
            level: How far below the input.
            among_results: Whether a folder above is that of a prediction.
        """
        real = os.path.realpath(folder)
        if level and self._known(folder):
            self.leave_out(folder, "is a link to a folder that is searched anyway", f" ({real})")
            return "results"
        self.seen.add(real)
        try:
            names = sorted(path.name for path in folder.iterdir() if not is_hidden(path.name))
        except OSError as error:
            self.problem(folder, f"cannot be listed: {error.strerror}")
            return "slices"  # it may hold some; the problem is reported
        among_results = among_results or PREDICTIONS in names
        files, folders = self._sorted_out(folder, names)
        own = self._take(folder, files, among_results=among_results)
        held = self._below(folder, folders, level, among_results=among_results, own=own)
        if own == "nothing" and held == "nothing" and RECORDS & set(names):
            self.leave_out(folder, "holds results of an earlier run")
            return "results"
        return own if own != "nothing" else held

    def _known(self, folder: Path) -> bool:
        """Whether a folder is a link to one that is searched anyway, or to one above the input."""
        if not folder.is_symlink():
            return False
        real = os.path.realpath(folder)
        return real in self.real or real in self.seen or Path(real) in Path(self.root).parents

    def _sorted_out(self, folder: Path, names: Sequence[str]) -> tuple[list[Path], list[Path]]:
        """A folder's image files, and the folders in it."""
        files, folders = [], []
        for path in (folder / name for name in names):
            image = is_image_name(path.name)
            kind = kind_of(path)
            if kind == "folder":
                folders.append(path)
            elif kind in {"broken", "unreadable"}:
                self.problem(path, WHY_NO_FOLDER[kind])
            elif kind == "file" and image:
                files.append(path)
            elif image:
                self.problem(path, "is not a regular file")
        return files, folders

    def _below(self, folder: Path, folders: Sequence[Path], level: int, *, among_results: bool, own: _Held) -> _Held:
        """Look at the folders in a folder."""
        if level == DEPTH:
            deep = [path for path in folders if not self._known(path) and _holds_image(path)]
            for path in deep:
                self.problem(path, TOO_DEEP)
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
        masks = [path for path in by_role["mask"] if is_data_set_name(path.name)]
        if by_role["result"]:
            what = "probability maps and overlays of an earlier run"
            self.leave_out(folder, f"holds {what}", f" ({len(by_role['result'])})")
        if not images:
            return self._without_images(folder, by_role, pictures, among_results=among_results)
        if masks and any(path.name == PREDICTIONS for path in folder.iterdir()):
            self.problem(folder, "holds a prediction's results among its slices: its masks may not be a reader's")
            masks = []
        slices, orphans = paired(images, masks)
        self.problems += order_problems(folder, slices)
        self.folders.append(SliceFolder(path=folder, slices=slices, orphans=orphans))
        return "slices"

    def _images(self, found: Sequence[Path]) -> tuple[list[Path], list[Path]]:
        """The images that count as slices, and those in other formats."""
        if self.pictures:
            return list(found), []
        slices = [path for path in found if is_data_set_name(path.name)]
        return slices, [path for path in found if not is_data_set_name(path.name)]

    def _without_images(
        self, folder: Path, by_role: Mapping[Role, Sequence[Path]], pictures: Sequence[Path], *, among_results: bool
    ) -> _Held:
        """Describe a folder without images: a patient's whose images are missing, or an earlier run's."""
        if pictures:
            own = format_names(lambda reader: reader.in_data_sets)
            others = format_names(lambda reader: not reader.in_data_sets)
            self.problem(folder, f"holds {others} images and no {own}: save them as {own}", f" ({len(pictures)} files)")
            return "slices"
        masks, results = by_role["mask"], by_role["result"]
        if not masks:
            return "results" if results else "nothing"
        if among_results or results or not any(belongs(path.stem, own_name(folder)) for path in masks):
            self.leave_out(folder, "holds masks without images, as an earlier run writes them", f" ({len(masks)})")
            return "results"
        self.folders.append(SliceFolder(path=folder, slices=(), orphans=tuple(masks)))
        return "slices"


_ORDER: Final[tuple[_Held, ...]] = ("slices", "results")


def _real_folders(folder: str, depth: int) -> Iterator[str]:
    """A folder and those below it that are reached without links."""
    yield folder
    try:
        inner = [each.path for each in os.scandir(folder) if depth and each.is_dir(follow_symlinks=False)]
    except OSError:  # reported when the search itself comes to it
        return
    for path in inner:
        if not is_hidden(Path(path).name):
            yield from _real_folders(path, depth - 1)


def kind_of(path: Path) -> Kind:
    """The kind of a path, links followed; never raises."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "broken" if os.path.lexists(path) else "absent"
    except (OSError, ValueError) as error:  # no permission, a loop of links, or a name that no file can have
        return "broken" if getattr(error, "errno", None) == errno.ELOOP else "unreadable"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def files_below(folder: Path, *, depth: int) -> Iterator[Path]:
    """Files in a folder and up to `depth` levels below it, in order, without litter; links are followed.

    Raises:
        DatasetError: A folder cannot be listed.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except OSError as error:
        raise DatasetError(f"{folder} cannot be listed: {error.strerror}") from error
    for path in entries:
        if not path.is_dir():
            yield path
        elif depth:
            yield from files_below(path, depth=depth - 1)


def _holds_image(folder: Path) -> bool:
    """Whether an image lies somewhere below a folder, or too much to look through; links are not followed."""
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
    return is_image_name(path.name) and slice_name(path).role == "image"
