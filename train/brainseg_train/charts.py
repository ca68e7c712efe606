"""The comparison's charts: networks over each other's curves, patients, and how every run learned."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.svg import Series, Strip, diagonal, line_chart, strip_plot
from brainseg_train import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brainseg_runtime.markup import Html
    from brainseg_train.final import TestRecord
    from brainseg_train.study import Study

UNIT: Final = (0.0, 1.0)
"""The range of every score."""


def patient_charts(tests: Sequence[TestRecord]) -> list[Html]:
    """Dice of every test patient's volume: a strip for each network, and against the tumour's size."""
    strips = [
        Strip(
            name=test.model,
            values=[patient.dice for patient in test.evaluation.patients],
            labels=[patient.id for patient in test.evaluation.patients],
        )
        for test in tests
    ]
    sizes = [
        Series(
            name=test.model,
            x=[float(patient.counts.truth) for patient in test.evaluation.patients],
            y=[patient.dice for patient in test.evaluation.patients],
            style="points",
            labels=[f"{patient.id}: {patient.dice:.3f}" for patient in test.evaluation.patients],
        )
        for test in tests
    ]
    return [
        strip_plot(strips, title="Volume Dice of each test patient", y_label="Dice", y_range=UNIT),
        line_chart(
            sizes,
            title="Volume Dice against tumour size",
            x_label="tumour pixels in the truth",
            y_label="Dice",
            y_range=UNIT,
            log_x=True,
        ),
    ]


def pixel_charts(tests: Sequence[TestRecord]) -> list[Html]:
    """ROC, precision against recall, reliability, and Dice against threshold, all networks in each."""
    return [
        line_chart(
            [*(_curve(test, "roc", test.evaluation.pooled.roc_auc) for test in tests), diagonal("chance")],
            title="ROC, with its area",
            x_label="false positive rate",
            y_label="true positive rate",
            x_range=UNIT,
            y_range=UNIT,
        ),
        line_chart(
            [_curve(test, "pr", test.evaluation.pooled.pr_auc) for test in tests],
            title="Precision and recall, with the area",
            x_label="recall",
            y_label="precision",
            x_range=UNIT,
            y_range=UNIT,
        ),
        line_chart(
            [*(_reliability(test) for test in tests), diagonal("calibrated")],
            title="Reliability, with the expected calibration error",
            x_label="mean probability",
            y_label="share of tumour",
            x_range=UNIT,
            y_range=UNIT,
        ),
        line_chart(
            [_curve(test, "dice", test.evaluation.pooled.dice) for test in tests],
            title=f"Pooled Dice against threshold, with Dice at {tests[0].evaluation.threshold:g}",
            x_label="threshold",
            y_label="Dice",
            x_range=UNIT,
            y_range=UNIT,
        ),
    ]


def learning_charts(current: Study, board: Mapping[str, Any]) -> list[Html]:
    """For each network the validation Dice of its runs by epoch; then the losses of the chosen runs."""
    rows, trials, folds = board["rows"], board["trials"], board["folds"] is not None
    losses = _losses(current, rows)
    if len(trials) == len(rows):  # one run each: a chart for all says more than one with a single line for each
        ranked = [next(trial for trial in trials if trial["model"] == row["model"]) for row in rows]
        named = [dataclasses.replace(_learning(current, trial), name=trial["model"]) for trial in ranked]
        return [_dice_chart(named, "Validation Dice by epoch"), losses]
    charts = []
    for row in rows:
        lines = [_learning(current, trial, folds=folds) for trial in trials if trial["model"] == row["model"]]
        charts.append(_dice_chart(lines, f"{row['model']}: validation Dice of every run"))
    return [*charts, losses]


def _dice_chart(lines: Sequence[Series], title: str) -> Html:
    """Validation Dice by epoch."""
    return line_chart(lines, title=title, x_label="epoch", y_label="mean volume Dice at 128×128", y_range=UNIT)


def _losses(current: Study, rows: Sequence[Mapping[str, Any]]) -> Html:
    """Training and validation loss of each network's first chosen run."""
    lines = []
    for row in rows:
        history = records.load_history(current.runs / row["timing"]["runs"][0])
        epochs = [float(entry.epoch) for entry in history]
        lines.append(Series(name=f"{row['model']}, training", x=epochs, y=[entry.train_loss for entry in history]))
        validation = [entry.validation["loss"] for entry in history]
        lines.append(Series(name=f"{row['model']}, validation", x=epochs, y=validation))
    return line_chart(lines, title="Losses of the chosen runs", x_label="epoch", y_label="BCE + soft Dice loss")


def _learning(current: Study, trial: Mapping[str, Any], *, folds: bool = False) -> Series:
    """One run's validation Dice by epoch."""
    history = records.load_history(current.runs / trial["timing"]["run"])
    name = f"{trial['trial'] + 1}: {trial['configuration']}"
    ended = "" if trial["status"] == "complete" else f" ({trial['status']})"
    return Series(
        name=(f"fold {trial['fold']}, {name}" if folds else name) + ended,
        x=[float(entry.epoch) for entry in history],
        y=[entry.validation["dice"] for entry in history],
    )


def _curve(test: TestRecord, name: str, value: float | None) -> Series:
    """One network's curve, its figure in the legend."""
    curve = getattr(test.evaluation.curves, name)
    return Series(name=test.model if value is None else f"{test.model} {value:.3f}", x=curve.x, y=curve.y)


def _reliability(test: TestRecord) -> Series:
    """One network's share of tumour by mean probability."""
    calibration = test.evaluation.calibration
    return Series(
        name=f"{test.model} {calibration.ece:.4f}",
        x=[one.probability for one in calibration.bins],
        y=[one.tumour for one in calibration.bins],
    )
