"""A data set on disk, evaluated: slices are read ahead of the model, in a thread of their own.

Reading and decoding a slice with its mask takes a few milliseconds, about as long as a fast provider takes to segment
it; done side by side, the slower of the two alone counts. Order and results are those of reading one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import DataError, DatasetError, ImageError
from brainseg_runtime.evaluate import BATCH, Case, PatientScores, Slice, evaluate
from brainseg_runtime.evaluation import Evaluation
from brainseg_runtime.images import patient_problems, read_slice
from brainseg_runtime.images.dataset import Patient, SlicePaths, scan_dataset
from brainseg_runtime.metrics.bootstrap import SAMPLES

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter

AHEAD: Final = 32
"""Slices that are read before they are asked for: two batches, 8 MiB at 256 x 256."""

T = TypeVar("T")
_Read: TypeAlias = tuple[str, Slice]


def evaluate_dataset(
    segmenter: Segmenter,
    root: Path | str,
    *,
    threshold: float | None = None,
    samples: int = SAMPLES,
    on_patient: Callable[[PatientScores], None] | None = None,
) -> Evaluation:
    """Evaluate a model on a data set with masks, such as a site's own patients.

    Args:
        segmenter: The model.
        root: Folder of patient folders.
        threshold: Recorded; None takes the one in the bundle's manifest.
        samples: Bootstrap samples of the intervals.
        on_patient: Called with each patient's scores as soon as they are known.

    Returns:
        As `brainseg evaluate --json` writes it.

    Raises:
        DatasetError: The folder or files in it are faulty; the problems are told together.
        DataError: No threshold is known: the model came without a bundle and none was given.
        InferenceError: The model could not be run.
        MissingExtraError: tifffile is not installed.
    """
    info = segmenter.info
    threshold = info.provenance.threshold if threshold is None else threshold
    if threshold is None:
        raise DataError("the model's threshold is unknown", expected="a bundle, or threshold=", got="neither")
    return evaluate(
        dataset_cases(scan_dataset(root), limits=info.limits),
        lambda images: predict_arrays(segmenter, images),
        threshold=threshold,
        provider=info.provider,
        variant=info.variant,
        batch=min(BATCH, info.limits.max_batch),
        samples=samples,
        on_patient=on_patient,
    )


def dataset_cases(
    patients: Iterable[Patient], *, ahead: int = AHEAD, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Case]:
    """Patients as cases for `evaluate`, their slices read ahead, across patients too.

    Args:
        patients: As `scan_dataset` finds them, with masks and at least one slice each.
        ahead: Slices to hold before they are asked for, at least 1.
        limits: Caps on the files' sizes and on H and W.

    Yields:
        One case for each patient; its slices must be used up before the next one is asked for.

    Raises:
        DatasetError: A slice or mask cannot be read, or the two differ in size. It comes when that slice's turn comes,
            and lists what is wrong with all files from that patient on.
    """
    for patient_id, group in groupby(read_ahead(_slices(patients, limits), ahead), key=lambda read: read[0]):
        yield Case(patient_id, (each for _, each in group))


def _slices(patients: Iterable[Patient], limits: Limits) -> Iterator[_Read]:
    """Read every slice; at the first that cannot be, look through the rest, so that all faults are told at once."""
    remaining = iter(patients)
    for patient in remaining:
        size: tuple[int, ...] | None = None
        for paths in patient.slices:
            try:
                image, mask = _read_of_size(paths, size, limits)
            except ImageError as error:
                problems = [each for one in (patient, *remaining) for each in patient_problems(one, limits=limits)]
                problems = problems or [str(error)]  # a file that was unreadable once
                headline = f"the data set cannot be read: {len(problems)} problem{'s' * (len(problems) > 1)}"
                raise DatasetError(headline, problems=problems) from error
            size = image.shape
            yield patient.id, (paths.number, image, mask)


def _read_of_size(
    paths: SlicePaths, size: tuple[int, ...] | None, limits: Limits
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A slice and its mask, of the size of the patient's other slices."""
    image, mask = read_slice(paths, limits=limits)
    if size is not None and image.shape != size:
        raise ImageError(f"{paths.image} is not of its patient's size", expected=size[:2], got=image.shape[:2])
    return image, mask


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


def read_ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items, made in another thread before they are asked for.

    Args:
        items: Used from that thread alone.
        depth: Most items that wait, at least 1.

    Yields:
        Every item in order; what making one raises, where that item would have come.
    """
    iterator = iter(items)

    def make() -> list[T]:
        return list(islice(iterator, 1))

    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="brainseg-reader")
    try:
        pending: deque[Future[list[T]]] = deque(reader.submit(make) for _ in range(depth))
        while found := pending.popleft().result():
            pending.append(reader.submit(make))
            yield found[0]
    finally:
        reader.shutdown(wait=True, cancel_futures=True)
