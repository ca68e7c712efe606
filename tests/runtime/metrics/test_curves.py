"""Curves and calibration against brute force over single pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.metrics import count, dice
from brainseg_runtime.metrics.curves import Curve, calibration, dice_curve, pr_curve, roc_curve
from brainseg_runtime.metrics.histogram import Histogram

probabilities = st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.25, 0.5, 1.0])


def area_under(curve: Curve) -> float:
    return sum((b - a) * (c + d) / 2 for a, b, c, d in zip(curve.x, curve.x[1:], curve.y, curve.y[1:], strict=False))


@given(st.lists(st.tuples(probabilities, st.booleans()), max_size=40), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_dice_curve_is_dice_of_the_mask_at_a_threshold_that_is_an_edge(
    drawn: list[tuple[float, bool]], threshold: float
) -> None:
    probability, truth = np.array([p for p, _ in drawn], np.float32), np.array([t for _, t in drawn], np.bool_)
    curve = dice_curve(Histogram.of(probability, truth), [threshold])
    assert curve.x == (threshold,)
    assert curve.y[0] == pytest.approx(dice(count(probability >= threshold, truth)), abs=1e-12)


def test_curves_end_where_they_must_and_keep_their_areas() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(50_000) < 0.1
    probability = (1 / (1 + np.exp(-rng.normal(np.where(truth, 1, -1), 1.5)))).astype(np.float32)
    counted = Histogram.of(probability, truth)
    roc, pr = roc_curve(counted, points=100), pr_curve(counted, points=100)
    assert len(roc.x) <= 100
    assert len(pr.x) <= 100
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert pr.x[-1] == 1
    assert pr.y[-1] == pytest.approx(truth.mean())
    assert (np.diff(roc.x) >= 0).all()
    assert (np.diff(roc.y) >= 0).all()
    assert area_under(roc) == pytest.approx(counted.roc_auc(), abs=1e-3)
    assert area_under(pr) == pytest.approx(counted.pr_auc(), abs=1e-2)


def test_calibration_is_that_of_single_pixels() -> None:
    rng = np.random.default_rng(2)
    probability = rng.random(20_000).astype(np.float32) ** 2
    truth = rng.random(20_000) < probability**1.5
    found = calibration(Histogram.of(probability, truth), 10)
    group = np.minimum((probability * 10).astype(int), 9)
    gaps = [abs(float(probability[group == i].sum()) - int(truth[group == i].sum())) for i in range(10)]
    assert found.ece == pytest.approx(sum(gaps) / 20_000, abs=1e-3)
    assert [(one.low, one.high) for one in found.bins] == [(i / 10, (i + 1) / 10) for i in range(10)]
    assert sum(one.n for one in found.bins) == 20_000
    for i, one in enumerate(found.bins):
        assert one.probability == pytest.approx(float(probability[group == i].mean()), abs=1e-3)
        assert one.tumour == pytest.approx(truth[group == i].mean(), abs=5e-3)


def test_calibration_of_nothing_has_no_bins() -> None:
    nothing = calibration(Histogram.empty())
    assert nothing.bins == ()
    assert nothing.ece is None


@pytest.mark.parametrize("truth", [True, False])
def test_one_class_alone_has_no_curve(truth: bool) -> None:
    counted = Histogram.of(np.array([0.2, 0.7], np.float32), np.array([truth, truth]))
    assert roc_curve(counted) == pr_curve(counted) == Curve(x=(), y=())
