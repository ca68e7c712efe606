"""The comparison's charts: networks over each other's curves, patients, and how every run learned.

A network has one colour in all of them, and on every page: that of its place among the networks there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.evaluation.charts import UNIT, score_chart
from brainseg_runtime.html.charts import Strip, Trace, diagonal, line_chart, strip_plot
from brainseg_train import models
from brainseg_train.runs import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from brainseg_train.comparison.test_scores import TestRecord
    from brainseg_train.tuning.study import Study

SMALLEST: Final = 1.0
"""Tumour pixels from which a patient has a place on the logarithmic axis."""


def colour(model: str) -> int:
    """The colour of a network, as an index into the page's colours."""
    return models.NAMES.index(model) if model in models.NAMES else len(models.NAMES)


def patient_charts(tests: Sequence[TestRecord]) -> list[Markup]:
    """Dice of every test patient's volume: a strip for each network, and against the tumour's size."""
    strips = [
        Strip(
            name=test.model,
            values=[patient.dice for patient in test.evaluation.patients],
            labels=[patient.id for patient in test.evaluation.patients],
            colour=colour(test.model),
        )
        for test in tests
    ]
    sizes = [
        Trace(
            name=test.model,
            x=[float(patient.counts.truth) for patient in test.evaluation.patients],
            y=[patient.dice for patient in test.evaluation.patients],
            style="points",
            labels=[f"{patient.id}: {patient.dice:.3f}" for patient in test.evaluation.patients],
            colour=colour(test.model),
        )
        for test in tests
    ]
    empty = sum(patient.counts.truth < SMALLEST for patient in tests[0].evaluation.patients)
    left_out = f"; {empty} without tumour not shown" if empty else ""
    return [
        strip_plot(strips, title="Volume Dice of each test patient", y_label="Dice", y_range=UNIT),
        line_chart(
            sizes,
            title="Volume Dice against tumour size",
            x_label=f"tumour pixels in the truth{left_out}",
            y_label="Dice",
            y_range=UNIT,
            log_x=True,
        ),
    ]


def pixel_charts(tests: Sequence[TestRecord]) -> list[Markup]:
    """ROC, precision against recall, reliability, and Dice against threshold, all networks in each."""
    return [
        score_chart(
            [*(_curve(test, "roc", test.evaluation.pooled.roc_auc) for test in tests), diagonal("chance")],
            title="ROC, with its area",
            x_label="false positive rate",
            y_label="true positive rate",
        ),
        score_chart(
            [_curve(test, "pr", test.evaluation.pooled.pr_auc) for test in tests],
            title="Precision and recall, with the area",
            x_label="recall",
            y_label="precision",
        ),
        score_chart(
            [*(_reliability(test) for test in tests), diagonal("calibrated")],
            title="Reliability, with the expected calibration error",
            x_label="mean probability",
            y_label="fraction of tumour",
        ),
        score_chart(
            [_curve(test, "dice", test.evaluation.pooled.dice) for test in tests],
            title=f"Pooled Dice against threshold, with Dice at {tests[0].evaluation.threshold:g}",
            x_label="threshold",
            y_label="Dice",
        ),
    ]


def learning_charts(current: Study, board: Mapping[str, Any]) -> list[Markup]:
    """For each network the validation Dice of its runs by epoch; then the losses of the chosen runs."""
    rows, trials = board["rows"], board["trials"]
    losses = _losses(current, rows)
    if len(trials) == len(rows):  # one run each: a chart for all says more than one with a single line for each
        ranked = [next(trial for trial in trials if trial["model"] == row["model"]) for row in rows]
        return [
            _dice_chart([_learning(current, one, one["model"]) for one in ranked], "Validation Dice by epoch"),
            losses,
        ]
    charts = []
    for row in rows:
        own = [trial for trial in trials if trial["model"] == row["model"]]
        lines = _runs(current, own, row["timing"]["runs"], folds=board["folds"] is not None)
        charts.append(_dice_chart(lines, f"{row['model']}: validation Dice of every run"))
    return [*charts, losses]


def _runs(current: Study, trials: Sequence[Mapping[str, Any]], chosen: Sequence[str], *, folds: bool) -> list[Trace]:
    """All runs of one network in its colour, each with its own dash; runs that were not chosen are faint."""
    lines, places = [], {True: 0, False: 1}  # the chosen run, or the first of them, is the line without dashes
    for trial in trials:
        is_chosen = trial["timing"]["run"] in chosen
        name = f"{trial['trial'] + 1}: {trial['configuration']}"
        name = f"fold {trial['fold']}, {name}" if folds else name
        ended = "" if trial["status"] == "complete" else f" ({trial['status']})"
        mark = ", chosen" if is_chosen and not folds else ""
        lines.append(_learning(current, trial, name + ended + mark, dash=places[is_chosen], faint=not is_chosen))
        places[is_chosen] += 1
    return sorted(lines, key=lambda line: not line.faint)


def _dice_chart(lines: Sequence[Trace], title: str) -> Markup:
    """Validation Dice by epoch."""
    return line_chart(
        lines, title=title, x_label="epoch", y_label="mean volume Dice at 128×128", y_range=UNIT, whole_x=True
    )


def _losses(current: Study, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Training (dashed) and validation loss of each network's first chosen run."""
    lines = []
    for row in rows:
        history = records.load_history(current.runs / row["timing"]["runs"][0])
        epochs = [float(entry.epoch) for entry in history]
        parts = {
            "training": [entry.train_loss for entry in history],
            "validation": [entry.validation["loss"] for entry in history],
        }
        lines += [
            Trace(name=f"{row['model']}, {part}", x=epochs, y=values, colour=colour(row["model"]), dash=dash)
            for (part, values), dash in zip(parts.items(), (1, 0), strict=True)
        ]
    title = "Losses of the chosen runs"
    return line_chart(lines, title=title, x_label="epoch", y_label="BCE + soft Dice loss", whole_x=True)


def _learning(
    current: Study, trial: Mapping[str, Any], name: str, *, dash: int | None = None, faint: bool = False
) -> Trace:
    """One run's validation Dice by epoch."""
    history = records.load_history(current.runs / trial["timing"]["run"])
    return Trace(
        name=name,
        x=[float(entry.epoch) for entry in history],
        y=[entry.validation["dice"] for entry in history],
        colour=colour(trial["model"]),
        dash=dash,
        faint=faint,
    )


def _curve(test: TestRecord, name: str, value: float | None) -> Trace:
    """One network's curve, its figure in the legend."""
    curve = getattr(test.evaluation.curves, name)
    legend = test.model if value is None else f"{test.model} {value:.3f}"
    return Trace(name=legend, x=curve.x, y=curve.y, colour=colour(test.model))


def _reliability(test: TestRecord) -> Trace:
    """One network's fraction of tumour by mean probability."""
    calibration = test.evaluation.calibration
    return Trace(
        name=f"{test.model} {calibration.ece:.4f}",
        x=[one.probability for one in calibration.bins],
        y=[one.tumour for one in calibration.bins],
        colour=colour(test.model),
    )
