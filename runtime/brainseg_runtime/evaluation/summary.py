"""All patients' tallies to an `Evaluation`, with a reason for each figure that is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainseg_runtime.evaluation.notes import Notes
from brainseg_runtime.evaluation.result import (
    AreaBounds,
    Curves,
    Detection,
    Evaluation,
    PatientScores,
    Pooled,
    PooledIntervals,
    SiteScores,
    SliceScore,
    VolumeScore,
)
from brainseg_runtime.evaluation.tally import Tally, defined
from brainseg_runtime.evaluation.volume_summary import lesion_scores, surface_scores, volume_errors
from brainseg_runtime.metrics import Counts, dice
from brainseg_runtime.metrics.bootstrap import SAMPLES
from brainseg_runtime.metrics.curves import Curve, calibration, dice_curve, pr_curve, roc_curve
from brainseg_runtime.metrics.histogram import Histogram
from brainseg_runtime.metrics.lengths import TOLERANCE, SpacingXYZ
from brainseg_runtime.metrics.scores import UNDEFINED, Score, table


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an evaluation records of the model or the masks, and how it measures.

    Attributes:
        threshold: Probability from which a pixel counts as tumour, or None.
        provider: What computed.
        variant: Which weights.
        predictions: Folder of the masks, where no model ran.
        no_probability: Why there are no probabilities; empty where there are.
        spacing_mm: Pixel width, pixel height and slice distance, or None.
        tolerance: Of the surface Dice.
        samples: Bootstrap samples of the intervals.
    """

    threshold: float | None = None
    provider: str = ""
    variant: str = ""
    predictions: str | None = None
    no_probability: str = ""
    spacing_mm: SpacingXYZ | None = None
    tolerance: float = TOLERANCE
    samples: int = SAMPLES


def summarise(
    tallies: Sequence[Tally], patients: Sequence[PatientScores], pixels: Histogram, settings: Settings
) -> Evaluation:
    """Describe all patients together.

    Args:
        tallies: One for each patient, at least one, each with slices and closed.
        patients: The scores that closing them gave.
        pixels: The histogram of all pixels; empty without probabilities.
        settings: What is recorded, and how intervals are drawn.
    """
    notes = Notes(settings.samples)
    every, tumour = [tally.all_slices for tally in tallies], [tally.tumour_slices for tally in tallies]
    counts = Counts.total(tally.counts for tally in tallies)
    return Evaluation(
        n_patients=len(patients),
        n_slices=sum(patient.n_slices for patient in patients),
        threshold=settings.threshold,
        provider=settings.provider,
        variant=settings.variant,
        pooled=_pooled(counts, pixels, settings, notes),
        pooled_ci95=_pooled_intervals(tallies, pixels, settings, notes),
        area_bounds=_area_bounds(pixels),
        volume_dice=_volume_score("volume_dice", [patient.dice for patient in patients], notes),
        volume_iou=_volume_score("volume_iou", [patient.iou for patient in patients], notes),
        slice_dice_tumour=_slice_score("slice_dice_tumour", [(one.dice, one.n) for one in tumour], notes),
        slice_dice_all=_slice_score("slice_dice_all", [(one.dice, one.n) for one in every], notes),
        slice_iou_tumour=_slice_score("slice_iou_tumour", [(one.iou, one.n) for one in tumour], notes),
        slice_iou_all=_slice_score("slice_iou_all", [(one.iou, one.n) for one in every], notes),
        detection=_detection(patients),
        patients=tuple(patients),
        sites=_sites(patients),
        calibration=calibration(pixels),
        curves=_curves(pixels, settings),
        predictions=settings.predictions,
        spacing_mm=settings.spacing_mm,
        surface=surface_scores(patients, settings.spacing_mm, settings.tolerance, notes),
        lesions=lesion_scores(tallies, patients, settings.spacing_mm, notes),
        volume_error=volume_errors(patients, settings.spacing_mm, notes),
        missing=notes.missing(),
    )


