"""What an evaluation keeps of each patient, and the description of all that follows from it.

Of a patient there are integer counts, sums over slices, and a coarse histogram (12 KiB) for the intervals of the areas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from brainseg_runtime.evaluation import (
    AreaBounds,
    Curves,
    Detection,
    Evaluation,
    Interval95,
    PatientScores,
    Pooled,
    PooledIntervals,
    SiteScores,
    SliceScore,
    VolumeScore,
)
from brainseg_runtime.images.dataset import site_of
from brainseg_runtime.metrics import Counts, dice, f1, iou, precision, recall
from brainseg_runtime.metrics.bootstrap import Additive, Interval, bootstrap_interval, bootstrap_pooled, bootstrap_ratio
from brainseg_runtime.metrics.curves import calibration, dice_curve, pr_curve, roc_curve
from brainseg_runtime.metrics.histogram import COARSE_BITS, Histogram

P = TypeVar("P", bound=Additive)


@dataclass
class SliceSums:
    """Scores of single slices, added up."""

    n: int = 0
    dice: float = 0.0
    iou: float = 0.0

    def add(self, counts: Counts) -> None:
        """One slice more."""
        self.n += 1
        self.dice += dice(counts)
        self.iou += iou(counts)


@dataclass
class Tally:
    """What is kept of one patient."""

    patient_id: str
    counts: Counts = field(default_factory=Counts)
    all_slices: SliceSums = field(default_factory=SliceSums)
    tumour_slices: SliceSums = field(default_factory=SliceSums)
    missed: int = 0
    false_alarms: int = 0
    histogram: Histogram = field(default_factory=lambda: Histogram.empty(bits=COARSE_BITS))

    def add(self, counts: Counts) -> None:
        """One slice more."""
        self.counts += counts
        self.all_slices.add(counts)
        if counts.truth:
            self.tumour_slices.add(counts)
        self.missed += bool(counts.truth and not counts.predicted)
        self.false_alarms += bool(counts.predicted and not counts.truth)

    def detection(self) -> Detection:
        """Slices as wholes."""
        return Detection(
            tumour_slices=self.tumour_slices.n,
            missed=self.missed,
            healthy_slices=self.all_slices.n - self.tumour_slices.n,
            false_alarms=self.false_alarms,
        )

    def scores(self) -> PatientScores:
        """The patient's scores."""
        every, tumour = self.all_slices, self.tumour_slices
        return PatientScores(
            id=self.patient_id,
            site=site_of(self.patient_id),
            n_slices=every.n,
            dice=dice(self.counts),
            iou=iou(self.counts),
            precision=_defined(precision(self.counts)),
            recall=_defined(recall(self.counts)),
            f1=f1(self.counts),
            slice_dice_tumour=tumour.dice / tumour.n if tumour.n else None,
            slice_dice_all=every.dice / every.n,
            slice_iou_tumour=tumour.iou / tumour.n if tumour.n else None,
            slice_iou_all=every.iou / every.n,
            detection=self.detection(),
            counts=self.counts,
        )


def summarise(
    tallies: Sequence[Tally],
    pixels: Histogram,
    *,
    threshold: float,
    provider: str,
    variant: str,
    samples: int,
) -> Evaluation:
    """Describe all patients together.

    Args:
        tallies: One for each patient, at least one, each with slices.
        pixels: The histogram of all pixels.
        threshold: As the evaluation records it.
        provider: As the evaluation records it.
        variant: As the evaluation records it.
        samples: Bootstrap samples of the intervals.
    """
    resampling = _Resampling(samples)
    patients = tuple(tally.scores() for tally in tallies)
    every, tumour = [tally.all_slices for tally in tallies], [tally.tumour_slices for tally in tallies]
    return Evaluation(
        n_patients=len(patients),
        n_slices=sum(patient.n_slices for patient in patients),
        threshold=threshold,
        provider=provider,
        variant=variant,
        pooled=_pooled(Counts.total(tally.counts for tally in tallies), pixels),
        pooled_ci95=_pooled_intervals(tallies, pixels, resampling),
        area_bounds=AreaBounds(roc_auc=_defined(pixels.roc_auc_bound()), pr_auc=_defined(pixels.pr_auc_bound())),
        volume_dice=_volume_score([patient.dice for patient in patients], resampling),
        volume_iou=_volume_score([patient.iou for patient in patients], resampling),
        slice_dice_tumour=_slice_score([sums.dice for sums in tumour], [sums.n for sums in tumour], resampling),
        slice_dice_all=_slice_score([sums.dice for sums in every], [sums.n for sums in every], resampling),
        slice_iou_tumour=_slice_score([sums.iou for sums in tumour], [sums.n for sums in tumour], resampling),
        slice_iou_all=_slice_score([sums.iou for sums in every], [sums.n for sums in every], resampling),
        detection=_detection(patients),
        patients=patients,
        sites=_sites(patients),
        calibration=calibration(pixels),
        curves=Curves(roc=roc_curve(pixels), pr=pr_curve(pixels), dice=dice_curve(pixels)),
    )


