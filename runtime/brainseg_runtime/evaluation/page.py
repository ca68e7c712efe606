"""The page that `brainseg evaluate --report` writes: scores with intervals, curves, patients, pictures.

`page.html` is the page; this module gives it rows and charts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.evaluation.rows import missing_lines
from brainseg_runtime.evaluation.volume_scores import PatientSummary, VolumeAgreement
from brainseg_runtime.html.charts import Series, Strip, diagonal, line_chart, strip_plot
from brainseg_runtime.html.page import interval_text, render
from brainseg_runtime.images import read_mask, read_slice
from brainseg_runtime.images.overlay import PREDICTION, TRUTH, overlay
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.plurals import counted

if TYPE_CHECKING:
    from markupsafe import Markup

    from brainseg_runtime.images.dataset import Patient

UNIT: Final = (0.0, 1.0)
"""The range of most scores, for axes."""

_MOST_SITES: Final = 6  # columns whose names have room

Row: TypeAlias = tuple[object, ...]
Table: TypeAlias = tuple[Sequence[str], Sequence[Row], str]
"""Headers, rows, and caption."""

MaskOf: TypeAlias = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]]
"""From a slice's index in its patient and its image (H, W, 3) to the predicted mask (H, W), uint8 with 0 and 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """An overlay and what it shows.

    Attributes:
        caption: Which patient and slice, and how well it went.
        rgb: (H, W, 3) uint8.
    """

    caption: str
    rgb: NDArray[np.uint8]


def evaluation_page(
    evaluation: Evaluation, pictures: Sequence[Picture], run: Mapping[str, object], *, title: str = "Evaluation"
) -> str:
    """The whole page.

    Args:
        evaluation: What was measured.
        pictures: Overlays of chosen patients; none leaves their section out.
        run: What ran: label to value, shown as it is at the end.
        title: The page's heading, such as "Evaluation of resunet 1.0.0".

    Returns:
        A document that loads nothing.

    Raises:
        MissingExtraError: jinja2 is not installed, or there are pictures and pillow is not.
    """
    return render(
        Path(__file__).with_name("page.html"),
        title=title,
        size=f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}",
        evaluation=evaluation,
        missing=missing_lines(evaluation.missing),
        pooled=_pooled(evaluation),
        averages=_averages(evaluation),
        curves=_curves(evaluation),
        volumes=_volume_tables(evaluation),
        patient_charts=_patient_charts(evaluation),
        sites=[
            (each.site, each.n_patients, each.n_slices, each.volume_dice, each.volume_iou, each.pooled_dice)
            for each in evaluation.sites
        ],
        patients=_patients(evaluation),
        pictures=pictures,
        truth=TRUTH,
        prediction=PREDICTION,
        run=list(run.items()),
    )


def patient_picture(mask_of: MaskOf, patient: Patient, scores: PatientScores, label: str) -> Picture:
    """The slice with the largest true tumour, with truth and prediction outlined; the middle slice where there is none.

    Args:
        mask_of: Predicts or reads the slice's mask again, so that none has to be kept while patients stream by.
        patient: Whose slices.
        scores: What the caption tells.
        label: Why this patient was chosen, such as "worst".

    Raises:
        BrainsegError: A file cannot be read any more, or inference fails.
    """
    areas = [0 if paths.mask is None else int(np.count_nonzero(read_mask(paths.mask))) for paths in patient.slices]
    at = int(np.argmax(areas)) if any(areas) else len(areas) // 2
    image, truth = read_slice(patient.slices[at])
    caption = f"{label}: {patient.id}, volume Dice {scores.dice:.3f}; slice {patient.slices[at].number}"
    return Picture(caption=caption, rgb=overlay(image, truth, mask_of(at, image)))


def _pooled(evaluation: Evaluation) -> list[Row]:
    """The scores over all pixels."""
    values, intervals = evaluation.pooled.scores, evaluation.pooled_ci95.scores
    return [(each.label, values[each.key], interval_text(intervals[each.key])) for each in table().pooled]


def _averages(evaluation: Evaluation) -> list[Row]:
    """Dice and IoU by patient and by slice."""
    rows: list[Row] = []
    for key, name in (("dice", "Dice"), ("iou", "IoU")):
        volume = getattr(evaluation, f"volume_{key}")
        rows.append((name, "each patient's volume", evaluation.n_patients, volume.mean, interval_text(volume.ci95)))
        for kind, text in (("tumour", "slices with tumour"), ("all", "all slices")):
            found = getattr(evaluation, f"slice_{key}_{kind}")
            rows.append((name, text, found.n, found.mean, interval_text(found.ci95)))
    return rows


def _curves(evaluation: Evaluation) -> list[Markup]:
    """ROC, precision against recall, reliability, Dice against threshold; none where there are no probabilities."""
    drawn, pooled, bins = evaluation.curves, evaluation.pooled, evaluation.calibration.bins
    if not drawn.roc.x and not drawn.dice.x and not bins:
        return []
    counts = [patient.counts for patient in evaluation.patients]
    negatives = sum(each.fp + each.tn for each in counts)
    false_rate = sum(each.fp for each in counts) / negatives if negatives else None
    at = "these masks" if evaluation.threshold is None else f"threshold {evaluation.threshold:.3g}"
    ece = evaluation.calibration.ece

    def model(x: Sequence[float], y: Sequence[float]) -> Series:
        return Series(name="model", x=x, y=y)

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


def score_chart(series: Sequence[Series], *, title: str, x_label: str, y_label: str) -> Markup:
    """A chart of which both axes run from 0 to 1."""
    return line_chart(series, title=title, x_label=x_label, y_label=y_label, x_range=UNIT, y_range=UNIT)


def _operating_point(name: str, x: float | None, y: float | None) -> Series:
    """Where the model's threshold lies on a curve; not drawn where a coordinate is undefined."""
    at = [math.nan if value is None else value for value in (x, y)]
    return Series(name=name, x=at[:1], y=at[1:], style="points", labels=[f"{name}: {at[0]:.4f}, {at[1]:.4f}"])


