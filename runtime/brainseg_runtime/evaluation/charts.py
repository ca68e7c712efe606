"""The charts of an evaluation's page: curves over all pixels, and patients by Dice, size and volume error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.evaluation.volume_scores import VolumeAgreement
from brainseg_runtime.html.charts import Strip, Trace, diagonal, line_chart, strip_plot

if TYPE_CHECKING:
    from markupsafe import Markup

UNIT: Final = (0.0, 1.0)
"""The range of most scores, for axes."""


_MOST_SITES: Final = 6  # columns whose names have room


def curve_charts(evaluation: Evaluation) -> list[Markup]:
    """ROC, precision against recall, reliability, Dice against threshold; none where there are no probabilities."""
    drawn, pooled, bins = evaluation.curves, evaluation.pooled, evaluation.calibration.bins
    if not drawn.roc.x and not drawn.dice.x and not bins:
        return []
    counts = [patient.counts for patient in evaluation.patients]
    negatives = sum(each.fp + each.tn for each in counts)
    false_rate = sum(each.fp for each in counts) / negatives if negatives else None
    at = "these masks" if evaluation.threshold is None else f"threshold {evaluation.threshold:.3g}"
    ece = evaluation.calibration.ece

    def model(x: Sequence[float], y: Sequence[float]) -> Trace:
        return Trace(name="model", x=x, y=y)

    return [
        score_chart(
            [model(drawn.roc.x, drawn.roc.y), _operating_point(at, false_rate, pooled.recall), diagonal("chance")],
            title=_titled("ROC, area", pooled.roc_auc),
            x_label="false positive rate",
            y_label="true positive rate",
        ),
        score_chart(
            [model(drawn.pr.x, drawn.pr.y), _operating_point(at, pooled.recall, pooled.precision)],
            title=_titled("Precision and recall, area", pooled.pr_auc),
            x_label="recall",
            y_label="precision",
        ),
        score_chart(
            [model([each.probability for each in bins], [each.tumour for each in bins]), diagonal("calibrated")],
            title=_titled("Reliability, expected calibration error", ece, places=4),
            x_label="mean probability",
            y_label="fraction of tumour",
        ),
        score_chart(
            [model(drawn.dice.x, drawn.dice.y), _operating_point(at, evaluation.threshold, pooled.dice)],
            title="Pooled Dice against threshold",
            x_label="threshold",
            y_label="Dice",
        ),
    ]


def score_chart(traces: Sequence[Trace], *, title: str, x_label: str, y_label: str) -> Markup:
    """A chart of which both axes run from 0 to 1."""
    return line_chart(traces, title=title, x_label=x_label, y_label=y_label, x_range=UNIT, y_range=UNIT)


def _operating_point(name: str, x: float | None, y: float | None) -> Trace:
    """Where the model's threshold lies on a curve; not drawn where a coordinate is undefined."""
    at = [math.nan if value is None else value for value in (x, y)]
    return Trace(name=name, x=at[:1], y=at[1:], style="points", labels=[f"{name}: {at[0]:.4f}, {at[1]:.4f}"])


def _titled(title: str, value: float | None, *, places: int = 3) -> str:
    """A chart's title with its figure."""
    return f"{title} {'not defined' if value is None else f'{value:.{places}f}'}"


def patient_charts(evaluation: Evaluation) -> list[Markup]:
    """Dice per patient, by site, and against the tumour's size; errors of the volume."""
    by_site: dict[str, list[PatientScores]] = {site.site: [] for site in evaluation.sites}
    for patient in evaluation.patients:
        by_site[patient.site].append(patient)
    if len(by_site) > _MOST_SITES:
        by_site = {"all patients": list(evaluation.patients)}
    strips = [
        Strip(name=site, values=[each.dice for each in group], labels=[each.id for each in group])
        for site, group in by_site.items()
    ]
    size = Trace(
        name="",
        x=[float(each.counts.truth) for each in evaluation.patients],
        y=[each.dice for each in evaluation.patients],
        style="points",
        labels=[f"{each.id}: {each.dice:.3f}" for each in evaluation.patients],
    )
    return [
        strip_plot(strips, title="Volume Dice of each patient, by site", y_label="Dice", y_range=UNIT),
        line_chart(
            [size],
            title="Volume Dice against tumour size",
            x_label="tumour pixels in the truth",
            y_label="Dice",
            y_range=UNIT,
            log_x=True,
        ),
        _agreement_chart(evaluation),
    ]


def stress_charts(stress: StressTable) -> list[Markup]:
    """Each patient's difference from the unperturbed Dice, a chart for each group of perturbations."""
    before = {patient.id: patient.dice for patient in stress.rows[0].patients}
    groups: dict[str, list[Strip]] = {}
    for row in stress.rows[1:]:
        losses = {
            patient.id: patient.dice - unperturbed
            for patient in row.patients
            if patient.dice is not None and (unperturbed := before[patient.id]) is not None
        }
        if losses:
            strip = Strip(name=row.name, values=list(losses.values()), labels=list(losses), colour=0)
            groups.setdefault(row.group, []).append(strip)
    return [
        strip_plot(strips[at : at + _MOST_SITES], title=f"Change of Dice by patient: {group}", y_label="difference")
        for group, strips in groups.items()
        for at in range(0, len(strips), _MOST_SITES)
    ]


def _agreement_chart(evaluation: Evaluation) -> Markup:
    """Each patient's volume error against the mean of both volumes, with bias and limits of agreement."""
    errors = evaluation.volume_error
    in_ml = errors is not None and errors.ml is not None
    unit, suffix = ("mL", "ml") if in_ml else ("pixels", "px")
    found: VolumeAgreement | None = getattr(errors, suffix, None)
    names: list[str] = []
    means: list[float] = []
    differences: list[float] = []
    for patient in evaluation.patients:
        values = [getattr(patient.volume, f"{what}_{suffix}", None) for what in ("true", "predicted", "error")]
        true, predicted, error = values
        if true is not None and predicted is not None and error is not None:
            names.append(f"{patient.id}: {error:.4g} {unit}")
            means.append((true + predicted) / 2)
            differences.append(float(error))
    lines = [] if found is None or not means else [found.bias, *(found.limits or ())]
    ends = (min(means), max(means)) if means else ()
    return line_chart(
        [
            *(Trace(name="", x=ends, y=[line, line], style="reference") for line in lines),
            Trace(name="", x=means, y=differences, style="points", labels=names),
        ],
        title="Volume error of each patient, with mean and limits of agreement",
        x_label=f"mean of true and predicted volume, {unit}",
        y_label=f"predicted minus true, {unit}",
    )