def _pooled(counts: Counts, pixels: Histogram, settings: Settings, notes: Notes) -> Pooled:
    """The scores over all pixels."""
    counted = {score.key: defined(score.of(counts)) for score in table().counted}
    areas = {score.key: defined(score.of(pixels)) for score in table().areas}
    for score in table().counted:
        if counted[score.key] is None:
            notes.note(f"pooled.{score.key}", _why_undefined(score))
    one_class = "there is no tumour" if not counts.truth else "every pixel is tumour"
    for key in (key for key, value in areas.items() if value is None):
        notes.note(f"pooled.{key}", settings.no_probability or one_class)
    return Pooled(scores=counted | areas)


def _why_undefined(score: Score[Counts]) -> str:
    """Which of the two masks is empty, where a score is undefined."""
    return "nothing was predicted" if score.prediction_empty == UNDEFINED else "there is no tumour"


def _area_bounds(pixels: Histogram) -> AreaBounds:
    """How far the areas can be from exact."""
    bounds = {score.key: score.bound for score in table().areas}
    return AreaBounds(scores={key: None if bound is None else defined(bound(pixels)) for key, bound in bounds.items()})


def _pooled_intervals(tallies: Sequence[Tally], pixels: Histogram, settings: Settings, notes: Notes) -> PooledIntervals:
    """Their intervals."""
    counts = [tally.counts for tally in tallies]
    scores = {score.key: notes.pooled(f"pooled_ci95.{score.key}", counts, score.of) for score in table().counted}
    for score in table().areas:
        figure = f"pooled_ci95.{score.key}"
        if settings.no_probability:
            notes.note(figure, settings.no_probability)
            scores[score.key] = None
            continue
        interval = notes.pooled(figure, [tally.histogram for tally in tallies], score.of)
        # From the coarse histograms, moved by what coarseness changes in the area of all pixels.
        shift = 0.0 if interval is None else score.of(pixels) - score.of(pixels.coarse())
        scores[score.key] = interval and (max(0.0, interval[0] + shift), min(1.0, interval[1] + shift))
    return PooledIntervals(scores=scores)


def _curves(pixels: Histogram, settings: Settings) -> Curves:
    """Curves over all pixels; without probabilities there are none."""
    drawn = Curve(x=(), y=()) if settings.no_probability else dice_curve(pixels)
    return Curves(roc=roc_curve(pixels), pr=pr_curve(pixels), dice=drawn)


def _volume_score(figure: str, values: Sequence[float], notes: Notes) -> VolumeScore:
    """A score that every patient has."""
    return VolumeScore(
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        min=min(values),
        ci95=notes.mean(f"{figure}.ci95", values),
    )


def _slice_score(figure: str, parts: Sequence[tuple[float, int]], notes: Notes) -> SliceScore:
    """A score over slices, from the patients' sums and numbers of slices."""
    sums, sizes = [total for total, _ in parts], [n for _, n in parts]
    n = sum(sizes)
    if not n:
        notes.note(f"{figure}.mean", "there is no such slice")
    return SliceScore(mean=math.fsum(sums) / n if n else None, ci95=notes.ratio(f"{figure}.ci95", sums, sizes), n=n)


def _detection(patients: Sequence[PatientScores]) -> Detection:
    """Detection by slice, of all patients."""
    parts = [patient.detection for patient in patients]
    return Detection(
        tumour_slices=sum(part.tumour_slices for part in parts),
        missed=sum(part.missed for part in parts),
        healthy_slices=sum(part.healthy_slices for part in parts),
        false_alarms=sum(part.false_alarms for part in parts),
    )


def _sites(patients: Sequence[PatientScores]) -> tuple[SiteScores, ...]:
    """Each hospital's patients together."""
    names = sorted({patient.site for patient in patients})
    return tuple(_site(name, [patient for patient in patients if patient.site == name]) for name in names)


def _site(name: str, patients: Sequence[PatientScores]) -> SiteScores:
    """One hospital."""
    return SiteScores(
        site=name,
        n_patients=len(patients),
        n_slices=sum(patient.n_slices for patient in patients),
        volume_dice=float(np.mean([patient.dice for patient in patients])),
        volume_iou=float(np.mean([patient.iou for patient in patients])),
        pooled_dice=dice(Counts.total(patient.counts for patient in patients)),
    )