@dataclass(frozen=True)
class _Resampling:
    """How intervals are drawn: with the same seed, so the same patients, for each of them."""

    samples: int

    def mean(self, values: Sequence[float]) -> Interval95:
        """Of a mean over patients."""
        return _interval(bootstrap_interval(values, samples=self.samples))

    def ratio(self, sums: Sequence[float], sizes: Sequence[int]) -> Interval95:
        """Of a mean over slices."""
        return _interval(bootstrap_ratio(sums, sizes, samples=self.samples))

    def pooled(self, parts: Sequence[P], score: Callable[[P], float]) -> Interval95:
        """Of a score over pixels."""
        return _interval(bootstrap_pooled(parts, score, samples=self.samples))


def _pooled(counts: Counts, pixels: Histogram) -> Pooled:
    """The seven scores over all pixels."""
    return Pooled(
        dice=dice(counts),
        iou=iou(counts),
        precision=_defined(precision(counts)),
        recall=_defined(recall(counts)),
        f1=f1(counts),
        roc_auc=_defined(pixels.roc_auc()),
        pr_auc=_defined(pixels.pr_auc()),
    )


def _pooled_intervals(tallies: Sequence[Tally], pixels: Histogram, resampling: _Resampling) -> PooledIntervals:
    """Their intervals."""
    counts = [tally.counts for tally in tallies]
    return PooledIntervals(
        dice=resampling.pooled(counts, dice),
        iou=resampling.pooled(counts, iou),
        precision=resampling.pooled(counts, precision),
        recall=resampling.pooled(counts, recall),
        f1=resampling.pooled(counts, f1),
        roc_auc=_area_interval(tallies, pixels, Histogram.roc_auc, resampling),
        pr_auc=_area_interval(tallies, pixels, Histogram.pr_auc, resampling),
    )


def _area_interval(
    tallies: Sequence[Tally], pixels: Histogram, area: Callable[[Histogram], float], resampling: _Resampling
) -> Interval95:
    """An area's interval from the coarse histograms, moved by what coarseness changes in the area of all pixels."""
    interval = resampling.pooled([tally.histogram for tally in tallies], area)
    if interval is None:
        return None
    shift = area(pixels) - area(pixels.coarse())
    return max(0.0, interval[0] + shift), min(1.0, interval[1] + shift)


def _volume_score(values: Sequence[float], resampling: _Resampling) -> VolumeScore:
    """A score over patients."""
    return VolumeScore(
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        min=min(values),
        ci95=resampling.mean(values),
    )


def _slice_score(sums: Sequence[float], sizes: Sequence[int], resampling: _Resampling) -> SliceScore:
    """A score over slices."""
    n = sum(sizes)
    return SliceScore(mean=math.fsum(sums) / n if n else None, ci95=resampling.ratio(sums, sizes), n=n)


def _detection(patients: Sequence[PatientScores]) -> Detection:
    """Slices as wholes, of all patients."""
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


def _defined(score: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(score) else score


def _interval(interval: Interval) -> Interval95:
    """None for the interval that there is not."""
    return None if math.isnan(interval[0]) else interval