def _titled(title: str, value: float | None, *, places: int = 3) -> str:
    """A chart's title with its figure."""
    return f"{title} {'not defined' if value is None else f'{value:.{places}f}'}"


def _volume_tables(evaluation: Evaluation) -> list[Table]:
    """Surface and lesion scores over patients, and volume errors; what an older record lacks is left out."""
    surface, lesions, errors = evaluation.surface, evaluation.lesions, evaluation.volume_error
    headers = ("score", "patients", "mean", "95 % interval", "median", "lowest", "highest")
    tables: list[Table] = []
    if surface is not None:
        known = evaluation.spacing_mm is not None
        shown = [each for each in table().surface if known or not each.needs_spacing]
        caption = (
            f"Distances between surfaces by patient; NSD within {surface.tolerance:g} "
            f"{'pixels or mm' if known else 'pixels'}; to an empty mask there is no distance"
        )
        rows = [(each.title(surface.tolerance), *_summary(surface.scores[each.key])) for each in shown]
        tables.append((headers, rows, caption))
    if lesions is not None:
        unit = {"voxels": "voxels", "mm3": "mm³"}[lesions.least_volume_unit]
        caption = (
            f"Lesion by lesion, as BraTS counts: {lesions.found} found, {lesions.missed} missed, "
            f"{lesions.false} false; {lesions.small} of up to {lesions.least_volume:g} {unit} left out"
        )
        tables.append(
            (headers, [(each.label, *_summary(lesions.scores[each.key])) for each in table().lesions], caption)
        )
    if errors is not None:
        units = [("pixels", errors.px), *([("mL", errors.ml)] if errors.ml is not None else [])]
        columns = ("unit", "mean error", "95 % interval", "limits of agreement", "mean absolute error")
        caption = "Predicted less true volume over patients (Bland and Altman)"
        tables.append((columns, [_agreement(unit, each) for unit, each in units], caption))
    return tables


def _summary(found: PatientSummary) -> Row:
    """The cells of a score over patients; patients without it are counted."""
    number = f"{found.n} ({found.n_undefined} undefined)" if found.n_undefined else found.n
    return number, found.mean, interval_text(found.ci95), found.median, found.min, found.max


def _agreement(unit: str, found: VolumeAgreement) -> Row:
    """The cells of one unit's volume errors."""
    return unit, found.bias, interval_text(found.bias_ci95), interval_text(found.limits), found.mean_absolute


def _patient_charts(evaluation: Evaluation) -> list[Markup]:
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
    size = Series(
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
            *(Series(name="", x=ends, y=[line, line], style="reference") for line in lines),
            Series(name="", x=means, y=differences, style="points", labels=names),
        ],
        title="Volume error of each patient, with mean and limits of agreement",
        x_label=f"mean of true and predicted volume, {unit}",
        y_label=f"predicted less true, {unit}",
    )


def _patients(evaluation: Evaluation) -> tuple[list[str], list[Row]]:
    """Headers and rows of every patient, the worst first."""
    counted_scores = [score for score in table().counted if not score.same_as]
    of_volumes = {"hd95_px": "HD95 px", "nsd_px": "NSD"}, {"dice": "lesion Dice", "f1": "lesion F1"}
    headers = ["patient", "slices", "tumour px", "predicted px", *(score.label for score in counted_scores)]
    headers += [*of_volumes[0].values(), *of_volumes[1].values(), "FN", "FP"]
    rows: list[Row] = [
        (
            each.id,
            each.n_slices,
            each.counts.truth,
            each.counts.predicted,
            *(each.scores[score.key] for score in counted_scores),
            *(each.surface and each.surface.scores[key] for key in of_volumes[0]),
            *(each.lesions and each.lesions.scores[key] for key in of_volumes[1]),
            each.detection.missed,
            each.detection.false_alarms,
        )
        for each in sorted(evaluation.patients, key=lambda patient: (patient.dice, patient.id))
    ]
    return headers, rows
