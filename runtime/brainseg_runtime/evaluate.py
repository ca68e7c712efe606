"""Evaluate a model on patients: slices stream through, counts and histograms stay.

Memory does not grow with slices: of each patient a tally is kept, of all together one fine histogram. Everything is
compared at the size of the slices themselves.

Legend: N slices of a batch, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation import Evaluation, PatientScores
from brainseg_runtime.metrics import count
from brainseg_runtime.metrics.bootstrap import SAMPLES
from brainseg_runtime.metrics.histogram import Histogram
from brainseg_runtime.tally import Tally, summarise

__all__ = ["Case", "Evaluation", "PatientScores", "Predict", "evaluate"]

Slice: TypeAlias = tuple[int, NDArray[np.uint8], NDArray[np.uint8]]
"""Number, image (H, W, 3) uint8, truth (H, W) uint8 with 0 and 1."""

Predict: TypeAlias = Callable[[NDArray[np.uint8]], tuple[NDArray[Any], NDArray[Any]]]
"""From images (N, H, W, 3) uint8 to masks (N, H, W) uint8, 0 or 1, and probabilities (N, H, W) float32 in [0, 1]."""

BATCH = 16
"""Slices predicted at once."""


@dataclass(frozen=True)
class Case:
    """One patient to evaluate.

    Attributes:
        patient_id: The folder's name; its second part names the site.
        slices: Number, image and truth of each slice, read as they are asked for.
    """

    patient_id: str
    slices: Iterable[Slice]


def evaluate(
    cases: Iterable[Case],
    predict: Predict,
    *,
    threshold: float,
    provider: str = "",
    variant: str = "",
    batch: int = BATCH,
    samples: int = SAMPLES,
    on_patient: Callable[[PatientScores], None] | None = None,
) -> Evaluation:
    """Predict every slice, compare it with the truth, and describe the whole.

    The result does not depend on `batch` unless `predict`'s does.

    Args:
        cases: Patients, each once, with at least one slice each.
        predict: The model, with the threshold already in its masks.
        threshold: The probability from which it calls a pixel tumour; recorded, not applied.
        provider: What computes; recorded.
        variant: Which weights; recorded.
        batch: Most slices of one size that are predicted at once.
        samples: Bootstrap samples of the intervals, drawn with a fixed seed.
        on_patient: Called with each patient's scores as soon as they are known.

    Returns:
        Scores pooled, per patient, per slice and per site, with intervals.

    Raises:
        DataError: There is no patient, one comes twice or has no slice, or `predict` returns other sizes than it got.
        ImageError: A truth does not cover its image, a mask is not binary, or a probability is outside [0, 1].
    """
    pixels = Histogram.empty()
    tallies: dict[str, Tally] = {}
    for case in cases:
        if case.patient_id in tallies:
            raise DataError("a patient comes twice", expected="each patient once", got=case.patient_id)
        tally = tallies[case.patient_id] = Tally(case.patient_id)
        for images, truths in _batches(case, batch):
            masks, probabilities = _predicted(predict, images, case.patient_id)
            histogram = Histogram.of(probabilities, truths)
            pixels += histogram
            tally.histogram += histogram.coarse()
            for mask, truth in zip(masks, truths, strict=True):
                tally.add(count(mask, truth))
        if not tally.all_slices.n:
            raise DataError(f"patient {case.patient_id} cannot be evaluated", expected="slices", got="none")
        if on_patient is not None:
            on_patient(tally.scores())
    if not tallies:
        raise DataError("there is nothing to evaluate", expected="patients", got="none")
    return summarise(
        tuple(tallies.values()), pixels, threshold=threshold, provider=provider, variant=variant, samples=samples
    )


def _batches(case: Case, size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(N, H, W, 3) images and (N, H, W) truths of neighbouring slices that have one size."""
    images: list[NDArray[np.uint8]] = []
    truths: list[NDArray[np.uint8]] = []
    for _, image, truth in case.slices:
        if images and (len(images) >= size or image.shape != images[0].shape or truth.shape != truths[0].shape):
            yield np.stack(images), np.stack(truths)
            images, truths = [], []
        images.append(image)
        truths.append(truth)
    if images:
        yield np.stack(images), np.stack(truths)


def _predicted(predict: Predict, images: NDArray[np.uint8], patient: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Masks and probabilities of a batch, of its size."""
    masks, probabilities = predict(images)
    if masks.shape != images.shape[:3] or probabilities.shape != images.shape[:3]:
        got = f"{masks.shape} and {probabilities.shape}"
        raise DataError(f"patient {patient}: a prediction of another size", expected=images.shape[:3], got=got)
    return masks, probabilities
