"""Bland and Altman's figures by hand, and none from few patients."""

from __future__ import annotations

import math
import statistics

import pytest

from brainseg_runtime.metrics.agreement import Agreement

ERRORS = [3.0, -1.0, 4.0, -1.0, 5.0, -9.0, 2.0]


def test_bias_and_limits_are_those_of_the_definition() -> None:
    found, sd = Agreement.of(ERRORS), statistics.stdev(ERRORS)
    assert found.bias == pytest.approx(statistics.mean(ERRORS))
    assert found.sd == pytest.approx(sd)
    assert (found.low, found.high) == pytest.approx((found.bias - 1.96 * sd, found.bias + 1.96 * sd))
    assert found.mean_absolute == pytest.approx(25 / 7)


def test_few_patients_have_a_mean_and_no_limits() -> None:
    found = Agreement.of(ERRORS[:5])
    assert found.bias == 2.0
    assert all(math.isnan(value) for value in (found.sd, found.low, found.high))
    assert not math.isnan(Agreement.of(ERRORS[:6]).sd)
