"""The result of an evaluation: what `brainseg evaluate --json` writes, key for key.

Every class is frozen and goes to JSON and back; unknown keys are refused. What is undefined, such as an AUC where one
class is missing or an interval over few patients, is None here and null in JSON, and `missing` says why. Keys that
records of earlier versions lack may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.volume_scores import (
    Interval95,
    LesionScores,
    Missing,
    PatientLesions,
    PatientSurface,
    PatientVolumes,
    Scored,
    SurfaceScores,
    VolumeErrors,
    keyed,
)
from brainseg_runtime.metrics import Counts
from brainseg_runtime.metrics.curves import Calibration, Curve
from brainseg_runtime.safe_io import typed_json
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import inline

AVERAGING = (
    "pooled: all pixels of all patients together; volume_*: each patient's pixels together, then over patients; "
    "slice_*: each slice alone, then over slices; two empty masks score 1; intervals: 95 %, BCa, patients drawn with "
    "replacement"
)
"""The rules of averaging, as the JSON carries them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled(Scored):
    """The scores over all pixels together; None where undefined."""

    scores: Mapping[str, float | None] = inline(keyed("pooled", float))


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledIntervals(Scored):
    """An interval for each of them."""

    scores: Mapping[str, Interval95] = inline(keyed("pooled", Interval95))


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaBounds(Scored):
    """Bounds on how far the areas can be from the exact ones."""

    scores: Mapping[str, float | None] = inline(keyed("areas", float | None))


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeScore:
    """A score of whole patients: each patient's pixels pooled, then described over patients."""

    mean: float
    median: float
    min: float
    ci95: Interval95
    """Of the mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceScore:
    """A score of single slices; `mean` is None where there is no such slice."""

    mean: float | None
    ci95: Interval95
    """Of the mean; slices come and go with their patients."""
    n: int
    """Slices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """Detection by slice: whether there was tumour, and whether any was predicted."""

    tumour_slices: int
    missed: int
    """False negatives: slices with tumour where none was predicted."""
    healthy_slices: int
    false_alarms: int
    """False positives: slices without tumour where some was predicted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientScores(Scored):
    """One patient. Slice scores are means over the patient's slices; None where undefined."""

    id: str
    site: str
    n_slices: int
    scores: Mapping[str, float | None] = inline(keyed("counted", float))
    slice_dice_tumour: float | None
    slice_dice_all: float
    slice_iou_tumour: float | None
    slice_iou_all: float
    detection: Detection
    counts: Counts
    surface: PatientSurface | None = None
    lesions: PatientLesions | None = None
    volume: PatientVolumes | None = None
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteScores:
    """One hospital: means over its patients' volumes, and all its pixels pooled."""

    site: str
    n_patients: int
    n_slices: int
    volume_dice: float
    volume_iou: float
    pooled_dice: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Curves over all pixels, thinned for drawing."""

    roc: Curve
    """x false positive rate, y true positive rate."""
    pr: Curve
    """x recall, y precision."""
    dice: Curve
    """x threshold, y pooled Dice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How well a model does on a set of patients, at the resolution of its slices.

    Attributes:
        n_patients: Patients, at least 1.
        n_slices: Slices in all.
        threshold: Probability from which a pixel counts as tumour; None for masks that were there already.
        provider: What computed, such as ``cpu``; empty where the caller did not say.
        variant: Which weights, such as ``fp32``; empty where the caller did not say.
        resolution: ``native``: masks and probabilities were compared at the size of the files.
        averaging: The rules of averaging, in words.
        pooled: The scores over all pixels.
        pooled_ci95: Their intervals.
        area_bounds: How far the areas can be from exact.
        volume_dice: Dice per patient.
        volume_iou: IoU per patient.
        slice_dice_tumour: Dice per slice, over slices with tumour.
        slice_dice_all: Dice per slice, over all slices.
        slice_iou_tumour: IoU per slice, over slices with tumour.
        slice_iou_all: IoU per slice, over all slices.
        detection: False negatives and false positives by slice.
        patients: In the order in which they came.
        sites: By name.
        calibration: Probabilities against frequencies.
        curves: ROC, PR, and Dice against threshold; empty without probabilities.
        predictions: Folder of the masks that were scored; None where a model ran.
        spacing_mm: Pixel width, pixel height and slice distance; None where unknown.
        surface: Distances between surfaces.
        lesions: Lesion by lesion.
        volume_error: Predicted against true volume.
        missing: Why figures are None, those of single patients aside.
    """

    n_patients: int
    n_slices: int
    threshold: float | None
    provider: str
    variant: str
    resolution: str = "native"
    averaging: str = AVERAGING
    pooled: Pooled
    pooled_ci95: PooledIntervals
    area_bounds: AreaBounds
    volume_dice: VolumeScore
    volume_iou: VolumeScore
    slice_dice_tumour: SliceScore
    slice_dice_all: SliceScore
    slice_iou_tumour: SliceScore
    slice_iou_all: SliceScore
    detection: Detection
    patients: tuple[PatientScores, ...]
    sites: tuple[SiteScores, ...]
    calibration: Calibration
    curves: Curves
    predictions: str | None = None
    spacing_mm: tuple[float, float, float] | None = None
    surface: SurfaceScores | None = None
    lesions: LesionScores | None = None
    volume_error: VolumeErrors | None = None
    missing: tuple[Missing, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Plain JSON, the keys in the order above."""
        return typed_json.to_json(self)

    @classmethod
    def from_json(cls, value: object, where: str = "evaluation") -> Evaluation:
        """Read what `to_json` made.

        Raises:
            DataError: A key is missing or unknown, or a value has the wrong type.
        """
        return typed_json.from_json(cls, value, where, error=DataError)


def chosen_patients(evaluation: Evaluation) -> dict[str, PatientScores]:
    """The patients worth looking at, by volume Dice: "best", "median" (the lower of two) and "worst", each once."""
    ranked = sorted(evaluation.patients, key=lambda patient: (-patient.dice, patient.id))
    places = {"best": 0, "worst": len(ranked) - 1, "median": len(ranked) // 2}
    first: dict[int, str] = {}
    for label, place in places.items():
        first.setdefault(place, label)
    return {first[place]: ranked[place] for place in sorted(first)}
