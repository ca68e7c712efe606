"""The parts of an evaluation's page about whole volumes, and sentences on the figures that are missing and why."""

from __future__ import annotations

from collections.abc import Sequence

from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.evaluation.volume_scores import Interval95, Missing, PatientSummary, VolumeAgreement
from brainseg_runtime.html.charts import Series, line_chart
from brainseg_runtime.html.markup import Html
from brainseg_runtime.html.page import interval_text, table
from brainseg_runtime.metrics.scores import table as score_table

_LISTED = 3  # figures of one reason that are named; more are counted


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """One sentence a reason: which figures are not given, and why.

    Args:
        missing: As an evaluation or a patient has them.
    """
    return [f"Not given: {_named(each.figures)}. Reason: {each.reason}." for each in missing]


def volume_tables(evaluation: Evaluation) -> list[Html]:
    """Surface and lesion scores over patients, and volume errors; what an older record lacks is left out."""
    surface, lesions = evaluation.surface, evaluation.lesions
    tables = []
    if surface is not None:
        shown = [s for s in score_table().surface if evaluation.spacing_mm is not None or not s.needs_spacing]
        rows = [(score.title(surface.tolerance), *_cells(getattr(surface, score.key))) for score in shown]
        unit = "pixels" if evaluation.spacing_mm is None else "pixels or mm"
        caption = (
            f"Distances between surfaces by patient; NSD within {surface.tolerance:g} {unit}; "
            "to an empty mask there is no distance"
        )
        tables.append(table(_HEADERS, rows, caption=caption))
    if lesions is not None:
        rows = [(score.label, *_cells(getattr(lesions, score.key))) for score in score_table().lesions]
        unit = {"voxels": "voxels", "mm3": "mm³"}[lesions.least_volume_unit]
        caption = (
            f"Lesion by lesion, as BraTS counts: {lesions.found} found, {lesions.missed} missed, "
            f"{lesions.false} false; {lesions.small} of up to {lesions.least_volume:g} {unit} left out"
        )
        tables.append(table(_HEADERS, rows, caption=caption))
    if evaluation.volume_error is not None:
        errors = evaluation.volume_error
        found = [("pixels", errors.px), *([("mL", errors.ml)] if errors.ml is not None else [])]
        headers = ["unit", "mean error", "95 % interval", "limits of agreement", "mean size of error"]
        caption = "Predicted less true volume over patients (Bland and Altman)"
        tables.append(table(headers, [_agreement(unit, each) for unit, each in found], caption=caption))
    return tables


def agreement_chart(evaluation: Evaluation) -> Html:
    """Each patient's volume error against the mean of both volumes, with bias and limits of agreement."""
    volumes = [(each.id, each.volume) for each in evaluation.patients if each.volume is not None]
    errors = evaluation.volume_error
    in_ml = errors is not None and errors.ml is not None
    unit, found = ("mL", errors.ml) if errors is not None and in_ml else ("pixels", errors.px if errors else None)
    points = [
        (name, ((volume.true_ml or 0.0) + (volume.predicted_ml or 0.0)) / 2, volume.error_ml)
        if in_ml
        else (name, (volume.true_px + volume.predicted_px) / 2, float(volume.error_px))
        for name, volume in volumes
    ]
    known = [(name, mean, error) for name, mean, error in points if error is not None]
    x = [mean for _, mean, _ in known]
    lines = [] if found is None or not x else [found.bias, *(found.limits or ())]
    return line_chart(
        [
            *(Series(name="", x=[min(x), max(x)], y=[line, line], style="reference") for line in lines),
            Series(
                name="",
                x=x,
                y=[error for _, _, error in known],
                style="points",
                labels=[f"{name}: {error:.4g} {unit}" for name, _, error in known],
            ),
        ],
        title="Volume error of each patient, with mean and limits of agreement",
        x_label=f"mean of true and predicted volume, {unit}",
        y_label=f"predicted less true, {unit}",
    )


_HEADERS = ("score", "patients", "mean", "95 % interval", "median", "lowest", "highest")


def _cells(found: PatientSummary) -> tuple[object, ...]:
    """A summary's cells; patients without the score are counted."""
    number = f"{found.n} ({found.n_undefined} undefined)" if found.n_undefined else found.n
    return number, found.mean, _interval(found.ci95), found.median, found.min, found.max


def _agreement(unit: str, found: VolumeAgreement) -> tuple[object, ...]:
    """The cells of one unit's line."""
    return unit, found.bias, _interval(found.bias_ci95), _interval(found.limits), found.mean_absolute


def _interval(ends: Interval95) -> str:
    """An interval for readers."""
    return interval_text(*(ends or (None, None)))


def _named(figures: Sequence[str]) -> str:
    """Figures of one reason in words: intervals together, the others by their places in the JSON."""
    intervals = [each for each in figures if "ci95" in each or each.endswith((".sd", ".limits"))]
    others = [each for each in figures if each not in intervals]
    parts = [f"{len(intervals)} intervals"] if len(intervals) > _LISTED else intervals
    return ", ".join([*others, *parts])
