"""Scores as rows for the terminal, and sentences on the figures that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.evaluation.volume_scores import Interval95, Missing
from brainseg_runtime.metrics.scores import table

_LISTED: Final = 3  # intervals of one reason that are named; more are counted

ScoreRow: TypeAlias = tuple[str, float | None, Interval95]
"""What, its value, and its interval."""


def score_rows(evaluation: Evaluation) -> list[ScoreRow]:
    """The main scores: means over patients and slices, then every score of the table.

    Scores in mm are left out where the spacing is unknown.
    """
    rows: list[ScoreRow] = [
        ("Dice, mean over patients' volumes", evaluation.volume_dice.mean, evaluation.volume_dice.ci95),
        ("Dice, mean over slices with tumour", evaluation.slice_dice_tumour.mean, evaluation.slice_dice_tumour.ci95),
        ("Dice, mean over all slices", evaluation.slice_dice_all.mean, evaluation.slice_dice_all.ci95),
    ]
    values, intervals = evaluation.pooled.scores, evaluation.pooled_ci95.scores
    rows += [(f"{each.label}, all pixels", values[each.key], intervals[each.key]) for each in table().pooled]
    for group, scores in table().of_volumes.items():
        found = getattr(evaluation, group)
        for score in scores if found is not None else ():
            summary = found.scores[score.key]
            if summary is not None and (evaluation.spacing_mm is not None or not score.needs_spacing):
                without = f", {summary.n_undefined} undefined" if summary.n_undefined else ""
                title = score.title() if evaluation.surface is None else score.title(evaluation.surface.tolerance)
                rows.append((f"{title}, mean over patients{without}", summary.mean, summary.ci95))
    if (errors := evaluation.volume_error) is not None:
        unit, agreement = ("pixels", errors.px) if errors.ml is None else ("mL", errors.ml)
        rows.append((f"volume error, mean over patients, {unit}", agreement.bias, agreement.bias_ci95))
    return rows


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """One sentence a reason: which figures are not given, and why.

    >>> missing_lines([Missing(reason="there is no tumour", figures=("pooled.recall", "pooled.roc_auc"))])
    ['Not given: pooled.recall, pooled.roc_auc. Reason: there is no tumour.']

    Args:
        missing: As an evaluation or a patient has them.
    """
    return [f"Not given: {_named(each.figures)}. Reason: {each.reason}." for each in missing]


def _named(figures: Sequence[str]) -> str:
    """Figures of one reason in words: intervals together, the others by their places in the JSON."""
    intervals = [each for each in figures if "ci95" in each or each.endswith((".sd", ".limits"))]
    others = [each for each in figures if each not in intervals]
    return ", ".join([*others, *([f"{len(intervals)} intervals"] if len(intervals) > _LISTED else intervals)])
