"""Evaluate a model, or predicted masks, on patients: slices stream through, counts and histograms stay.

Memory does not grow with slices: of each patient a tally is kept, of all patients one fine histogram, and of the
patient at hand the tumour of both masks, a bit a pixel. Everything is compared at the size of the slices themselves.

Legend: N slices of a batch, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.evaluation.summary import Settings, summarise
from brainseg_runtime.evaluation.tally import Tally
from brainseg_runtime.metrics.bootstrap import SAMPLES
from brainseg_runtime.metrics.histogram import Histogram
from brainseg_runtime.metrics.lengths import TOLERANCE, SpacingXYZ

__all__ = ["Case", "Evaluation", "MaskCase", "MaskSlice", "PatientScores", "Predict", "evaluate", "evaluate_masks"]

Slice: TypeAlias = tuple[int, NDArray[np.uint8], NDArray[np.uint8]]
"""Number, image (H, W, 3) uint8, truth (H, W) uint8 with 0 and 1."""

Predict: TypeAlias = Callable[[NDArray[np.uint8]], tuple[NDArray[Any], NDArray[Any]]]
"""From images (N, H, W, 3) uint8 to masks (N, H, W) uint8, 0 or 1, and probabilities (N, H, W) float32 in [0, 1]."""

BATCH: Final = 16
"""Slices predicted at once."""

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskSlice:
    """One slice to compare.

    Attributes:
        number: Its place in the volume.
        mask: (H, W) uint8, 0 or 1: the prediction.
        truth: (H, W) uint8, 0 or 1.
        probability: (H, W) floating point in [0, 1], or None.
    """

    number: int
    mask: NDArray[Any]
    truth: NDArray[Any]
    probability: NDArray[Any] | None


@dataclass(frozen=True)
class Case:
    """One patient to evaluate.

    Attributes:
        patient_id: The folder's name; its second part names the site.
        slices: Number, image and truth of each slice; may be read one by one.
    """

    patient_id: str
    slices: Iterable[Slice]


MaskCase: TypeAlias = tuple[str, Iterable[MaskSlice]]
"""One patient's folder and slices with predicted masks, which may be read one by one."""


def evaluate(  # noqa: PLR0913 - what is recorded and how it is measured, each with a default
    cases: Iterable[Case],
    predict: Predict,
    *,
    threshold: float,
    provider: str = "",
    variant: str = "",
    batch: int = BATCH,
    samples: int = SAMPLES,
    spacing_mm: SpacingXYZ | None = None,
    tolerance: float = TOLERANCE,
    on_patient: Callable[[PatientScores], None] | None = None,
) -> Evaluation:
    """Predict every slice, compare it with the truth, and describe all patients together.

    The result does not depend on `batch` unless `predict`'s does.

    Args:
        cases: Patients, each once, with at least one slice each.
        predict: The model, with the threshold already in its masks.
        threshold: The probability from which it calls a pixel tumour; recorded, not applied.
        provider: What computes; recorded.
        variant: Which weights; recorded.
        batch: Most slices of one size that are predicted at once.
        samples: Bootstrap samples of the intervals, drawn with a fixed seed.
        spacing_mm: Pixel width, pixel height and slice distance of every patient, for scores in mm and mL.
        tolerance: Of the surface Dice, in pixels and, where the spacing is known, in mm.
        on_patient: Called with each patient's scores as soon as they are known.

    Returns:
        Scores pooled, per patient, per slice and per site, with intervals.

    Raises:
        DataError: There is no patient, one occurs twice or has no slice, or `predict` returns other sizes than it got.
        ImageError: A truth does not cover its image, a mask is not binary, or a probability is outside [0, 1].
    """
    settings = Settings(
        threshold=threshold,
        provider=provider,
        variant=variant,
        spacing_mm=spacing_mm,
        tolerance=tolerance,
        samples=samples,
    )
    predicted = ((case.patient_id, _predicted(case, predict, batch)) for case in cases)
    return evaluate_masks(predicted, settings, on_patient=on_patient)


def evaluate_masks(
    cases: Iterable[MaskCase], settings: Settings, *, on_patient: Callable[[PatientScores], None] | None = None
) -> Evaluation:
    """Compare predicted masks with the truth slice by slice, and describe all patients together.

    Args:
        cases: Patients, each once, with at least one slice each; of each a tally stays.
        settings: What is recorded and how it is measured; `no_probability` says why slices come without one.
        on_patient: Called with each patient's scores as soon as they are known.

    Raises:
        DataError: There is no patient, or one occurs twice or has no slice.
        ImageError: A mask does not cover its truth or is not binary, or a probability is outside [0, 1].
    """
    pixels = Histogram.empty()
    tallies: dict[str, Tally] = {}
    scored: list[PatientScores] = []
    for patient_id, slices in cases:
        if patient_id in tallies:
            raise DataError("a patient occurs twice", expected="each patient once", got=patient_id)
        tally = tallies[patient_id] = Tally(patient_id)
        # Neighbours of one size, all with or all without probabilities: one histogram costs less than several.
        for group in _neighbours(slices, BATCH, lambda each: (each.truth.shape, each.probability is None)):
            for each in group:
                tally.add(each.number, each.mask, each.truth)
            known = [each.probability for each in group if each.probability is not None]
            if known:
                histogram = Histogram.of(np.stack(known), np.stack([each.truth for each in group]))
                pixels += histogram
                tally.histogram += histogram.coarse()
        if not tally.all_slices.n:
            raise DataError(f"patient {patient_id} cannot be evaluated", expected="slices", got="none")
        scores = tally.close(settings.spacing_mm, settings.tolerance)
        scored.append(scores)
        if on_patient is not None:
            on_patient(scores)
    if not tallies:
        raise DataError("no slices to evaluate", expected="patients", got="none")
    return summarise(tuple(tallies.values()), scored, pixels, settings)


def _predicted(case: Case, predict: Predict, batch: int) -> Iterator[MaskSlice]:
    """A case's slices, predicted a batch at a time."""
    for group in _neighbours(case.slices, batch, lambda each: (each[1].shape, each[2].shape)):
        images = np.stack([image for _, image, _ in group])
        masks, probabilities = predict(images)
        if masks.shape != images.shape[:3] or probabilities.shape != images.shape[:3]:
            what, got = f"patient {case.patient_id}: a prediction of another size", (masks.shape, probabilities.shape)
            raise DataError(what, expected=images.shape[:3], got=f"{got[0]} and {got[1]}")
        for (number, _, truth), mask, probability in zip(group, masks, probabilities, strict=True):
            yield MaskSlice(number=number, mask=mask, truth=truth, probability=probability)


def _neighbours(slices: Iterable[S], most: int, kind: Callable[[S], object]) -> Iterator[list[S]]:
    """Neighbouring slices of one kind, such as one size, in groups up to a given length."""
    for _, alike in groupby(slices, key=kind):
        while group := list(islice(alike, most)):
            yield group
