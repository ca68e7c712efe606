"""Ranking, the paired test's correction, and what stands in the tables."""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from brainseg_train import study
from brainseg_train.leaderboard import METRICS, holm, make_leaderboard, score, score_text, summary, to_markdown, verdict

if TYPE_CHECKING:
    from pathlib import Path


def pair(first: str, second: str, p: float) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "difference": 0.031,
        "p_corrected": p,
        "more_than_noise": p < 0.05,
    }


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_its_definition_rejects(p_values: list[float]) -> None:
    """With the p-values in order, reject while p(i) <= alpha / (m - i); compared at levels between the results."""
    corrected = holm(p_values)
    levels = sorted({0.0, *corrected, 1.0})
    for alpha in [(low + high) / 2 for low, high in pairwise(levels)]:
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
            if p_values[index] * (len(p_values) - rank) > alpha:
                break
            rejected.add(index)
        assert rejected == {index for index, p in enumerate(corrected) if p <= alpha}


def test_the_order_of_pairs_does_not_matter_to_holm() -> None:
    values = (0.01, 0.04, 0.03)
    results = {tuple(sorted(zip(order, holm(order), strict=True))) for order in permutations(values)}
    assert results == {((0.01, 0.03), (0.03, 0.06), (0.04, 0.06))}


def test_the_verdict_names_what_is_told_apart_and_what_is_not() -> None:
    said = verdict([pair("a", "b", 0.4), pair("a", "c", 0.01), pair("b", "c", 0.2)])
    assert "a is above c by 0.031" in said
    assert "Not told apart: a and b, b and c" in said
    assert "not more than noise" in verdict([pair("a", "b", 0.4)])
    assert "alone" in verdict([])


def board_of(runs: Path) -> dict[str, Any]:
    document = json.loads((runs / "leaderboard.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def test_p_and_difference_are_those_of_the_patients_scores(compared: Path) -> None:
    board = board_of(compared)
    (compared_pair,) = board["comparisons"]
    dice = {row["model"]: [patient["dice"] for patient in row["test"]["patients"]] for row in board["rows"]}
    first, second = np.array(dice[compared_pair["first"]]), np.array(dice[compared_pair["second"]])
    assert compared_pair["difference"] == pytest.approx(float((first - second).mean()))
    oracle = permutation_test((first, second), lambda a, b: np.mean(a - b), permutation_type="samples")
    assert compared_pair["p_value"] == pytest.approx(float(oracle.pvalue))


def test_made_again_from_the_records_it_is_the_same(compared: Path) -> None:
    current = study.newest_complete(compared)
    assert json.loads(json.dumps(make_leaderboard(current))) == board_of(compared)


def test_every_metric_stands_in_the_evaluation_and_the_table(compared: Path) -> None:
    board = board_of(compared)
    text = to_markdown(board)
    for metric in METRICS:
        value, interval = score(board["rows"][0]["test"], metric)
        assert value is None or 0 <= value <= 1
        assert interval is None or interval[0] <= interval[1]
        assert value is None or f"{metric.group}: {metric.name}" in text
    assert "resunet" not in text


def test_what_is_undefined_is_a_dash(compared: Path) -> None:
    test = json.loads(json.dumps(board_of(compared)["rows"][0]["test"]))
    test["pooled"]["precision"] = None
    metric = next(metric for metric in METRICS if metric.name == "precision")
    assert score_text(test, metric) == "—"


def test_a_leaky_board_says_so_in_each_of_its_tables(compared: Path) -> None:
    board = {**board_of(compared), "leaky": True, "split_by": "slice"}
    assert all(row[-1] == "slice (LEAKY)" for row in summary(board)[1:])
    assert "must not be compared" in to_markdown(board)
    assert "LEAKY" not in str(summary(board_of(compared)))
