"""The leaderboard: the networks of one study ranked, and whether their order is more than noise.

`leaderboard.json` and `leaderboard.md` are made from records alone. Two studies that did the same work write the same
bytes but for what stands under `timing`: seconds, and the names of study and runs, which begin with the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from brainseg_runtime.html.page import NOT_DEFINED, interval_text, number_text
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io import files
from brainseg_train.comparison.significance import compare, verdict
from brainseg_train.comparison.test_scores import TestRecord, load_test
from brainseg_train.runs import records
from brainseg_train.tuning.search import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brainseg_train.runs.records import RunRecord
    from brainseg_train.tuning.study import Study
    from brainseg_train.tuning.study_record import Unit

Json: TypeAlias = dict[str, Any]

SCHEMA: Final = "brainseg-leaderboard/1"
RANKED_BY: Final = "test.volume_dice.mean"
_INTERVAL: Final = "volume_dice.ci95"  # the one that the ranking is read with

LEAK: Final = (
    "Split by slice: slices of the same patients lie in training and test, so these scores say nothing about new "
    "patients and must not be compared with scores by patient."
)
"""Stands in everything that is made from a split by slice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One line of the comparison: how it is called and where it stands in an evaluation."""

    name: str
    group: str
    key: str


VOLUME_DICE: Final = Metric(name="mean", group="Dice of a patient's volume", key="volume_dice.mean")
"""The score that ranks the networks."""


def metrics() -> tuple[Metric, ...]:
    """The lines of the comparison: means over patients and slices, then the scores of the table.

    Of the scores over patients those of which more is better; what needs the spacing in mm is unknown here.
    """
    pooled = ((score.label, f"pooled.{score.key}") for score in table().pooled)
    volumes = (
        (score.title(), f"{group}.{score.key}.mean")
        for group, scores in table().of_volumes.items()
        for score in scores
        if score.higher_is_better and not score.needs_spacing
    )
    tumour, every = "Slices with tumour", "All slices, both empty = 1"
    return (
        VOLUME_DICE,
        Metric(name="median", group=VOLUME_DICE.group, key="volume_dice.median"),
        Metric(name="worst", group=VOLUME_DICE.group, key="volume_dice.min"),
        Metric(name="mean", group="IoU of a patient's volume", key="volume_iou.mean"),
        *(Metric(name=name, group="All pixels pooled", key=key) for name, key in pooled),
        Metric(name="Dice", group=tumour, key="slice_dice_tumour.mean"),
        Metric(name="IoU", group=tumour, key="slice_iou_tumour.mean"),
        Metric(name="Dice", group=every, key="slice_dice_all.mean"),
        Metric(name="IoU", group=every, key="slice_iou_all.mean"),
        *(Metric(name=name, group="Surface and lesions by patient", key=key) for name, key in volumes),
    )


def make_leaderboard(current: Study) -> Json:
    """A complete study's leaderboard.

    Args:
        current: A study of which every network has been measured on the test subset.

    Returns:
        `rows` [{rank, model, config, validation, test, parameters, epochs, timing}], ranked by the mean Dice of the
        test patients' volumes; `comparisons` of each pair of networks over patients; `verdict` in words; `trials`, the
        whole tuning; `baseline`; and what study and data it is of.

    Raises:
        RecordError: A record is missing or damaged.
    """
    request = current.request
    tests = {model: load_test(current, model) for model in request.models}
    ranked = sorted(
        request.models, key=lambda model: (-tests[model].evaluation.volume_dice.mean, request.models.index(model))
    )
    comparisons = compare([tests[model] for model in ranked])
    return {
        "schema": SCHEMA,
        "kind": request.kind,
        "preset": request.preset,
        "seed": request.seed,
        "search": request.search.kind,
        "split_by": request.split_by,
        "leaky": request.leaky,
        "note": LEAK if request.leaky else None,
        "folds": len(request.splits) if len(request.splits) > 1 else None,
        "data_digest": request.data_digest,
        "split_digest": current.record.split_digest,
        "ranked_by": RANKED_BY,
        "rows": [_row(current, tests[model], rank) for rank, model in enumerate(ranked, start=1)],
        "comparisons": comparisons,
        "verdict": verdict(comparisons),
        "baseline": {"what": "best single threshold on FLAIR", "validation_dice": request.baseline},
        "trials": [trial for unit in request.units for trial in _trials(current, unit)],
        "timing": {"study": current.record.id, **current.record.timing},
    }


def to_markdown(board: Mapping[str, Any]) -> str:
    """The leaderboard as a Markdown document."""
    rows = board["rows"]
    cells = [["metric", *(f"{row['rank']}. {row['model']}" for row in rows)]]
    cells += [
        [f"{metric.group}: {metric.name}", *(score_text(row["test"], metric) for row in rows)]
        for metric in metrics()
        if any(score(row["test"], metric)[0] is not None for row in rows)
    ]
    cells += [
        ["Validation: mean volume Dice at 128×128", *(number_text(row["validation"]["dice"]) for row in rows)],
        ["Parameters", *(f"{row['parameters']:,}" for row in rows)],
        ["Epochs", *(str(row["epochs"]) for row in rows)],
        ["Configuration", *(row["chosen"] for row in rows)],
    ]
    lines = ["# Leaderboard", ""]
    if board["leaky"]:
        lines += [f"> **{LEAK}**", ""]
    lines += [subtitle(board), "", *_markdown_table(cells), "", board["verdict"], ""]
    lines += [f"Best single threshold on FLAIR, validation: {number_text(board['baseline']['validation_dice'])}.", ""]
    return "\n".join(lines)


def summary(board: Mapping[str, Any]) -> list[list[str]]:
    """The few columns that fit a terminal, head first; a leaky split stands in a column of its own."""
    given = any(score(row["test"], VOLUME_DICE)[1] for row in board["rows"])
    head = [
        "",
        "model",
        f"volume Dice{' (95 % interval)' if given else ''}",
        "pooled Dice",
        "IoU",
        "precision",
        "recall",
        "validation",
    ]
    head += ["epochs", "seconds", *(["split by"] if board["leaky"] else [])]
    rows = []
    for row in board["rows"]:
        test = row["test"]
        scores = [test["pooled"][name] for name in ("dice", "iou", "precision", "recall")]
        pooled = [NOT_DEFINED if value is None else number_text(value) for value in scores]
        cells = [str(row["rank"]), row["model"], score_text(test, VOLUME_DICE), *pooled]
        cells += [number_text(row["validation"]["dice"]), str(row["epochs"]), f"{row['timing']['seconds']:.0f}"]
        rows.append([*cells, *(["slice (LEAKY)"] if board["leaky"] else [])])
    return [head, *rows]


def subtitle(board: Mapping[str, Any]) -> str:
    """What was compared on how many patients, in one sentence."""
    first = board["rows"][0]["test"]
    over = f"{board['folds']}-fold cross-validation" if board["folds"] else "test subset, looked at once"
    marked = " **(split by slice: leaky)**" if board["leaky"] else ""
    none = next((item["reason"] for item in first.get("missing", []) if _INTERVAL in item["figures"]), None)
    intervals = "95 % BCa intervals by patient bootstrap" if none is None else f"no intervals ({none})"
    return (
        f"Scores on the {over}: {counted(first['n_patients'], 'patient')}, {counted(first['n_slices'], 'slice')} at "
        f"native resolution, threshold {first['threshold']}; {intervals}; ranked by the mean Dice of "
        f"patients' volumes{marked}."
    )


def score(test: Mapping[str, Any], metric: Metric) -> tuple[float | None, tuple[float, float] | None]:
    """A metric's value in an evaluation and its interval; None for what is undefined, has none, or was not measured."""
    *groups, name = metric.key.split(".")
    found: Any = test
    for group in groups:
        found = (found or {}).get(group)
    if found is None:
        return None, None  # a record made before this was measured
    interval = test["pooled_ci95"].get(name) if groups == ["pooled"] else found["ci95"] if name == "mean" else None
    return found.get(name), (interval[0], interval[1]) if interval else None


