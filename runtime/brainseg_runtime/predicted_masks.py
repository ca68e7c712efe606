"""Predicted masks that are there already: found by the slices' names, and read beside the truth.

Of a slice ``<name>`` of a patient, FOLDER may hold, directly or in folders up to four levels down::

    <name>_mask.tif          or <name>.tif, .tiff or .png, in capitals or not
    <name>_probability.tif   where there are probabilities: float32 in [0, 1]

A file below a folder called after the patient belongs to that patient; any other belongs to the one slice in the data
set that has the name. ``<name>_mask`` comes before ``<name>``, which may be the image. These are the names that
`brainseg predict` writes, in one folder or in one a patient; where it left its `predictions.json`, that decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import DatasetError, ImageError
from brainseg_runtime.evaluate import MaskCase, MaskSlice
from brainseg_runtime.images import read_mask
from brainseg_runtime.images.dataset import Patient, SlicePaths
from brainseg_runtime.prediction_record import read_record
from brainseg_runtime.probability_map import read_probability

SUFFIXES: Final = (".tif", ".tiff", ".png")
MASK, PROBABILITY = "_mask", "_probability"

_DEPTH: Final = 4  # levels below the folder that are looked at; links may form loops
_LITTER: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})
_NO_MASK: Final = "without a predicted mask"
_SHOWN: Final = 3  # names of a group of faults that are told; the count tells the rest

Key: TypeAlias = tuple[str, str]  # patient and slice name; the patient is empty for a file that may be anyone's


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSlice:
    """A slice with its predicted files.

    Attributes:
        paths: Where the image and the truth lie.
        mask: The predicted mask.
        probability: The probability map, or None.
    """

    paths: SlicePaths
    mask: Path
    probability: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictedMasks:
    """Predictions of a data set.

    Attributes:
        patients: Each patient's slices in order, by the patient's name.
        no_probability: Why probabilities are not used; empty where every slice has one.
    """

    patients: Mapping[str, tuple[FoundSlice, ...]]
    no_probability: str


def find_predictions(folder: Path | str, patients: Sequence[Patient]) -> PredictedMasks:
    """Find the predicted mask of every slice of a data set; nothing is decoded.

    Args:
        folder: Where the masks lie.
        patients: As `scan_dataset` finds them, with masks.

    Returns:
        One mask for each slice, and probabilities where every slice has one.

    Raises:
        DatasetError: The folder cannot be read, a slice has no mask, or more than one, or the mask is the truth itself;
            faults of one kind are told together.
    """
    names = Counter(_name(paths) for patient in patients for paths in patient.slices)
    finder = _Finder(Path(folder), names)
    found = {
        patient.id: tuple(one for paths in patient.slices if (one := finder.slice_of(patient, paths)) is not None)
        for patient in patients
    }
    finder.problems.refuse(finder.folder)
    n_probabilities = sum(each.probability is not None for part in found.values() for each in part)
    return PredictedMasks(patients=found, no_probability=_no_probability(n_probabilities, sum(names.values())))


def predicted_cases(predicted: PredictedMasks, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[MaskCase]:
    """Patients as cases for `evaluate_masks`.

    Args:
        predicted: As `find_predictions` found them.
        limits: Caps on the files' sizes and on H and W.

    Yields:
        One case for each patient; its slices are read as they are asked for.

    Raises:
        DatasetError: A file cannot be read, or a prediction differs in size from its truth. It comes when that slice's
            turn comes, and tells of all files from that patient on.
    """
    remaining = list(predicted.patients.items())
    use = not predicted.no_probability
    for index, (patient_id, slices) in enumerate(remaining):
        rest = [each for _, later in remaining[index:] for each in later]
        yield MaskCase(patient_id, _read_slices(slices, rest, limits, probabilities=use))


class _Finder:
    """Finds the files of one slice after the other."""

    def __init__(self, folder: Path, names: Mapping[str, int]) -> None:
        self.folder, self.problems = folder, _Problems()
        self._names = names
        self._files = _files(folder)
        self._recorded = {(one.patient.casefold(), one.name.casefold()): one for one in read_record(folder)}

    def slice_of(self, patient: Patient, paths: SlicePaths) -> FoundSlice | None:
        """A slice with its files; None, and a problem, where it has no mask of its own."""
        name, told = _name(paths), f"{patient.id}/{paths.image.stem}"
        # The patient's own folder first, then anywhere if no other slice has the name.
        owners = [patient.id.casefold(), *([""] if self._names[name] == 1 else [])]
        known = next((self._recorded[who, name] for who in owners if (who, name) in self._recorded), None)
        if known is None:
            mask = self._only([(who, name + ending) for ending in (MASK, "") for who in owners], told)
            probability = self._only([(who, name + PROBABILITY) for who in owners], told)
        else:
            mask, probability = known.mask, known.probability
        if mask is None:
            self.problems.add(f"recorded as {known.status}, without a mask" if known else _NO_MASK, told)
        elif not mask.is_file():
            self.problems.add("whose recorded mask is gone", told)
        elif paths.mask is not None and _same(mask, paths.mask):
            self.problems.add("whose predicted mask is the true one itself", told)
        else:
            return FoundSlice(paths=paths, mask=mask, probability=probability)
        return None

    def _only(self, places: Iterable[Key], told: str) -> Path | None:
        """The file at the first place that holds one."""
        at = next((self._files[place] for place in places if place in self._files), None)
        if at is None:
            return None
        if len(at) > 1:
            self.problems.add("with several predictions", f"{told} ({' and '.join(map(str, at[:2]))})")
        return at[0]


class _Problems:
    """Faults by kind, each with its count and its first names."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """One fault more."""
        self._found.setdefault(kind, []).append(name)

    def refuse(self, folder: Path) -> None:
        """Raise one error that tells of all, if there are any.

        Raises:
            DatasetError: There are.
        """
        if not self._found:
            return
        lines = [_grouped(kind, names) for kind, names in self._found.items()]
        named = (
            "a slice named NAME needs NAME_mask.tif, NAME.tif or NAME.png, in a folder called after its patient or not"
        )
        remedy = named if _NO_MASK in self._found else "give a folder that holds one predicted mask of each slice"
        raise DatasetError(f"the predictions in {folder} cannot be scored", problems=lines, remedy=remedy)


def _grouped(kind: str, names: Sequence[str]) -> str:
    """One line for all faults of a kind."""
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} slice{'s' * (len(names) > 1)} {kind}: {shown}{more}"


def _files(folder: Path) -> dict[Key, list[Path]]:
    """Every image file below a folder, by each folder that it lies in and its name without suffix, in small letters."""
    if not folder.is_dir():
        got = "something else" if folder.exists() else "nothing there"
        raise DatasetError(f"{folder} cannot be read; expected a folder of predicted masks; got {got}")
    found: dict[Key, list[Path]] = {}
    for path in _walk(folder, _DEPTH):
        if path.suffix.casefold() in SUFFIXES:
            for who in {"", folder.resolve().name.casefold(), *map(str.casefold, path.relative_to(folder).parts[:-1])}:
                found.setdefault((who, path.stem.casefold()), []).append(path)
    return found


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """Files below a folder, in order, without what file browsers leave."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"{folder} cannot be listed: {error.strerror}") from error
    for path in entries:
        if path.name.startswith(".") or path.name.casefold() in _LITTER:
            continue
        if path.is_dir():
            if depth:
                yield from _walk(path, depth - 1)
        else:
            yield path


