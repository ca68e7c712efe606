"""What an evaluation keeps of each patient: integer counts, sums over slices, a coarse histogram, scores of the volume.

The histogram (12 KiB) is for the intervals of the areas. Masks are kept only while their patient is being read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.evaluation.result import Detection, PatientScores
from brainseg_runtime.evaluation.undefined import defined
from brainseg_runtime.evaluation.volume_scores import Missing, PatientLesions, PatientSurface, PatientVolumes
from brainseg_runtime.images.dataset import site_of
from brainseg_runtime.metrics import Counts, count, dice, f1, iou, precision, recall
from brainseg_runtime.metrics.histogram import COARSE_BITS, Histogram
from brainseg_runtime.metrics.lesions import LesionCounts
from brainseg_runtime.metrics.scores import LESIONS, SURFACE
from brainseg_runtime.metrics.volume import SpacingXYZ, VolumeMasks, VolumePair


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
    """What is kept of one patient.

    Attributes:
        masks: Both masks of the volume, until `close`.
        lesions: What its volume gave, after `close`; None where the slices are no volume.
    """

    patient_id: str
    counts: Counts = field(default_factory=Counts)
    all_slices: SliceSums = field(default_factory=SliceSums)
    tumour_slices: SliceSums = field(default_factory=SliceSums)
    missed: int = 0
    false_alarms: int = 0
    histogram: Histogram = field(default_factory=lambda: Histogram.empty(bits=COARSE_BITS))
    masks: VolumeMasks = field(default_factory=VolumeMasks)
    lesions: LesionCounts | None = None
    _scores: PatientScores | None = None

    def add(self, number: int, mask: NDArray[Any], truth: NDArray[Any]) -> None:
        """One slice more.

        Args:
            number: Its place in the volume.
            mask: (H, W) bool, or uint8 with 0 and 1.
            truth: The same.

        Raises:
            ImageError: The two differ in size, or one is no mask.
        """
        counts = count(mask, truth)
        self.counts += counts
        self.all_slices.add(counts)
        if counts.truth:
            self.tumour_slices.add(counts)
        self.missed += bool(counts.truth and not counts.predicted)
        self.false_alarms += bool(counts.predicted and not counts.truth)
        self.masks.add(number, mask, truth)

    def close(self, spacing_mm: SpacingXYZ | None, tolerance: float) -> PatientScores:
        """Measure the volume, let go of its masks, and tell the patient's scores; once, after the last slice."""
        fault = self.masks.fault
        pair = None if fault else self.masks.pair(spacing_mm, tolerance)
        self.masks = VolumeMasks(fault)
        self.lesions = None if pair is None else pair.lesions
        every, tumour = self.all_slices, self.tumour_slices
        surface = _surface(pair)
        self._scores = PatientScores(
            id=self.patient_id,
            site=site_of(self.patient_id),
            n_slices=every.n,
            dice=dice(self.counts),
            iou=iou(self.counts),
            precision=defined(precision(self.counts)),
            recall=defined(recall(self.counts)),
            f1=f1(self.counts),
            slice_dice_tumour=tumour.dice / tumour.n if tumour.n else None,
            slice_dice_all=every.dice / every.n,
            slice_iou_tumour=tumour.iou / tumour.n if tumour.n else None,
            slice_iou_all=every.iou / every.n,
            detection=self._detection(),
            counts=self.counts,
            surface=surface,
            lesions=_lesions(pair),
            volume=_volumes(self.counts, None if fault else spacing_mm),
            missing=_missing(surface, fault, self.counts, spacing_mm),
        )
        return self._scores

    @property
    def scores(self) -> PatientScores:
        """The patient's scores, once closed."""
        return self._scores or self.close(None, 0.0)

    def _detection(self) -> Detection:
        """Detection by slice."""
        return Detection(
            tumour_slices=self.tumour_slices.n,
            missed=self.missed,
            healthy_slices=self.all_slices.n - self.tumour_slices.n,
            false_alarms=self.false_alarms,
        )


def _surface(pair: VolumePair | None) -> PatientSurface:
    """A patient's surface scores."""
    known = pair is not None and pair.spacing_mm is not None
    values: dict[str, float | None] = {
        score.key: None if pair is None or (score.in_mm and not known) else defined(score.of(pair)) for score in SURFACE
    }
    return PatientSurface(**values)


def _missing(surface: PatientSurface, fault: str, counts: Counts, spacing_mm: SpacingXYZ | None) -> tuple[Missing, ...]:
    """Why a patient's figures are missing; that the spacing is unknown is said once for all patients."""
    wanted = [score.key for score in SURFACE if spacing_mm is not None or not score.in_mm]
    figures = [f"surface.{key}" for key in wanted if getattr(surface, key) is None]
    if fault:
        figures += [f"lesions.{key}" for key in ("dice", "f1", "found", "missed", "false", "small")]
        figures += [f"volume.{key}" for key in ("true_ml", "predicted_ml", "error_ml") if spacing_mm is not None]
        return (Missing(reason=fault, figures=tuple(figures)),)
    found = []
    if figures:
        found.append(Missing(reason=_empty(counts), figures=tuple(figures)))
    if not counts.truth:
        found.append(Missing(reason="the truth is empty", figures=("volume.error_relative",)))
    return tuple(found)


def _empty(counts: Counts) -> str:
    """Which of the two masks is empty."""
    return "nothing was predicted" if counts.truth else "the truth is empty"


def _lesions(pair: VolumePair | None) -> PatientLesions:
    """A patient's lesions; all None where the slices are no volume."""
    if pair is None:
        return PatientLesions(dice=None, f1=None, found=None, missed=None, false=None, small=None)
    found = pair.lesions
    values = {score.key: score.of(pair) for score in LESIONS}
    return PatientLesions(**values, found=found.found, missed=found.missed, false=found.false, small=found.small)


def _volumes(counts: Counts, spacing_mm: SpacingXYZ | None) -> PatientVolumes:
    """A patient's volumes."""
    error = counts.predicted - counts.truth
    ml = None if spacing_mm is None else float(np.prod(spacing_mm)) / 1000.0
    return PatientVolumes(
        true_px=counts.truth,
        predicted_px=counts.predicted,
        error_px=error,
        error_relative=error / counts.truth if counts.truth else None,
        true_ml=None if ml is None else counts.truth * ml,
        predicted_ml=None if ml is None else counts.predicted * ml,
        error_ml=None if ml is None else error * ml,
    )
