"""Score a model under perturbations: every patient is read once, then perturbed and predicted in each way.

A patient's slices are held in memory while their turn lasts; of each perturbation the patient's counts stay.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.dataset import dataset_cases, predict_arrays
from brainseg_runtime.evaluation.evaluate import BATCH, Case, Predict
from brainseg_runtime.evaluation.notes import Notes
from brainseg_runtime.evaluation.result import VolumeScore
from brainseg_runtime.evaluation.stress_table import (
    UNPERTURBED,
    Difference,
    Marked,
    StressedPatient,
    StressRow,
    StressTable,
)
from brainseg_runtime.images.dataset import Patient
from brainseg_runtime.metrics import Counts, count, dice
from brainseg_runtime.metrics.bootstrap import SAMPLES
from brainseg_runtime.metrics.lengths import SpacingXYZ
from brainseg_runtime.perturbations.slices import TrueSlice
from brainseg_runtime.perturbations.table import PERTURBATIONS, SEED, Perturbation, perturbed
from brainseg_runtime.perturbations.volume import Volume

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter

NOTHING: Final = Perturbation(name=UNPERTURBED, group="", about="as read", apply=lambda view: view.slice)
"""What the others are compared with."""

_NO_SPACING: Final = "the spacing in mm is unknown"


def stress_dataset(
    segmenter: Segmenter,
    patients: Iterable[Patient],
    *,
    without_tumour: bool = False,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
    seed: int = SEED,
    samples: int = SAMPLES,
    spacing_mm: SpacingXYZ | None = None,
    on_slices: Callable[[int], None] | None = None,
) -> StressTable:
    """Score a model on a data set under perturbations.

    Args:
        segmenter: The model.
        patients: As `scan_dataset` finds them.
        without_tumour: No patient has tumour: masks may be missing, and those that are there must be empty.
        perturbations: Which, in the order of the rows; `unperturbed` is added before them.
        seed: Of what perturbations draw at random, from 0.
        samples: Bootstrap samples of the intervals.
        spacing_mm: Pixel width, pixel height and slice distance of every patient.
        on_slices: Called with a number of slices as soon as they are predicted.

    Returns:
        As `brainseg evaluate --stress --json` writes it.

    Raises:
        DatasetError: Files are faulty; one error lists every fault.
        InferenceError: The model could not be run.
    """
    info = segmenter.info
    return stress(
        dataset_cases(patients, limits=info.limits, without_tumour=without_tumour),
        lambda images: predict_arrays(segmenter, images),
        provider=info.provider,
        variant=info.variant,
        perturbations=perturbations,
        seed=seed,
        batch=min(BATCH, info.limits.max_batch),
        samples=samples,
        spacing_mm=spacing_mm,
        on_slices=on_slices,
    )


def stress(  # noqa: PLR0913 - what is recorded and how it is measured, each with a default
    cases: Iterable[Case],
    predict: Predict,
    *,
    provider: str = "",
    variant: str = "",
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
    seed: int = SEED,
    batch: int = BATCH,
    samples: int = SAMPLES,
    spacing_mm: SpacingXYZ | None = None,
    on_slices: Callable[[int], None] | None = None,
) -> StressTable:
    """Score a model under perturbations.

    Args:
        cases: Patients, each once, with at least one slice each, all of one size.
        predict: The model, with the threshold already in its masks.
        provider: What computes; recorded.
        variant: Which weights; recorded.
        perturbations: Which, in the order of the rows; `unperturbed` is added before them.
        seed: Of what perturbations draw at random, from 0.
        batch: Most slices that are predicted at once.
        samples: Bootstrap samples of the intervals, drawn with a fixed seed.
        spacing_mm: Pixel width, pixel height and slice distance of every patient.
        on_slices: Called with a number of slices as soon as they are predicted.

    Raises:
        DataError: There is no patient, one occurs twice, has no slice or slices of several sizes, or two perturbations
            have one name.
    """
    every = (NOTHING, *perturbations)
    if len({each.name for each in every}) != len(every):
        raise DataError("perturbations share a name", expected="each once", got=[each.name for each in every])
    found: dict[str, list[StressedPatient]] = {each.name: [] for each in every}
    seen: set[str] = set()
    n_slices = 0
    for case in cases:
        if case.patient_id in seen:
            raise DataError("a patient occurs twice", expected="each patient once", got=case.patient_id)
        seen.add(case.patient_id)
        volume = Volume([TrueSlice(image, truth) for _, image, truth in case.slices])
        n_slices += len(volume.slices)
        has_tumour = any(one.mask.any() for one in volume.slices)
        for each in every:
            counted = _counted(perturbed(volume, each, seed=seed), predict, batch, on_slices)
            found[each.name].append(_patient(case.patient_id, *counted, spacing_mm, has_tumour=has_tumour))
    if not seen:
        raise DataError("no slices to evaluate", expected="patients", got="none")
    notes = Notes(samples)
    rows = tuple(_row(each, found[each.name], found[UNPERTURBED], notes) for each in every)
    with_tumour = sum(patient.dice is not None for patient in found[UNPERTURBED])
    if with_tumour < len(seen) and spacing_mm is None:
        notes.note("marked.ml", _NO_SPACING)
    return StressTable(
        n_patients=len(seen),
        n_with_tumour=with_tumour,
        n_without_tumour=len(seen) - with_tumour,
        n_slices=n_slices,
        seed=seed,
        provider=provider,
        variant=variant,
        spacing_mm=spacing_mm,
        rows=rows,
        missing=notes.missing(),
    )


def _counted(
    slices: Iterator[TrueSlice], predict: Predict, batch: int, on_slices: Callable[[int], None] | None
) -> tuple[Counts, float]:
    """A patient's counts, in the pixels that were predicted, and the area of such a pixel."""
    counts, area = Counts(), 1.0
    while group := list(islice(slices, batch)):
        images = np.stack([one.image for one in group])
        masks = predict(images)[0]
        if masks.shape != images.shape[:3]:
            raise DataError("a prediction of another size", expected=images.shape[:3], got=masks.shape)
        counts += count(masks, np.stack([one.mask for one in group]))
        area = group[0].pixel_area
        if on_slices is not None:
            on_slices(len(group))
    return counts, area


