"""The page that `brainseg evaluate --report` writes: scores with intervals, curves, patients, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.evaluation.volume_page import agreement_chart, missing_lines, volume_tables
from brainseg_runtime.evaluation.volume_scores import Interval95
from brainseg_runtime.html.charts import Series, Strip, diagonal, line_chart, strip_plot
from brainseg_runtime.html.markup import Html, join
from brainseg_runtime.html.page import Section, facts, figure_png, grid, interval_text, note, page, swatch, table
from brainseg_runtime.images.overlay import PREDICTION, TRUTH
from brainseg_runtime.metrics.scores import table as score_table
from brainseg_runtime.plurals import counted

UNIT = (0.0, 1.0)


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
) -> Html:
    """The whole page.

    Args:
        evaluation: What was measured.
        pictures: Overlays of chosen patients; none leaves their section out.
        run: What ran: label to value, shown as it is at the end.
        title: The page's heading, such as "Evaluation of resunet 1.0.0".

    Returns:
        A document that loads nothing.

    Raises:
        MissingExtraError: There are pictures, and pillow is not installed.
    """
    missing = [note(line, kind="warning") for line in missing_lines(evaluation.missing)]
    sections = [
        Section(title="Result", parts=[_headline(evaluation), *missing]),
        Section(
            title="Scores", parts=[grid([_pooled(evaluation), join([_averages(evaluation), _detection(evaluation)])])]
        ),
        *_curve_section(evaluation),
        Section(title="Surfaces, lesions and volumes", parts=volume_tables(evaluation)),
        Section(title="Patients", parts=[grid(patient_charts(evaluation)), _sites(evaluation), _patients(evaluation)]),
    ]
    if pictures:
        sections.append(Section(title="Best, median and worst patient", parts=[_pictures(pictures)]))
    sections.append(Section(title="What ran", parts=[table(["", ""], list(run.items()))]))
    lead = (
        f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}, at native resolution."
    )
    return page(title, sections, lead=lead, footer=f"Averaging: {evaluation.averaging}.")


def _curve_section(evaluation: Evaluation) -> list[Section]:
    """The curves; no section where there are no probabilities to draw them from, which the page's head says."""
    if not evaluation.curves.roc.x and not evaluation.curves.dice.x and not evaluation.calibration.bins:
        return []
    return [Section(title="Curves over all pixels", parts=[grid(curves(evaluation))])]


def chosen_patients(evaluation: Evaluation) -> dict[str, PatientScores]:
    """The patients worth looking at, by volume Dice: "best", "median" (the lower of two) and "worst", each once."""
    ranked = sorted(evaluation.patients, key=lambda patient: (-patient.dice, patient.id))
    places = {"best": 0, "worst": len(ranked) - 1, "median": len(ranked) // 2}
    first: dict[int, str] = {}
    for label, place in places.items():
        first.setdefault(place, label)
    return {first[place]: ranked[place] for place in sorted(first)}


def curves(evaluation: Evaluation) -> list[Html]:
    """ROC, precision against recall, reliability, and Dice against threshold."""
    drawn, pooled, nan = evaluation.curves, evaluation.pooled, float("nan")
    counts = [patient.counts for patient in evaluation.patients]
    negatives = sum(each.fp + each.tn for each in counts)
    false_rate = sum(each.fp for each in counts) / negatives if negatives else nan
    at = "these masks" if evaluation.threshold is None else f"threshold {evaluation.threshold:.3g}"
    bins = evaluation.calibration.bins
    return [
        line_chart(
            [
                Series(name="model", x=drawn.roc.x, y=drawn.roc.y),
                _operating_point(at, false_rate, nan if pooled.recall is None else pooled.recall),
                diagonal("chance"),
            ],
            title=_titled("ROC", "area", pooled.roc_auc),
            x_label="false positive rate",
            y_label="true positive rate",
            x_range=UNIT,
            y_range=UNIT,
        ),
        line_chart(
            [
                Series(name="model", x=drawn.pr.x, y=drawn.pr.y),
                _operating_point(at, *(nan if value is None else value for value in (pooled.recall, pooled.precision))),
            ],
            title=_titled("Precision and recall", "area", pooled.pr_auc),
            x_label="recall",
            y_label="precision",
            x_range=UNIT,
            y_range=UNIT,
        ),
        line_chart(
            [
                Series(name="model", x=[each.probability for each in bins], y=[each.tumour for each in bins]),
                diagonal("calibrated"),
            ],
            title=_titled("Reliability", "expected calibration error", evaluation.calibration.ece, places=4),
            x_label="mean probability",
            y_label="share of tumour",
            x_range=UNIT,
            y_range=UNIT,
        ),
        line_chart(
            [
                Series(name="model", x=drawn.dice.x, y=drawn.dice.y),
                _operating_point(at, nan if evaluation.threshold is None else evaluation.threshold, pooled.dice),
            ],
            title="Pooled Dice against threshold",
            x_label="threshold",
            y_label="Dice",
            x_range=UNIT,
            y_range=UNIT,
        ),
    ]


def patient_charts(evaluation: Evaluation) -> list[Html]:
    """Dice per patient, by site, and against the tumour's size; errors of the volume."""
    sites = sorted({patient.site for patient in evaluation.patients})
    by_site = {site: [patient for patient in evaluation.patients if patient.site == site] for site in sites}
    if len(sites) > 6:  # more columns than their names have room for
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
        agreement_chart(evaluation),
    ]


