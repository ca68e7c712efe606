"""From the tallies of all patients to the description of the whole, with a reason for each figure that is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

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
from brainseg_runtime.evaluation.volume_scores import (
    Interval95,
    LesionScores,
    Missing,
    PatientSummary,
    SurfaceScores,
    VolumeAgreement,
    VolumeErrors,
)
from brainseg_runtime.metrics import Counts, dice
from brainseg_runtime.metrics.agreement import Agreement
from brainseg_runtime.metrics.bootstrap import (
    SAMPLES,
    Additive,
    Interval,
    bootstrap_interval,
    bootstrap_pooled,
    bootstrap_ratio,
)
from brainseg_runtime.metrics.curves import Curve, calibration, dice_curve, pr_curve, roc_curve
from brainseg_runtime.metrics.histogram import Histogram
from brainseg_runtime.metrics.lesions import DILATION, LEAST_VOLUME
from brainseg_runtime.metrics.scores import UNDEFINED, Score, table
from brainseg_runtime.metrics.surface import TOLERANCE
from brainseg_runtime.metrics.volume import SpacingXYZ

P = TypeVar("P", bound=Additive)

NO_SPACING = "the spacing in mm is unknown"
"""Reason for figures in mm and mL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an evaluation records of its making, and how it measures.

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
    notes = _Notes(settings.samples)
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
        surface=_surface(patients, settings, notes),
        lesions=_lesions(tallies, patients, settings, notes),
        volume_error=_volume_errors(patients, settings, notes),
        missing=notes.missing(),
    )


@dataclass
class _Notes:
    """Draws intervals, with the same seed and so the same patients for each, and notes what is missing and why."""

    samples: int
    _reasons: dict[str, list[str]] = field(default_factory=dict)

    def note(self, figure: str, reason: str) -> None:
        """A figure that is missing."""
        self._reasons.setdefault(reason, []).append(figure)

    def missing(self) -> tuple[Missing, ...]:
        """All that was noted, a reason at a time."""
        return tuple(Missing(reason=reason, figures=tuple(places)) for reason, places in self._reasons.items())

    def mean(self, figure: str, values: Sequence[float]) -> Interval95:
        """Interval of a mean over patients."""
        return self._kept(figure, bootstrap_interval(values, samples=self.samples))

    def ratio(self, figure: str, sums: Sequence[float], sizes: Sequence[int]) -> Interval95:
        """Interval of a mean over slices."""
        return self._kept(figure, bootstrap_ratio(sums, sizes, samples=self.samples))

    def pooled(self, figure: str, parts: Sequence[P], score: Callable[[P], float]) -> Interval95:
        """Interval of a score over pixels."""
        return self._kept(figure, bootstrap_pooled(parts, score, samples=self.samples))

    def _kept(self, figure: str, interval: Interval) -> Interval95:
        if interval.defined:
            return interval[0], interval[1]
        self.note(figure, interval.reason)
        return None


def _pooled(counts: Counts, pixels: Histogram, settings: Settings, notes: _Notes) -> Pooled:
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


def _pooled_intervals(
    tallies: Sequence[Tally], pixels: Histogram, settings: Settings, notes: _Notes
) -> PooledIntervals:
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


def _volume_score(figure: str, values: Sequence[float], notes: _Notes) -> VolumeScore:
    """A score that every patient has."""
    return VolumeScore(
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        min=min(values),
        ci95=notes.mean(f"{figure}.ci95", values),
    )


def _slice_score(figure: str, parts: Sequence[tuple[float, int]], notes: _Notes) -> SliceScore:
    """A score over slices, from the patients' sums and numbers of slices."""
    sums, sizes = [total for total, _ in parts], [n for _, n in parts]
    n = sum(sizes)
    if not n:
        notes.note(f"{figure}.mean", "there is no such slice")
    return SliceScore(mean=math.fsum(sums) / n if n else None, ci95=notes.ratio(f"{figure}.ci95", sums, sizes), n=n)


def _patient_summary(figure: str, values: Sequence[float | None], notes: _Notes, *, why: str = "") -> PatientSummary:
    """A score that patients may lack; `why` is the reason where all lack it for the same one."""
    known = [value for value in values if value is not None]
    if not known:
        notes.note(figure, why or "it is undefined for every patient")
        nothing = {"mean": None, "median": None, "min": None, "max": None}
        return PatientSummary(**nothing, ci95=None, n=0, n_undefined=len(values))
    return PatientSummary(
        mean=float(np.mean(known)),
        median=float(np.median(known)),
        min=min(known),
        max=max(known),
        ci95=notes.mean(f"{figure}.ci95", known),
        n=len(known),
        n_undefined=len(values) - len(known),
    )


def _surface(patients: Sequence[PatientScores], settings: Settings, notes: _Notes) -> SurfaceScores:
    """Surface scores over patients."""
    return SurfaceScores(tolerance=settings.tolerance, scores=_of_volumes("surface", patients, settings, notes))


def _of_volumes(
    group: str, patients: Sequence[PatientScores], settings: Settings, notes: _Notes
) -> dict[str, PatientSummary]:
    """Each score of a group of the table over patients."""
    unknown = settings.spacing_mm is None
    return {
        score.key: _patient_summary(
            f"{group}.{score.key}",
            [getattr(patient, group).scores[score.key] for patient in patients],
            notes,
            why=NO_SPACING if score.needs_spacing and unknown else "",
        )
        for score in table().of_volumes[group]
    }


def _lesions(
    tallies: Sequence[Tally], patients: Sequence[PatientScores], settings: Settings, notes: _Notes
) -> LesionScores:
    """Lesion scores over patients; patients whose slices are no volume are in none."""
    counted = [tally.lesions for tally in tallies if tally.lesions is not None]
    return LesionScores(
        dilation=DILATION,
        least_volume=LEAST_VOLUME,
        least_volume_unit="voxels" if settings.spacing_mm is None else "mm3",
        scores=_of_volumes("lesions", patients, settings, notes),
        found=sum(one.found for one in counted),
        missed=sum(one.missed for one in counted),
        false=sum(one.false for one in counted),
        small=sum(one.small for one in counted),
    )


def _volume_errors(patients: Sequence[PatientScores], settings: Settings, notes: _Notes) -> VolumeErrors:
    """Predicted against true volumes."""
    volumes = [patient.volume for patient in patients if patient.volume is not None]
    ml = [volume.error_ml for volume in volumes if volume.error_ml is not None]
    if not ml:
        notes.note("volume_error.ml", NO_SPACING if settings.spacing_mm is None else "no patient's slices are a volume")
    return VolumeErrors(
        px=_agreement("volume_error.px", [float(volume.error_px) for volume in volumes], notes),
        ml=_agreement("volume_error.ml", ml, notes) if ml else None,
        relative=_patient_summary("volume_error.relative", [volume.error_relative for volume in volumes], notes),
    )


def _agreement(figure: str, errors: Sequence[float], notes: _Notes) -> VolumeAgreement:
    """Errors over patients."""
    found = Agreement.of(errors)
    interval = notes.mean(f"{figure}.bias_ci95", errors)
    if math.isnan(found.sd):
        for key in ("sd", "limits"):
            notes.note(f"{figure}.{key}", bootstrap_interval(errors).reason)
    return VolumeAgreement(
        bias=found.bias,
        bias_ci95=interval,
        sd=defined(found.sd),
        limits=None if math.isnan(found.sd) else (found.low, found.high),
        mean_absolute=found.mean_absolute,
    )


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