def _patient(
    patient_id: str, counts: Counts, area: float, spacing_mm: SpacingXYZ | None, *, has_tumour: bool
) -> StressedPatient:
    """A patient's figures; whether there is tumour is a matter of the unperturbed truth."""
    marked = counts.predicted * area
    return StressedPatient(
        id=patient_id,
        true_px=counts.truth * area,
        marked_px=marked,
        marked_ml=None if spacing_mm is None else marked * math.prod(spacing_mm) / 1000,
        dice=dice(counts) if has_tumour else None,
    )


def _row(
    perturbation: Perturbation,
    patients: Sequence[StressedPatient],
    unperturbed: Sequence[StressedPatient],
    notes: Notes,
) -> StressRow:
    """All patients under one perturbation."""
    place = f"rows.{perturbation.name}"
    pairs = [
        (here.dice, before.dice)
        for here, before in zip(patients, unperturbed, strict=True)
        if here.dice is not None and before.dice is not None
    ]
    scores = [here for here, _ in pairs]
    losses = [here - before for here, before in pairs]
    return StressRow(
        name=perturbation.name,
        group=perturbation.group,
        about=perturbation.about,
        dice=VolumeScore(
            mean=float(np.mean(scores)),
            median=float(np.median(scores)),
            min=min(scores),
            ci95=notes.mean(f"{place}.dice.ci95", scores),
        )
        if scores
        else None,
        difference=Difference(
            mean=float(np.mean(losses)), ci95=notes.mean(f"{place}.difference.ci95", losses), min=min(losses)
        )
        if losses and perturbation.name != UNPERTURBED
        else None,
        marked=_marked([patient for patient in patients if patient.dice is None]),
        patients=tuple(patients),
    )


def _marked(patients: Sequence[StressedPatient]) -> Marked | None:
    """What was marked in patients without tumour."""
    if not patients:
        return None
    px = [patient.marked_px for patient in patients]
    ml = [patient.marked_ml for patient in patients if patient.marked_ml is not None]
    return Marked(
        n=len(patients),
        px_mean=float(np.mean(px)),
        px_max=max(px),
        ml_mean=float(np.mean(ml)) if ml else None,
        ml_max=max(ml) if ml else None,
    )