def score_text(test: Mapping[str, Any], metric: Metric) -> str:
    """A metric with its interval, `0.842 (0.790 – 0.881)`."""
    value, interval = score(test, metric)
    if value is None:
        return NOT_DEFINED
    return number_text(value) + (f" ({interval_text(interval)})" if interval else "")


def write(current: Study, board: Json) -> None:
    """Write `leaderboard.json` and `leaderboard.md` into the folder of runs.

    Raises:
        FileWriteError: The system refused; the old files stand.
    """
    files.write_json(current.runs / "leaderboard.json", board)
    files.write_text(current.runs / "leaderboard.md", to_markdown(board))


def _row(current: Study, test: TestRecord, rank: int) -> Json:
    """One network's line; over folds the first fold's configuration stands for all, and `folds` lists each."""
    units = [unit for unit in current.request.units if unit.model == test.model]
    chosen = current.record.selected[test.model]
    runs = [records.load_record(current.runs / run_id) for run_id in chosen]
    params = {trial["timing"]["run"]: trial["configuration"] for unit in units for trial in _trials(current, unit)}
    validations = [run.best.validation for run in runs if run.best is not None]
    evaluation = test.evaluation.to_json()
    return {
        "rank": rank,
        "model": test.model,
        "chosen": " | ".join(dict.fromkeys(params[run_id] for run_id in chosen)),
        "config": runs[0].config.to_json(),
        "validation": {key: sum(one[key] for one in validations) / len(validations) for key in validations[0]},
        "test": {"dice": test.evaluation.volume_dice.mean, **evaluation},
        "parameters": runs[0].parameters,
        "epochs": runs[0].epochs,
        "best_epoch": runs[0].best.epoch if runs[0].best else None,
        "leaky": current.request.leaky,
        "timing": {
            "seconds": sum(run.timing["seconds"] for run in runs),
            "test_seconds": test.timing["seconds"],
            "runs": list(chosen),
        },
    }


def _trials(current: Study, unit: Unit) -> list[Json]:
    """A unit's trials, pruned and failed ones included."""
    params = {trial.number: trial.params for trial in current.tuner(unit).trials()}
    return [_trial(unit, number, params[number], run) for number, run in current.run_records(unit).items()]


def _trial(unit: Unit, number: int, params: Mapping[str, Any], run: RunRecord) -> Json:
    """One trial's line of the tuning table."""
    return {
        "model": unit.model,
        "fold": unit.fold + 1,
        "trial": number,
        "params": dict(params),
        "configuration": describe(params),
        "status": run.status,
        "stopped": run.stopped,
        "epochs": run.epochs,
        "best_epoch": run.best.epoch if run.best else None,
        "validation": run.best.validation if run.best else None,
        "parameters": run.parameters,
        "timing": {"run": run.id, **run.timing},
    }


def _markdown_table(cells: Sequence[Sequence[str]]) -> list[str]:
    """A table whose source is aligned too, first row the head."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
