"""Predicted masks of any program: found by the slices' names, and read beside the truth.

Of a slice ``<name>`` of a patient, FOLDER may hold, directly or in folders up to four levels down::

    <name>_mask.tif          or <name>.tif, .tiff or .png, in capitals or not
    <name>_probability.tif   where there are probabilities: float32 in [0, 1]

A file below a folder called after the patient belongs to that patient; any other belongs to the one slice in the data
set that has the name. ``<name>_mask`` comes before ``<name>``, which may be the image. These are the names that
`brainseg predict` writes, in one folder or in one a patient; where it left its `predictions.json`, that decides.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import DataError, DatasetError, ImageError
from brainseg_runtime.evaluation.dataset import until_faulty
from brainseg_runtime.evaluation.evaluate import MaskCase, MaskSlice
from brainseg_runtime.images.dataset import Patient, SlicePaths
from brainseg_runtime.images.finder import files_below
from brainseg_runtime.images.formats import is_lossless_name
from brainseg_runtime.images.names import MASK
from brainseg_runtime.images.probability_map import read_probability
from brainseg_runtime.images.reading import read_pair, size_problem
from brainseg_runtime.prediction.record import FILE, OutputFile, SliceEntry, read_predictions
from brainseg_runtime.problems import Problem, printable

_PROBABILITY: Final = "_probability"
_DEPTH: Final = 4  # levels below the folder that are searched; links may form loops
_NO_MASK: Final = "has no predicted mask"
_NAMES: Final = (
    "name the mask of slice NAME NAME_mask.tif, NAME.tif or NAME.png, with or without a folder named after its patient"
)

Key: TypeAlias = tuple[str, str]  # patient and slice name; the patient is empty for a file that may be anyone's


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictedSlice:
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

    patients: Mapping[str, tuple[PredictedSlice, ...]]
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
            one error lists every fault.
    """
    names = Counter(_name(paths) for patient in patients for paths in patient.slices)
    finder = _Finder(Path(folder), names)
    found = {
        patient.id: tuple(one for paths in patient.slices if (one := finder.slice_of(patient, paths)) is not None)
        for patient in patients
    }
    if finder.problems:
        nothing = any(problem.kind == _NO_MASK for problem in finder.problems)
        raise DatasetError(
            f"the predictions in {folder} cannot be scored",
            problems=finder.problems,
            remedy=_NAMES if nothing else "give a folder with one predicted mask for each slice",
        )
    n_probabilities = sum(each.probability is not None for part in found.values() for each in part)
    return PredictedMasks(patients=found, no_probability=_no_probability(n_probabilities, sum(names.values())))


