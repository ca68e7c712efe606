"""What an earlier run left in a folder for results: whether a new run may go on there, and what `--resume` keeps.

Only finished slices that are proved unchanged are kept. A run by another model, threshold or layout may not go on in
the same folder: masks of both would lie side by side under one record.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, FileWriteError, InputError
from brainseg_runtime.prediction.inputs import Item
from brainseg_runtime.prediction.layout import OUTPUTS, Layout, file_name
from brainseg_runtime.prediction.record import (
    DECISIVE,
    FILE,
    MAX_BYTES,
    Origin,
    OutputFile,
    SliceEntry,
    read_predictions,
    sha256,
)
from brainseg_runtime.problems import first_few
from brainseg_runtime.safe_io.files import is_unfinished, read_capped

_MOST = DEFAULT_LIMITS.max_side**2
_ANEW = "run without --resume and with --overwrite, which starts again, or give another folder with -o"


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """An earlier run's record.

    Attributes:
        origin: What made its masks.
        layout: Where its files lie.
        done: Its finished slices by place; their files are not checked yet, see `still_holds`.
        places: Every slice of it, finished or not.
    """

    origin: Origin
    layout: Layout
    done: Mapping[str, SliceEntry]
    places: frozenset[str]

    def differences(self, origin: Origin, layout: Layout, places: Collection[str]) -> list[str]:
        """What keeps a new run from going on beside this one's files, in words; empty if nothing does.

        Args:
            origin: What the new run makes its masks with.
            layout: Where it will put them.
            places: Its slices. If this run has others, whose files stay, provider and versions must agree as well.
        """
        pairs = {
            "bundle": (self.origin.digest[:12], origin.digest[:12]),
            "variant": (self.origin.variant, origin.variant),
            "threshold": (_threshold_text(self.origin), _threshold_text(origin)),
            "layout": (self.layout, layout),
        }
        if not self.places <= set(places):
            pairs["provider"] = (self.origin.provider, origin.provider)
            pairs |= {name: (self.origin.versions[name], origin.versions[name]) for name in DECISIVE}
        return [f"{name} {before}, now {now}" for name, (before, now) in pairs.items() if before != now]


def read_earlier(out: Path) -> Earlier | None:
    """The record that an earlier run left in a folder; None where there was no run.

    Raises:
        InputError: The file is there and is not what `Predictions.save` writes, or names a file outside the folder.
    """
    found = read_predictions(out, error=InputError, remedy=_ANEW)
    if found is None:
        return None
    done = {}
    for entry in (*found.earlier, *found.slices):
        if entry.status == "done":
            done[_place(entry, found.layout)] = _checked(entry, found.layout)
    places = frozenset({*done, *(_place(entry, found.layout) for entry in found.slices)})
    return Earlier(origin=found.origin, layout=found.layout, done=done, places=places)


def require_same(told: Sequence[str], out: Path) -> None:
    """Refuse to go on in the folder of a run that another model, threshold or layout made.

    Args:
        told: What differs, as `Earlier.differences` says it.
        out: The folder.

    Raises:
        InputError: Something differs.
    """
    if told:
        raise InputError(
            f"{out} holds the results of another run: {'; '.join(told)}",
            expected="the same model, threshold and layout, because one record cannot describe masks of two models",
            remedy="give another folder with -o, or --overwrite, which removes that run's results first",
        )


def require_ours(places: Iterable[str], earlier: Earlier | None, out: Path) -> None:
    """Refuse to replace files that no record lists, such as masks that a reader drew.

    Raises:
        InputError: There are some, or a patient's folder in OUT is a link that leads elsewhere.
    """
    known = earlier.places if earlier is not None else frozenset[str]()
    there: dict[str, set[str]] = {}
    strange: list[str] = []
    for where in places:
        folder = where.rpartition("/")[0]
        if folder not in there:
            there[folder] = _names_in(out / folder, inside=bool(folder))
        if where not in known:
            names = (file_name(where, kind) for kind in OUTPUTS)
            strange.extend(name for name in names if name.rpartition("/")[2] in there[folder])
    if strange:
        raise InputError(
            f"{out} holds files with the names of the results, and no predictions.json there lists them",
            expected="none, or those of an earlier run beside its predictions.json",
            got=first_few(strange),
            remedy="give another folder with -o, or --overwrite to replace them",
        )


def remove_earlier(earlier: Earlier | None, out: Path) -> None:
    """Remove every file that an earlier run wrote, the record last.

    Args:
        earlier: Its record; None where it cannot be read: then the record alone goes.
        out: Where it wrote.

    Raises:
        FileWriteError: The system refused.
    """
    for where in earlier.places if earlier is not None else ():
        remove_outputs(where, out)
    for folder in {where.rpartition("/")[0] for where in (earlier.places if earlier is not None else ())} - {""}:
        with contextlib.suppress(OSError):  # what else lies in it stays
            (out / folder).rmdir()
    _remove(out / FILE)


def remove_abandoned(earlier: Earlier, places: Collection[str], out: Path) -> None:
    """Remove files of slices that an earlier run began and never finished, unless they are to be made again.

    No record will name them any more.

    Args:
        earlier: The earlier run's record.
        places: The slices of this run.
        out: Where it wrote.

    Raises:
        FileWriteError: The system refused.
    """
    for where in earlier.places - set(places) - set(earlier.done):
        remove_outputs(where, out)


def remove_outputs(place: str, out: Path) -> None:
    """Remove a slice's files of an earlier run, of all kinds.

    Raises:
        FileWriteError: The system refused.
    """
    for kind in OUTPUTS:
        _remove(out / file_name(place, kind))


def remove_unfinished(places: Iterable[str], out: Path) -> None:
    """Remove half-written files of these slices and of the record, which a killed run left.

    Raises:
        FileWriteError: The system refused.
    """
    names: dict[str, set[str]] = {"": {FILE}}
    for where in places:
        folder = where.rpartition("/")[0]
        names.setdefault(folder, set()).update(file_name(where, kind).rpartition("/")[2] for kind in OUTPUTS)
    for folder, of in names.items():
        if folder and (out / folder).is_symlink():
            continue
        for name in _names_in(out / folder, inside=bool(folder)):
            if is_unfinished(name, of):
                _remove(out / folder / name)


def taken_over(before: SliceEntry | None, item: Item) -> SliceEntry:
    """The entry of a slice until its turn comes: an earlier run's, at its place in this one, or a pending one.

    Args:
        before: What the earlier run left, or None.
        item: The slice as this run requests it.
    """
    entry = SliceEntry.pending(item)
    return entry if before is None else replace(before, input=entry.input, patient=entry.patient, number=entry.number)


def still_holds(entry: SliceEntry, input_sha256: str, out: Path, wanted: Sequence[str]) -> bool:
    """Whether an earlier run's slice can be kept: the input and every wanted file have the bytes they had.

    Args:
        entry: What the earlier run left.
        input_sha256: Of the input as it is now.
        out: Where the files are.
        wanted: Which of "mask", "probability", "overlay" this run is to make.
    """
    files = [getattr(entry, kind) for kind in wanted]
    if entry.input_sha256 != input_sha256 or None in files:
        return False
    try:
        return all(sha256(read_capped(out / file.file, MAX_BYTES)) == file.sha256 for file in files)
    except BrainsegError:
        return False  # missing or unreadable: the slice is made again


def _remove(path: Path) -> None:
    """Removes a file that may be there."""
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise FileWriteError(
            f"{path} of an earlier run cannot be removed", expected="a writable folder", got=error.strerror
        ) from error


def _names_in(folder: Path, *, inside: bool) -> set[str]:
    """The names of the files in a folder of OUT, or OUT itself; none if it does not exist yet."""
    if inside and folder.is_symlink():
        raise InputError(f"{folder} leads out of the folder for results", expected="a folder", got="a link")
    try:
        return {each.name for each in folder.iterdir() if not each.is_dir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _threshold_text(origin: Origin) -> str:
    """A threshold in words."""
    return "the bundle's own" if origin.threshold is None else f"{origin.threshold:g}"


def _place(entry: SliceEntry, layout: Layout) -> str:
    """A recorded slice's place: a file's name in OUT, or a folder's and a file's, that leads nowhere else."""
    names = [entry.name] if layout == "flat" or not entry.patient else [entry.patient, entry.name]
    strange = "/\\:\0" if os.name == "nt" else "/\0"
    if any(name in {"", ".", ".."} or set(strange) & set(name) for name in names):
        raise _foreign(f"{'/'.join(names)!r}, which leads out of the folder")
    return "/".join(names)


def _checked(entry: SliceEntry, layout: Layout) -> SliceEntry:
    """A finished slice, unless it counts pixels that no image has, or names another file than its own."""
    counts = (entry.height, entry.width, entry.area_px, entry.number or 0)
    if not all(each is not None and 0 <= each <= _MOST for each in counts[:3]) or counts[3] < 0:
        raise _foreign(f"counts of {counts} for {entry.name!r}")
    where = _place(entry, layout)
    for kind in OUTPUTS:
        file: OutputFile | None = getattr(entry, kind)
        if file is not None and file.file != file_name(where, kind):
            raise _foreign(f"{file.file!r} for {file_name(where, kind)!r}")
    return entry


def _foreign(got: str) -> InputError:
    """The error for a record that this program did not write."""
    return InputError(
        f"{FILE} holds values that brainseg predict does not write",
        expected="files of this folder, called after their slices, and their counts of pixels",
        got=got,
        remedy=_ANEW,
    )
