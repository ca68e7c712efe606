"""What the table of scores says of empty masks is what the functions give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from brainseg_runtime.metrics import Histogram, count
from brainseg_runtime.metrics.scores import AREAS, COUNTED, LESIONS, POOLED_LABELS, SURFACE, Score
from brainseg_runtime.metrics.volume import VolumePair

SOME, NONE = np.ones((5, 6, 7), bool), np.zeros((5, 6, 7), bool)  # 210 voxels: a lesion that counts
CASES = {"both_empty": (NONE, NONE), "truth_empty": (SOME, NONE), "prediction_empty": (NONE, SOME)}


def said(score: Score[VolumePair], case: str) -> str:
    text: str = getattr(score, case)
    return text.partition(" (")[0]


def shown(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:g}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("score", [*SURFACE, *LESIONS], ids=lambda score: score.key)
def test_scores_of_volumes(score: Score[VolumePair], case: str) -> None:
    prediction, truth = CASES[case]
    assert shown(score.of(VolumePair(prediction, truth, (1.0, 1.0, 5.0)))) == said(score, case)


@pytest.mark.parametrize("case", CASES)
def test_scores_of_pixels(case: str) -> None:
    for score in COUNTED:
        assert shown(score.of(count(*CASES[case]))) == getattr(score, case)


def test_areas() -> None:
    nothing = Histogram.of(np.full(9, 0.2, np.float32), np.zeros(9, bool))
    for score in AREAS:
        assert shown(score.of(nothing)) == score.both_empty == score.truth_empty


def test_keys_and_names_are_unique() -> None:
    for group in (SURFACE, LESIONS):
        assert len({score.key for score in group}) == len({score.label for score in group}) == len(group)
    assert list(POOLED_LABELS) == ["dice", "iou", "precision", "recall", "f1", "roc_auc", "pr_auc"]
