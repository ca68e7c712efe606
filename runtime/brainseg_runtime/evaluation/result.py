"""The result of an evaluation: what `brainseg evaluate --json` writes, key for key.

Every class is frozen and goes to JSON and back; unknown keys are refused. What is undefined, such as an AUC where one
class is missing or an interval over few patients, is None here and null in JSON, and `missing` says why. Keys that
records of earlier versions lack, those whose default is None or empty, may be absent.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.volume_scores import (
    Interval95,
    LesionScores,
    Missing,
    PatientLesions,
    PatientSurface,
    PatientVolumes,
    SurfaceScores,
    VolumeErrors,
)
from brainseg_runtime.metrics import Counts
from brainseg_runtime.metrics.curves import Calibration, Curve
from brainseg_runtime.safe_io.strict_json import Json

AVERAGING = (
    "pooled: all pixels of all patients together; volume_*: each patient's pixels together, then over patients; "
    "slice_*: each slice alone, then over slices; two empty masks score 1; intervals: 95 %, BCa, patients drawn with "
    "replacement"
)
"""The rules of averaging, as the JSON carries them."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled:
    """The seven scores over all pixels together; None where undefined."""

    dice: float
    iou: float
    precision: float | None
    recall: float | None
    f1: float
    roc_auc: float | None
    pr_auc: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledIntervals:
    """An interval for each of the seven."""

    dice: Interval95
    iou: Interval95
    precision: Interval95
    recall: Interval95
    f1: Interval95
    roc_auc: Interval95
    pr_auc: Interval95


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaBounds:
    """How far the two areas can be from those of sorting every pixel."""

    roc_auc: float | None
    pr_auc: float | None


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
    """Detection by slice: was there tumour, was any predicted."""

    tumour_slices: int
    missed: int
    """Slices with tumour where none was predicted."""
    healthy_slices: int
    false_alarms: int
    """Slices without tumour where some was predicted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientScores:
    """One patient. Slice scores are means over the patient's slices; None where undefined."""

    id: str
    site: str
    n_slices: int
    dice: float
    iou: float
    precision: float | None
    recall: float | None
    f1: float
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
        pooled: The seven scores over all pixels.
        pooled_ci95: Their intervals.
        area_bounds: How far the areas can be from exact.
        volume_dice: Dice per patient.
        volume_iou: IoU per patient.
        slice_dice_tumour: Dice per slice, over slices with tumour.
        slice_dice_all: Dice per slice, over all slices.
        slice_iou_tumour: IoU per slice, over slices with tumour.
        slice_iou_all: IoU per slice, over all slices.
        detection: Slices that were missed and false alarms.
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
        encoded = _encode(self)
        return encoded if isinstance(encoded, dict) else {}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` made.

        Raises:
            DataError: A key is missing, unknown, or of the wrong type.
        """
        return _decode(cls, value, "evaluation")


def _encode(value: object) -> Json:
    """A record, or anything in one, as plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return typing.cast("Json", value)


def _decode(kind: type[T], value: object, where: str) -> T:
    """Build a record from plain JSON, by its fields' types."""
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or not set(hints) - _later_keys(kind) <= set(value) <= set(hints):
        raise _unfit(where, f"an object with the keys {', '.join(hints)}", value)
    known = {key: hint for key, hint in hints.items() if key in value}
    return kind(**{key: _decode_any(hint, value[key], f"{where}.{key}") for key, hint in known.items()})


def _later_keys(kind: type[object]) -> set[str]:
    """Keys that earlier versions did not write: those whose default is None or empty."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return {field.name for field in fields if field.default is None or field.default == ()}


def _decode_any(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - a type, in one of typing's many forms
    """Build a value of a type: a record, a tuple, an optional, or one of JSON's own."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        return None if value is None else _decode_any(parts[0], value, where)
    if origin is tuple:
        kinds = (parts[0],) * len(value) if parts[-1] is Ellipsis and isinstance(value, list) else parts
        if not isinstance(value, list) or len(value) != len(kinds):
            raise _unfit(where, "a list" if parts[-1] is Ellipsis else f"a list of {len(parts)}", value)
        return tuple(
            _decode_any(each, item, f"{where}[{i}]") for i, (each, item) in enumerate(zip(kinds, value, strict=True))
        )
    if dataclasses.is_dataclass(hint):
        return _decode(typing.cast("type[object]", hint), value, where)
    if origin is typing.Literal:
        if value not in parts:
            raise _unfit(where, " or ".join(map(str, parts)), value)
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float) if hint is float else hint):
        raise _unfit(where, hint.__name__, value)
    return float(value) if hint is float else value


def _unfit(where: str, expected: str, got: object) -> DataError:
    """The error for a value that does not fit."""
    shown = f"the keys {', '.join(map(str, got))}" if isinstance(got, dict) else ascii(got)[:80]
    return DataError(f"{where} cannot be read", expected=expected, got=shown)
