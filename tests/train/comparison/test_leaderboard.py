"""Ranking, the paired test's correction, and what stands in the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test

from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.metrics import Counts
from brainseg_runtime.metrics.scores import Score, added
from brainseg_train.comparison.leaderboard import (
    make_leaderboard,
    metrics,
    score,
    score_text,
    summary,
    to_markdown,
)
from brainseg_train.comparison.significance import compare, holm, verdict
from brainseg_train.comparison.test_scores import TestRecord
from brainseg_train.tuning import study
from tests.train.studies import board_of, page_of

if TYPE_CHECKING:
    from pathlib import Path


def pair(first: str, second: str, p: float) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "difference": 0.031,
        "p_corrected": p,
        "more_than_noise": p < 0.05,
        "reason": None,
    }


def unjudged(first: str, second: str) -> dict[str, Any]:
    return {**pair(first, second, 1.0), "p_corrected": None, "more_than_noise": None, "reason": "too few differ"}


def record(model: str, dice: list[float]) -> TestRecord:
    """The record of a network with these scores, patient by patient; the comparison looks at nothing else."""
    image, truth = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8)
    cases = [Case(f"p{number}", [(1, image, truth)]) for number in range(len(dice))]
    made = evaluate(cases, lambda images: (images[..., 0], images[..., 0] / np.float32(255)), threshold=0.5, samples=9)
    pairs = zip(made.patients, dice, strict=True)
    patients = tuple(replace(patient, scores={**patient.scores, "dice": score}) for patient, score in pairs)
    found = replace(made, patients=patients)
    return TestRecord(model=model, split_by="patient", evaluation=found, pictures=(), timing={})


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
    assert "One network only" in verdict([])


def test_no_verdict_is_given_where_the_test_can_say_nothing() -> None:
    said = verdict([unjudged("a", "b"), unjudged("a", "c")])
    assert "cannot be told: too few differ." in said
    assert "not more than noise" not in said
    assert "no pair can be tested" in verdict([pair("a", "b", 0.4), unjudged("a", "c")])
    assert "Not told apart: a and c" in verdict([pair("a", "b", 0.01), unjudged("a", "c")])


@pytest.mark.parametrize(("patients", "networks", "judged"), [(5, 2, False), (6, 2, True), (6, 3, False), (7, 3, True)])
def test_too_few_patients_get_no_p(patients: int, networks: int, judged: bool) -> None:
    """2 / 2**5 is below 0.05, and three times 2 / 2**6 too; with one patient fewer nothing could be."""
    tests = [record(f"n{i}", [0.9 - 0.1 * i - 0.001 * n for n in range(patients)]) for i in range(networks)]
    for found in compare(tests):
        assert found["more_than_noise"] is (True if judged else None)
        assert (found["p_value"] is not None) == (found["p_corrected"] is not None) == judged
        assert (found["reason"] is None) == judged
        assert (found["ci95"] is None) == (found["ci95_reason"] is not None)
    if judged:
        assert compare(tests)[0]["p_value"] == 2.0 ** (1 - patients)
    else:
        assert f"{patients} of {patients} test patients" in compare(tests)[0]["reason"]


def test_patients_that_do_not_differ_do_not_count_towards_a_verdict() -> None:
    one, other = [0.9] * 9 + [0.8, 0.7], [0.9] * 9 + [0.5, 0.4]
    (found,) = compare([record("a", one), record("b", other)])
    assert found["more_than_noise"] is None
    assert "differ on 2 of 11" in found["reason"]


def test_p_and_difference_are_those_of_the_patients_scores() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.beta(9, 2, 10), rng.beta(8, 2, 10)
    (found,) = compare([record("a", first.tolist()), record("b", second.tolist())])
    assert found["difference"] == pytest.approx(float((first - second).mean()))
    oracle = permutation_test((first, second), lambda a, b: np.mean(a - b), permutation_type="samples")
    assert found["p_value"] == found["p_corrected"] == pytest.approx(float(oracle.pvalue))
    interval = bootstrap((first - second,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(0))
    assert found["ci95"] == pytest.approx(list(interval.confidence_interval))


def test_the_difference_is_that_of_the_boards_rows(compared: Path) -> None:
    board = board_of(compared)
    (found,) = board["comparisons"]
    dice = {row["model"]: [patient["dice"] for patient in row["test"]["patients"]] for row in board["rows"]}
    assert found["difference"] == pytest.approx(float(np.mean(dice[found["first"]]) - np.mean(dice[found["second"]])))
    assert board["verdict"] in to_markdown(board)


def test_made_again_from_the_records_it_is_the_same(compared: Path) -> None:
    current = study.newest_complete(compared)
    assert json.loads(json.dumps(make_leaderboard(current))) == board_of(compared)


def test_every_metric_stands_in_the_evaluation_and_the_table(compared: Path) -> None:
    board = board_of(compared)
    text = to_markdown(board)
    for metric in metrics():
        value, interval = score(board["rows"][0]["test"], metric)
        assert value is None or 0 <= value <= 1
        assert interval is None or interval[0] <= interval[1]
        assert value is None or f"{metric.group}: {metric.name}" in text
    assert "resunet" not in text


def test_a_score_added_to_the_table_is_a_line_of_the_leaderboard_and_of_its_page(compared: Path) -> None:
    current = study.newest_complete(compared)
    accuracy: Score[Counts] = Score(
        key="accuracy",
        label="accuracy",
        of=lambda counts: (counts.tp + counts.tn) / counts.pixels,
        both_empty="1",
        truth_empty="below 1",
        prediction_empty="below 1",
    )
    board = make_leaderboard(current)
    with added(counted=[accuracy]):
        assert "accuracy" not in to_markdown(board), "these records were made before"
        for row in board["rows"]:
            row["test"]["pooled"]["accuracy"], row["test"]["pooled_ci95"]["accuracy"] = 0.987, None
        text = to_markdown(board)
        page = page_of(current, board)
    assert "All pixels pooled: accuracy" in text
    assert "accuracy</td>" in page
    assert page.count("0.987") == len(board["rows"])


def test_a_record_made_before_a_metric_was_measured_lacks_it(compared: Path) -> None:
    test = {**board_of(compared)["rows"][0]["test"], "surface": None}
    metric = next(metric for metric in metrics() if metric.key.startswith("surface"))
    assert score(test, metric) == (None, None)
    del test["surface"]
    assert score_text(test, metric) == "—"


def test_what_is_undefined_is_a_dash(compared: Path) -> None:
    test = json.loads(json.dumps(board_of(compared)["rows"][0]["test"]))
    test["pooled"]["precision"] = None
    metric = next(metric for metric in metrics() if metric.name == "precision")
    assert score_text(test, metric) == "—"


def test_no_interval_is_announced_where_there_are_too_few_patients(compared: Path) -> None:
    board = json.loads(json.dumps(board_of(compared)))
    for row in board["rows"]:
        row["test"]["volume_dice"]["ci95"] = None
        row["test"]["missing"] = [{"reason": "2 patients are too few", "figures": ["volume_dice.ci95"]}]
    assert "no intervals (2 patients are too few)" in to_markdown(board)
    assert "95 %" not in to_markdown(board) + str(summary(board)[0])


def test_a_leaky_board_says_so_in_each_of_its_tables(compared: Path) -> None:
    board = {**board_of(compared), "leaky": True, "split_by": "slice"}
    assert all(row[-1] == "slice (LEAKY)" for row in summary(board)[1:])
    assert "must not be compared" in to_markdown(board)
    assert "LEAKY" not in str(summary(board_of(compared)))