def _name(paths: SlicePaths) -> str:
    """A slice's name, as files are found by it."""
    return paths.image.stem.casefold()


def _same(one: Path, other: Path) -> bool:
    """Whether two names are one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _no_probability(n_probabilities: int, n_slices: int) -> str:
    """Why probabilities are not used; empty where every slice has one."""
    if n_probabilities == n_slices:
        return ""
    if not n_probabilities:
        return "there are no probability maps, only masks"
    return f"only {n_probabilities} of {n_slices} slices have a probability map"


def _read_slices(
    slices: Sequence[FoundSlice], rest: Sequence[FoundSlice], limits: Limits, *, probabilities: bool
) -> Iterator[MaskSlice]:
    """Read a patient's slices; at the first fault look through the rest, so that all are told at once."""
    for each in slices:
        try:
            yield _read(each, limits, probabilities=probabilities)
        except ImageError as error:
            problems = list(_faults(rest, limits, probabilities=probabilities)) or [str(error)]
            headline = f"{len(problems)} prediction{'s' * (len(problems) > 1)} cannot be scored"
            left = len(problems) - 10
            lines = [*problems[:10], *([f"and {left} more"] if left > 0 else [])]
            raise DatasetError(headline, problems=lines) from error


def _faults(slices: Iterable[FoundSlice], limits: Limits, *, probabilities: bool) -> Iterator[str]:
    """What is wrong with each slice that cannot be read."""
    for each in slices:
        try:
            _read(each, limits, probabilities=probabilities)
        except ImageError as error:
            yield str(error)


def _read(each: FoundSlice, limits: Limits, *, probabilities: bool) -> MaskSlice:
    """A slice's masks, all of one size."""
    if each.paths.mask is None:
        raise ImageError(f"{each.paths.image} has no true mask", expected="a mask beside it", got="none")
    truth, mask = read_mask(each.paths.mask, limits=limits), read_mask(each.mask, limits=limits)
    probability = read_probability(each.probability, limits=limits) if probabilities and each.probability else None
    for path, found in ((each.mask, mask), (each.probability, probability)):
        if found is not None and found.shape != truth.shape:
            raise ImageError(f"{path} is not of its slice's size", expected=truth.shape, got=found.shape)
    return MaskSlice(number=each.paths.number, mask=mask, truth=truth, probability=probability)
