"""What the table of scores says of empty masks is what the functions give."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.metrics import Histogram, count
from brainseg_runtime.metrics.scores import Score, names_text, score_of, table
from brainseg_runtime.metrics.volume import VolumePair

SOME, NONE = np.ones((5, 6, 7), bool), np.zeros((5, 6, 7), bool)  # 210 voxels: a lesion that counts
CASES = {"both_empty": (NONE, NONE), "truth_empty": (SOME, NONE), "prediction_empty": (NONE, SOME)}


def said(score: Score[VolumePair], case: str) -> str:
    text: str = getattr(score, case)
    return text.partition(" (")[0]


def shown(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:g}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("score", [*table().surface, *table().lesions], ids=lambda score: score.key)
def test_scores_of_volumes(score: Score[VolumePair], case: str) -> None:
    prediction, truth = CASES[case]
    assert shown(score.of(VolumePair(prediction, truth, (1.0, 1.0, 5.0)))) == said(score, case)


@pytest.mark.parametrize("case", CASES)
def test_scores_of_pixels(case: str) -> None:
    for score in table().counted:
        assert shown(score.of(count(*CASES[case]))) == getattr(score, case)


def test_areas() -> None:
    nothing = Histogram.of(np.full(9, 0.2, np.float32), np.zeros(9, bool))
    for score in table().areas:
        assert shown(score.of(nothing)) == score.both_empty == score.truth_empty


def test_keys_and_names_are_unique() -> None:
    for group in (table().pooled, table().surface, table().lesions):
        assert len({score.key for score in group}) == len({score.label for score in group}) == len(group)
    assert [score.key for score in table().pooled] == ["dice", "iou", "precision", "recall", "f1", "roc_auc", "pr_auc"]


def test_a_score_that_equals_another_does_so_for_any_counts() -> None:
    counts = count(*np.random.default_rng(0).integers(0, 2, (2, 9, 9)).astype(bool))
    same = [score for score in table().counted if score.same_as]
    assert same
    assert all(score.of(counts) == score_of(score.same_as).of(counts) for score in same)


def test_the_help_text_names_every_score() -> None:
    text = names_text()
    assert all(score.label.partition(",")[0] in text for score in (*table().pooled, *table().surface, *table().lesions))


def test_the_documented_table_of_empty_masks_is_this_one() -> None:
    """Rows of docs/metrics.md: name, formula, both empty, truth empty, prediction empty."""
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    for score in table().counted:
        row = next(row for row in rows if re.search(rf"\b{score.label}\b", row[0]))
        assert row[2:] == [score.both_empty, score.truth_empty, score.prediction_empty]
