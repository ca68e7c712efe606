"""Scoring slices: constant memory and one pass against every pixel sorted by scikit-learn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.made_scores import SIDE, made_volume
from benchmarks.processes import run_child
from benchmarks.record import Label, label
from benchmarks.scoring import scores
from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.metrics import Counts, count
from brainseg_runtime.metrics.histogram import Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

BATCH = 16
SIZES = [pytest.param(60), pytest.param(3000, marks=pytest.mark.slow)]


def _case(slices: int, way: str, *, reference: bool = False) -> Label:
    return Label(table="metrics", way=way, case={"slices": slices}, reference=reference, units=1)


@pytest.mark.parametrize("slices", SIZES)
def test_scikit_learn(benchmark: BenchmarkFixture, slices: int) -> None:
    mask, probability, truth = made_volume(slices)
    found = benchmark.pedantic(scores, (mask, probability, truth), rounds=3 if slices < 1000 else 1)
    label(benchmark, _case(slices, "scikit-learn", reference=True), roc_auc=found["roc_auc"], pr_auc=found["pr_auc"])


@pytest.mark.parametrize("slices", SIZES)
def test_seven_scores(benchmark: BenchmarkFixture, slices: int) -> None:
    mask, probability, truth = made_volume(slices)

    def score() -> tuple[Counts, Histogram]:
        counts, histogram = Counts.total([]), Histogram.empty()
        for start in range(0, slices, BATCH):
            part = slice(start, start + BATCH)
            counts += count(mask[part], truth[part])
            histogram += Histogram.of(probability[part], truth[part])
        return counts, histogram

    counts, histogram = benchmark.pedantic(score, rounds=3)
    assert counts.tp + counts.fp == int(mask.sum())
    label(
        benchmark,
        _case(slices, "brainseg, the seven"),
        roc_auc=histogram.roc_auc() or 0,
        pr_auc=histogram.pr_auc() or 0,
    )


@pytest.mark.parametrize("slices", SIZES)
def test_whole_evaluation(benchmark: BenchmarkFixture, slices: int) -> None:
    """With every score per patient and slice, and 2,000 bootstrap samples for the intervals."""
    mask, probability, truth = made_volume(slices)
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    per_patient = 30

    def run() -> float | None:
        given = iter(range(slices))

        def predict(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            rows = [next(given) for _ in images]
            return mask[rows[0] : rows[-1] + 1], probability[rows[0] : rows[-1] + 1]

        cases = (
            Case(
                f"TCGA_XX_{first:04d}_20000101",
                ((row, image, truth[row]) for row in range(first, first + per_patient)),
            )
            for first in range(0, slices, per_patient)
        )
        return evaluate(cases, predict, threshold=0.5, batch=BATCH).pooled.scores["roc_auc"]

    area = benchmark.pedantic(run, rounds=3 if slices < 1000 else 1)
    label(benchmark, _case(slices, "brainseg evaluate, with intervals"), roc_auc=area or 0.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("slices", SIZES)
@pytest.mark.parametrize("way", ["scikit-learn", "brainseg, the seven"])
def test_memory(benchmark: BenchmarkFixture, way: str, slices: int) -> None:
    """Of a process of its own that scores slices as they are made; scikit-learn needs them all at once."""
    asked = {"what": "score", "engine": way, "slices": slices, "batch": BATCH, "threads": 1}
    answer = benchmark.pedantic(run_child, (asked,), rounds=1)
    told = Label(table="scoring memory", way=way, case={"slices": slices}, reference=way == "scikit-learn")
    label(benchmark, told, peak_rss_mib=answer["peak_rss_mib"])