def predicted_cases(predicted: PredictedMasks, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[MaskCase]:
    """Patients as cases for `evaluate_masks`.

    Args:
        predicted: As `find_predictions` found them.
        limits: Caps on the files' sizes and on H and W.

    Yields:
        Each patient's name and slices, which must be used up before the next case.

    Raises:
        DatasetError: A file cannot be read, or a prediction differs in size from its truth; raised once all were read,
            so that it lists every fault.
    """
    with contextlib.closing(until_faulty(_reads(predicted, limits), "the predictions cannot be scored")) as slices:
        for patient_id, group in groupby(slices, key=lambda read: read[0]):
            yield patient_id, (each for _, each in group)


def _reads(predicted: PredictedMasks, limits: Limits) -> Iterator[tuple[tuple[str, MaskSlice] | None, list[Problem]]]:
    """Each slice that could be read, and what is wrong with its files."""
    for patient_id, slices in predicted.patients.items():
        for each in slices:
            problems: list[Problem] = []
            read = _read(each, limits, problems, probabilities=not predicted.no_probability)
            yield None if read is None else (patient_id, read), problems


def _read(each: PredictedSlice, limits: Limits, problems: list[Problem], *, probabilities: bool) -> MaskSlice | None:
    """A slice's masks, all of one size; None, with the reason among the problems, if one cannot be read."""
    true, found = (read_pair(None, path, limits=limits) for path in (each.paths.mask, each.mask))
    problems += (*true.problems, *found.problems)
    probability = None
    if probabilities and each.probability is not None:
        try:
            probability = read_probability(each.probability, limits=limits)
        except ImageError as error:
            problems.append(Problem(printable(str(error)), ": a probability map that cannot be used"))
    if true.mask is None or found.mask is None:
        return None
    for path, pixels in ((each.mask, found.mask), (each.probability, probability)):
        if pixels is not None and pixels.shape != true.mask.shape:
            problems.append(size_problem(path, "its slice's size", true.mask.shape, pixels.shape))
    return MaskSlice(number=each.paths.number, mask=found.mask, truth=true.mask, probability=probability)


class _Finder:
    """Finds the files of one slice after the other."""

    def __init__(self, folder: Path, names: Mapping[str, int]) -> None:
        self.problems: list[Problem] = []
        self._names = names
        self._files = _files(folder)
        self._folder = folder
        self._recorded = _recorded(folder)

    def slice_of(self, patient: Patient, paths: SlicePaths) -> PredictedSlice | None:
        """A slice with its files; None, and a problem, where it has no mask of its own."""
        name, shown = _name(paths), printable(f"{patient.id}/{paths.image.stem}")
        # The patient's own folder first, then anywhere if no other slice has the name.
        owners = [patient.id.casefold(), *([""] if self._names[name] == 1 else [])]
        known = next((self._recorded[who, name] for who in owners if (who, name) in self._recorded), None)
        if known is None:
            mask = self._only([(who, name + ending) for ending in (MASK, "") for who in owners], shown)
            probability = self._only([(who, name + _PROBABILITY) for who in owners], shown)
        else:
            mask, probability = (_inside(self._folder, file) for file in (known.mask, known.probability))
        if mask is None:
            kind = f"is recorded as {known.status}, without a mask" if known else _NO_MASK
            self.problems.append(Problem(shown, kind))
        elif not mask.is_file():
            self.problems.append(Problem(shown, "has a recorded mask that is missing"))
        elif paths.mask is not None and _same(mask, paths.mask):
            self.problems.append(Problem(shown, "has its true mask in place of a predicted one"))
        else:
            return PredictedSlice(paths=paths, mask=mask, probability=probability)
        return None

    def _only(self, places: Iterable[Key], shown: str) -> Path | None:
        """The file at the first place that holds one."""
        at = next((self._files[place] for place in places if place in self._files), None)
        if at is None:
            return None
        if len(at) > 1:
            both = printable(" and ".join(map(str, at[:2])))
            self.problems.append(Problem(shown, "has several predictions", f": {both}"))
        return at[0]


def _files(folder: Path) -> dict[Key, list[Path]]:
    """Every image file below a folder, by each folder that it lies in and its name without suffix, in small letters."""
    if not folder.is_dir():
        got = "something else" if folder.exists() else "nothing there"
        raise DatasetError(f"{folder} cannot be read; expected a folder of predicted masks; got {got}")
    found: dict[Key, list[Path]] = {}
    for path in files_below(folder, depth=_DEPTH):
        if is_lossless_name(path.name):
            for who in {"", folder.resolve().name.casefold(), *map(str.casefold, path.relative_to(folder).parts[:-1])}:
                found.setdefault((who, path.stem.casefold()), []).append(path)
    return found


def _recorded(folder: Path) -> dict[Key, SliceEntry]:
    """What the record of `brainseg predict` says of each slice; nothing where it left none."""
    remedy = "move it away, and masks are found by their names"
    found = read_predictions(folder, error=DataError, remedy=remedy, ours_only=False)
    entries = () if found is None else found.slices
    for file in (file for each in entries for file in (each.mask, each.probability)):
        _inside(folder, file)
    return {((each.patient or "").casefold(), each.name.casefold()): each for each in entries}


def _inside(folder: Path, file: OutputFile | None) -> Path | None:
    """The path of a recorded file, which must lie in the folder."""
    if file is None:
        return None
    parts = file.file.split("/")
    if {"", ".", ".."} & set(parts) or set("\\:" if os.name == "nt" else "\\") & set(file.file):
        raise DataError(f"{folder / FILE} cannot be read", expected="files in its folder", got=repr(file.file)[:200])
    return folder / file.file


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
