"""The leaderboard: the networks of one study side by side, ranked, and whether their order is more than noise.

`leaderboard.json` and `leaderboard.md` are made from records alone. Two studies that did the same work write the same
bytes but for what stands under `timing`: seconds, and the names of study and runs, which begin with the time.

Source of the correction for several pairs: Holm, A simple sequentially rejective multiple test procedure, 1979.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from brainseg_runtime.html.page import NOT_DEFINED, interval_text, number_text
from brainseg_runtime.metrics import bootstrap_interval, least_p, paired_permutation_test
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.typed_json import to_json
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

SIGNIFICANT: Final = 0.05
"""A corrected p below this is called more than noise."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two networks over the same test patients."""

    first: str
    second: str
    difference: float
    """Mean volume Dice of the first less that of the second."""
    ci95: tuple[float, float] | None
    """Of the difference, by patient bootstrap."""
    ci95_reason: str | None
    """Why there is no interval."""
    p_value: float | None
    """Of the two-sided paired permutation test."""
    p_corrected: float | None
    """The same, corrected by Holm for the number of pairs."""
    more_than_noise: bool | None
    """Whether the corrected p is below 0.05; None, as both p are, where so few patients differ that none could be."""
    reason: str | None
    """Why there is no p."""
    patients: int


VOLUME_DICE: Final = Metric(name="mean", group="Dice of a patient's volume", key="volume_dice.mean")
"""What networks are ranked by."""


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
        current: A study of which every network has been measured on the test part.

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


def compare(ranked: Sequence[TestRecord]) -> list[Json]:
    """Each pair of networks over the same patients: the mean difference of volume Dice and how likely chance gives it.

    Args:
        ranked: The networks' test records, best first.

    Returns:
        A `Comparison` of each pair, as JSON.
    """
    pairs = list(combinations(ranked, 2))
    found = [paired_permutation_test(*_paired(*pair)) for pair in pairs]
    least = holm([least_p(*_paired(*pair)) for pair in pairs])  # the best that the test could have said
    return [to_json(_compared(*pair, *each)) for pair, *each in zip(pairs, found, holm(found), least, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several, in the order given; each in [0, 1] and no smaller than before.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def verdict(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """What the comparisons of ranked networks mean, in words.

    >>> verdict([])
    'One network alone: there is no order.'
    """
    if not comparisons:
        return "One network alone: there is no order."
    sure = [pair for pair in comparisons if pair["more_than_noise"]]
    judged = [pair for pair in comparisons if pair["more_than_noise"] is not None]
    if not judged:
        reasons = "; ".join(dict.fromkeys(pair["reason"] for pair in comparisons))
        return f"Whether the order is more than noise cannot be told: {reasons}."
    if not sure:
        smallest = min(pair["p_corrected"] for pair in judged)
        told = "no pair" if len(judged) == len(comparisons) else "no pair that can be judged"
        return (
            f"The order is not more than noise: {told} differs by more than chance gives (smallest p {smallest:.2g})."
        )
    named = "; ".join(
        f"{pair['first']} is above {pair['second']} by {pair['difference']:.3f} (p {pair['p_corrected']:.2g})"
        for pair in sure
    )
    rest = [f"{pair['first']} and {pair['second']}" for pair in comparisons if not pair["more_than_noise"]]
    return f"More than noise: {named}." + (f" Not told apart: {', '.join(rest)}." if rest else "")


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


def _paired(first: TestRecord, second: TestRecord) -> tuple[list[float], list[float]]:
    """Volume Dice of two networks on the patients that both have seen, in one order."""
    a, b = first.patient_dice(), second.patient_dice()
    patients = [name for name in a if name in b]
    return [a[name] for name in patients], [b[name] for name in patients]


def _compared(
    first: TestRecord, second: TestRecord, p_value: float, p_corrected: float, least_corrected: float
) -> Comparison:
    """The comparison of a pair; without a verdict where even the least p that these patients can give is too large."""
    differences = [x - y for x, y in zip(*_paired(first, second), strict=True)]
    interval = bootstrap_interval(differences)
    judged = least_corrected < SIGNIFICANT
    differ = sum(difference != 0 for difference in differences)
    too_few = (
        f"the networks differ on {differ} of {len(differences)} test patients, so the smallest possible p is "
        f"{least_corrected:.2g}, not below {SIGNIFICANT}"
    )
    return Comparison(
        first=first.model,
        second=second.model,
        difference=sum(differences) / len(differences),
        ci95=(interval[0], interval[1]) if interval.defined else None,
        ci95_reason=interval.reason or None,
        p_value=p_value if judged else None,
        p_corrected=p_corrected if judged else None,
        more_than_noise=p_corrected < SIGNIFICANT if judged else None,
        reason=None if judged else too_few,
        patients=len(differences),
    )


def _markdown_table(cells: Sequence[Sequence[str]]) -> list[str]:
    """A table whose source is aligned too, first row the head."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
