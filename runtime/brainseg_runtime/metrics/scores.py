"""The table of scores: key, name, function, and what an empty mask gives.

Pooled values, summaries over patients, intervals, the page and the terminal's table come from here, so that a score is
added in one place. A function returns NaN where the score is undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from brainseg_runtime.metrics.counts import Counts, dice, f1, iou, precision, recall
from brainseg_runtime.metrics.histogram import Histogram
from brainseg_runtime.metrics.volume import VolumePair

M = TypeVar("M")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score(Generic[M]):
    """One score.

    Attributes:
        key: Its key in JSON.
        label: Its name for readers, with its unit.
        of: From what was measured to its value; NaN where undefined.
        both_empty: What it is where truth and prediction are empty.
        truth_empty: What it is where only the truth is empty.
        prediction_empty: What it is where only the prediction is empty.
        best: Which values are good.
        in_mm: Whether it needs the spacing.
    """

    key: str
    label: str
    of: Callable[[M], float]
    both_empty: str
    truth_empty: str
    prediction_empty: str
    best: Literal["high", "low", "zero"] = "high"
    in_mm: bool = False


COUNTED: Final[tuple[Score[Counts], ...]] = (
    Score(key="dice", label="Dice", of=dice, both_empty="1", truth_empty="0", prediction_empty="0"),
    Score(key="iou", label="IoU", of=iou, both_empty="1", truth_empty="0", prediction_empty="0"),
    Score(
        key="precision",
        label="precision",
        of=precision,
        both_empty="undefined",
        truth_empty="0",
        prediction_empty="undefined",
    ),
    Score(
        key="recall", label="recall", of=recall, both_empty="undefined", truth_empty="undefined", prediction_empty="0"
    ),
    Score(key="f1", label="F1", of=f1, both_empty="1", truth_empty="0", prediction_empty="0"),
)
"""Scores that follow from integer counts of pixels."""

AREAS: Final[tuple[Score[Histogram], ...]] = (
    Score(
        key="roc_auc",
        label="ROC-AUC",
        of=Histogram.roc_auc,
        both_empty="undefined",
        truth_empty="undefined",
        prediction_empty="as the probabilities rank",
    ),
    Score(
        key="pr_auc",
        label="PR-AUC",
        of=Histogram.pr_auc,
        both_empty="undefined",
        truth_empty="undefined",
        prediction_empty="as the probabilities rank",
    ),
)
"""Scores that follow from probabilities."""

POOLED_LABELS: Final = {score.key: score.label for score in COUNTED} | {score.key: score.label for score in AREAS}
"""Names of the scores over all pixels, by key."""


def _distance(key: str, label: str, of: Callable[[VolumePair], float], *, in_mm: bool) -> Score[VolumePair]:
    """A distance between surfaces."""
    return Score(
        key=key,
        label=label,
        of=of,
        both_empty="0",
        truth_empty="undefined",
        prediction_empty="undefined",
        best="low",
        in_mm=in_mm,
    )


def _surface_dice(key: str, label: str, of: Callable[[VolumePair], float], *, in_mm: bool) -> Score[VolumePair]:
    """A surface Dice."""
    return Score(key=key, label=label, of=of, both_empty="1", truth_empty="0", prediction_empty="0", in_mm=in_mm)


SURFACE: Final[tuple[Score[VolumePair], ...]] = (
    _distance("hd95_px", "HD95, pixels", lambda pair: pair.surface_px.hd95(), in_mm=False),
    _distance("assd_px", "ASSD, pixels", lambda pair: pair.surface_px.assd(), in_mm=False),
    _surface_dice("nsd_px", "NSD, tolerance in pixels", lambda pair: pair.surface_px.nsd(pair.tolerance), in_mm=False),
    _distance("hd95_mm", "HD95, mm", lambda pair: pair.surface_mm.hd95(), in_mm=True),
    _distance("assd_mm", "ASSD, mm", lambda pair: pair.surface_mm.assd(), in_mm=True),
    _surface_dice("nsd_mm", "NSD, tolerance in mm", lambda pair: pair.surface_mm.nsd(pair.tolerance), in_mm=True),
)
"""Scores of the surfaces of a patient's volume."""


def surface_label(score: Score[VolumePair], tolerance: float) -> str:
    """A surface score's label with the tolerance that it was computed at."""
    return score.label.replace("tolerance in", f"tolerance {tolerance:g}")


LESIONS: Final[tuple[Score[VolumePair], ...]] = (
    Score(
        key="dice",
        label="lesion-wise Dice",
        of=lambda pair: pair.lesions.dice(),
        both_empty="1",
        truth_empty="0",
        prediction_empty="0 (1 if all lesions are small)",
    ),
    Score(
        key="f1",
        label="lesion-wise F1",
        of=lambda pair: pair.lesions.f1(),
        both_empty="1",
        truth_empty="0",
        prediction_empty="0 (1 if all lesions are small)",
    ),
)
"""Scores of the lesions of a patient's volume."""
