"""What is kept of one patient while slices stream through, and the patient's scores once the last slice is in.

Integer counts, sums over slices and a coarse histogram (12 KiB, for the intervals of the areas) stay; masks are kept
only while their patient is being read.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.evaluation.result import Detection, PatientScores
from brainseg_runtime.evaluation.volume_scores import Missing, PatientLesions, PatientSurface, PatientVolumes
from brainseg_runtime.images.dataset import site_of
from brainseg_runtime.metrics import Counts, count, dice, iou
from brainseg_runtime.metrics.histogram import COARSE_BITS, Histogram
from brainseg_runtime.metrics.lengths import SpacingXYZ
from brainseg_runtime.metrics.lesions import LesionCounts
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.metrics.volume import VolumeMasks, VolumePair


def defined(value: float) -> float | None:
    """NaN as None: undefined values are NaN in calculations and None in records.

    >>> defined(float("nan")), defined(0.5)
    (None, 0.5)
    """
    return None if math.isnan(value) else value


@dataclass
class SliceSums:
    """Dice and IoU of single slices, added up."""

    n: int = 0
    dice: float = 0.0
    iou: float = 0.0

    def add(self, counts: Counts) -> None:
        """Add one slice."""
        self.n += 1
        self.dice += dice(counts)
        self.iou += iou(counts)

    def means(self, kind: str) -> dict[str, float | None]:
        """The means over slices, by their keys in a patient's scores; `kind` is "all" or "tumour"."""
        sums = {f"slice_dice_{kind}": self.dice, f"slice_iou_{kind}": self.iou}
        return {key: total / self.n if self.n else None for key, total in sums.items()}


@dataclass
class Tally:
    """What is kept of one patient.

    Attributes:
        masks: Both masks of the volume, until `close`.
        lesions: What the volume gave, after `close`; None where the slices are no volume.
        faults: Slices that were missed ("missed"), and healthy ones where tumour was predicted ("false_alarms").
    """

    patient_id: str
    counts: Counts = field(default_factory=Counts)
    all_slices: SliceSums = field(default_factory=SliceSums)
    tumour_slices: SliceSums = field(default_factory=SliceSums)
    faults: Counter[str] = field(default_factory=Counter)
    histogram: Histogram = field(default_factory=lambda: Histogram.empty(bits=COARSE_BITS))
    masks: VolumeMasks = field(default_factory=VolumeMasks)
    lesions: LesionCounts | None = None

    def add(self, number: int, mask: NDArray[Any], truth: NDArray[Any]) -> None:
        """Add one slice.

        Args:
            number: Its place in the volume.
            mask: (H, W) bool, or uint8 with 0 and 1.
            truth: The same.

        Raises:
            ImageError: The two differ in size, or one is not a mask.
        """
        counts = count(mask, truth)
        self.counts += counts
        self.all_slices.add(counts)
        if counts.truth:
            self.tumour_slices.add(counts)
        self.faults["missed"] += bool(counts.truth and not counts.predicted)
        self.faults["false_alarms"] += bool(counts.predicted and not counts.truth)
        self.masks.add(number, mask, truth)

    def close(self, spacing_mm: SpacingXYZ | None, tolerance: float) -> PatientScores:
        """The patient's scores. Call once, after the last slice; the masks are freed."""
        fault = self.masks.fault
        pair = None if fault else self.masks.pair(spacing_mm, tolerance)
        self.masks = VolumeMasks(fault)
        self.lesions = None if pair is None else pair.lesions
        surface = _surface(pair)
        return PatientScores(
            id=self.patient_id,
            site=site_of(self.patient_id),
            n_slices=self.all_slices.n,
            scores={score.key: defined(score.of(self.counts)) for score in table().counted},
            **self.tumour_slices.means("tumour"),  # type: ignore[arg-type]
            **self.all_slices.means("all"),  # type: ignore[arg-type]
            detection=self._detection(),
            counts=self.counts,
            surface=surface,
            lesions=_lesions(pair),
            volume=_volumes(self.counts, None if fault else spacing_mm),
            missing=_missing(surface, fault, self.counts, spacing_mm),
        )

    def _detection(self) -> Detection:
        """Detection by slice."""
        return Detection(
            tumour_slices=self.tumour_slices.n,
            missed=self.faults["missed"],
            healthy_slices=self.all_slices.n - self.tumour_slices.n,
            false_alarms=self.faults["false_alarms"],
        )


def _surface(pair: VolumePair | None) -> PatientSurface:
    """A patient's surface scores."""
    known = pair is not None and pair.spacing_mm is not None
    scores = {
        score.key: None if pair is None or (score.needs_spacing and not known) else defined(score.of(pair))
        for score in table().surface
    }
    return PatientSurface(scores=scores)


def _missing(surface: PatientSurface, fault: str, counts: Counts, spacing_mm: SpacingXYZ | None) -> tuple[Missing, ...]:
    """Reasons for a patient's missing figures; an unknown spacing is reported once, for all patients."""
    wanted = [score.key for score in table().surface if spacing_mm is not None or not score.needs_spacing]
    figures = [f"surface.{key}" for key in wanted if getattr(surface, key) is None]
    if fault:
        keys = [*(score.key for score in table().lesions), "found", "missed", "false", "small"]
        figures += [f"lesions.{key}" for key in keys]
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
    scores = {score.key: None if pair is None else defined(score.of(pair)) for score in table().lesions}
    if pair is None:
        return PatientLesions(scores=scores, found=None, missed=None, false=None, small=None)
    counts = pair.lesions
    return PatientLesions(
        scores=scores, found=counts.found, missed=counts.missed, false=counts.false, small=counts.small
    )


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