def _headline(evaluation: Evaluation) -> Html:
    """The figures that most readers come for."""
    volume = evaluation.volume_dice
    return facts(
        [
            ("Volume Dice, mean over patients", volume.mean),
            ("its 95 % interval", _interval(volume.ci95)),
            ("median", volume.median),
            ("lowest", volume.min),
            ("Dice over all pixels", evaluation.pooled.dice),
        ]
    )


def _pooled(evaluation: Evaluation) -> Html:
    """The seven scores over all pixels."""
    rows = [
        (score.label, evaluation.pooled.scores[score.key], _interval(evaluation.pooled_ci95.scores[score.key]))
        for score in score_table().pooled
    ]
    return table(["score", "value", "95 % interval"], rows, caption="Over all pixels of all patients")


def _averages(evaluation: Evaluation) -> Html:
    """Dice and IoU by patient and by slice."""
    over = (
        ("volume", "each patient's volume"),
        ("slice_{}_tumour", "slices with tumour"),
        ("slice_{}_all", "all slices"),
    )
    rows: list[tuple[object, ...]] = []
    for score, name in (("dice", "Dice"), ("iou", "IoU")):
        for kind, text in over:
            key = f"volume_{score}" if kind == "volume" else kind.format(score)
            found = getattr(evaluation, key)
            count = evaluation.n_patients if kind == "volume" else found.n
            rows.append((name, text, count, found.mean, _interval(found.ci95)))
    caption = "Mean over patients and over slices; two empty masks score 1"
    return table(["score", "of", "number", "mean", "95 % interval"], rows, caption=caption)


def _detection(evaluation: Evaluation) -> Html:
    """Detection by slice."""
    found = evaluation.detection
    rows = [
        ("with tumour", found.tumour_slices, "missed: nothing predicted", found.missed),
        ("without tumour", found.healthy_slices, "false alarm: something predicted", found.false_alarms),
    ]
    return table(["slices", "number", "fault", "number of faults"], rows, caption="Detection by slice")


def _sites(evaluation: Evaluation) -> Html:
    """Hospitals."""
    rows = [
        (each.site, each.n_patients, each.n_slices, each.volume_dice, each.volume_iou, each.pooled_dice)
        for each in evaluation.sites
    ]
    headers = ["site", "patients", "slices", "volume Dice", "volume IoU", "pooled Dice"]
    return table(headers, rows, caption="By hospital")


def _patients(evaluation: Evaluation) -> Html:
    """Every patient, the worst first."""
    rows = [
        (
            each.id,
            each.n_slices,
            each.counts.truth,
            each.counts.predicted,
            each.dice,
            each.iou,
            each.precision,
            each.recall,
            each.surface and each.surface.hd95_px,
            each.surface and each.surface.nsd_px,
            each.lesions and each.lesions.dice,
            each.lesions and each.lesions.f1,
            each.detection.missed,
            each.detection.false_alarms,
        )
        for each in sorted(evaluation.patients, key=lambda patient: (patient.dice, patient.id))
    ]
    headers = [
        "patient",
        "slices",
        "tumour px",
        "predicted px",
        "Dice",
        "IoU",
        "precision",
        "recall",
        "HD95 px",
        "NSD",
        "lesion Dice",
        "lesion F1",
        "missed",
        "alarms",
    ]
    return table(headers, rows, caption="Every patient, the lowest Dice first")


def _pictures(pictures: Sequence[Picture]) -> Html:
    """Overlays with the meaning of their colours."""
    figures = grid((figure_png(each.rgb, caption=each.caption) for each in pictures), narrow=True)
    return join([swatch(TRUTH, "truth"), swatch(PREDICTION, "prediction"), figures])


def _operating_point(name: str, x: float, y: float) -> Series:
    """Where the model's threshold lies on a curve."""
    return Series(name=name, x=[x], y=[y], style="points", labels=[f"{name}: {x:.4f}, {y:.4f}"])


def _titled(title: str, what: str, value: float | None, *, places: int = 3) -> str:
    """A chart's title with its figure."""
    return f"{title}, {what} {'not defined' if value is None else f'{value:.{places}f}'}"


def _interval(ends: Interval95) -> str:
    """An interval for readers."""
    return interval_text(*(ends or (None, None)))
