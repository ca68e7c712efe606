"""Evaluate a data set on disk: slices are read ahead of the model, in a thread of their own.

Reading and decoding a slice with its mask takes a few milliseconds, about as long as a fast provider takes to segment
it; in parallel, only the slower of the two counts. Order and results are those of reading one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import DataError, DatasetError
from brainseg_runtime.evaluation.evaluate import BATCH, Case, PatientScores, Slice, evaluate
from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.images.dataset import Masks, Patient, SlicePaths, scan_dataset
from brainseg_runtime.images.reading import Pair, read_ahead, read_pair, size_problem
from brainseg_runtime.metrics.bootstrap import SAMPLES
from brainseg_runtime.metrics.lengths import TOLERANCE, SpacingXYZ
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import Problem, printable

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter

T = TypeVar("T")

AHEAD: Final = 32
"""Slices that are read in advance: two batches, 8 MiB at 256 x 256."""


def evaluate_dataset(
    segmenter: Segmenter,
    data: Path | str | Iterable[Patient],
    *,
    threshold: float | None = None,
    samples: int = SAMPLES,
    spacing_mm: SpacingXYZ | None = None,
    tolerance: float = TOLERANCE,
    without_tumour: bool = False,
    on_patient: Callable[[PatientScores], None] | None = None,
) -> Evaluation:
    """Evaluate a model on a data set with masks, such as a site's own patients.

    Args:
        segmenter: The model.
        data: Folder of patient folders, or the patients that `scan_dataset` found in one.
        threshold: Recorded; None takes the one in the bundle's manifest.
        samples: Bootstrap samples of the intervals.
        spacing_mm: Pixel width, pixel height and slice distance of every patient, for scores in mm and mL.
        tolerance: Of the surface Dice, in pixels and, where the spacing is known, in mm.
        without_tumour: No patient has tumour: masks may be missing, and those that are there must be empty.
        on_patient: Called with each patient's scores as soon as they are known.

    Returns:
        As `brainseg evaluate --json` writes it.

    Raises:
        DatasetError: The folder or files in it are faulty; one error lists every fault.
        DataError: The model came without a bundle and no threshold was given.
        InferenceError: The model could not be run.
        MissingExtraError: tifffile is not installed.
    """
    info = segmenter.info
    threshold = info.provenance.threshold if threshold is None else threshold
    if threshold is None:
        raise DataError(
            "the model's threshold is unknown", expected="a model with a bundle, or threshold=", got="neither"
        )
    masks: Masks = "optional" if without_tumour else "required"
    patients = scan_dataset(data, masks=masks) if isinstance(data, Path | str) else data
    return evaluate(
        dataset_cases(patients, limits=info.limits, without_tumour=without_tumour),
        lambda images: predict_arrays(segmenter, images),
        threshold=threshold,
        provider=info.provider,
        variant=info.variant,
        batch=min(BATCH, info.limits.max_batch),
        samples=samples,
        spacing_mm=spacing_mm,
        tolerance=tolerance,
        on_patient=on_patient,
    )


def dataset_cases(
    patients: Iterable[Patient], *, ahead: int = AHEAD, limits: Limits = DEFAULT_LIMITS, without_tumour: bool = False
) -> Iterator[Case]:
    """Patients as cases for `evaluate`, their slices read ahead, across patients too.

    Args:
        patients: As `scan_dataset` finds them, with masks and at least one slice each.
        ahead: Slices to read in advance, at least 1.
        limits: Caps on the files' sizes and on H and W.
        without_tumour: No patient has tumour: masks may be missing, and those that are there must be empty.

    Yields:
        One case for each patient; its slices must be used up before the next case.

    Raises:
        DatasetError: A slice or mask cannot be read, or the two differ in size. Raised when that slice's turn comes; it
            lists every fault from there on.
    """

    def read(ref: tuple[str, SlicePaths]) -> tuple[str, SlicePaths, Pair]:
        pair = read_pair(ref[1].image, ref[1].mask, limits=limits)
        return (*ref, _without_tumour(pair, ref[1].mask) if without_tumour else pair)

    refs = ((patient.id, paths) for patient in patients for paths in patient.slices)
    reads = read_ahead(refs, read, depth=ahead)
    checked = until_faulty(_checked(reads), "the data set cannot be read")
    with contextlib.closing(reads), contextlib.closing(checked) as slices:
        for patient_id, group in groupby(slices, key=lambda read: read[0]):
            yield Case(patient_id, (each for _, each in group))


def _checked(
    reads: Iterable[tuple[str, SlicePaths, Pair]],
) -> Iterator[tuple[tuple[str, Slice] | None, list[Problem]]]:
    """Each slice that could be read, and what is wrong with it."""
    patient, size = "", (0, 0)
    for patient_id, paths, pair in reads:
        problems = list(pair.problems)
        if paths.mask is None and pair.mask is None:
            problems.append(Problem(str(paths.image), "has no mask"))
        if pair.image is not None and patient_id != patient:
            patient, size = patient_id, pair.image.shape[:2]
        elif pair.image is not None and pair.image.shape[:2] != size:
            problems.append(size_problem(paths.image, "its patient's size", size, pair.image.shape))
        if pair.image is None or pair.mask is None:
            yield None, problems
        else:
            yield (patient_id, (paths.number, pair.image, pair.mask)), problems


def _without_tumour(pair: Pair, path: Path | None) -> Pair:
    """An image that is said to have no tumour, with an empty truth; a mask that says otherwise is a problem."""
    if path is not None:
        if pair.mask is None or not pair.mask.any():
            return pair
        contradiction = Problem(printable(str(path)), "holds tumour, though the patients are said to have none")
        return Pair(image=pair.image, mask=pair.mask, problems=(*pair.problems, contradiction))
    mask = None if pair.image is None else np.zeros(pair.image.shape[:2], np.uint8)
    return Pair(image=pair.image, mask=mask, problems=pair.problems)


def until_faulty(reads: Iterable[tuple[T | None, Iterable[Problem]]], what: str) -> Generator[T, None, None]:
    """Yields slices up to the first fault, then reads the rest, so that one error lists every fault.

    Args:
        reads: What was read, None where it could not be, with its faults.
        what: The error's text.

    Raises:
        DatasetError: There was a fault; once all were read.
    """
    problems: list[Problem] = []
    for read, faults in reads:
        problems += faults
        if read is not None and not problems:
            yield read
    if problems:
        raise DatasetError(f"{what}: {counted(len(problems), 'problem')}", problems=problems)


def predict_arrays(segmenter: Segmenter, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A segmenter as the `Predict` that `evaluate` takes.

    Args:
        segmenter: The model.
        images: (N, H, W, 3) uint8.

    Returns:
        (N, H, W) uint8 masks with 0 and 1, and (N, H, W) float32 probabilities in [0, 1].
    """
    results = segmenter.predict_batch(images)
    return np.stack([result.mask for result in results]), np.stack([result.probability for result in results])
