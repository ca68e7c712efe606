"""Outliers: each rule speaks where it should and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from brainseg_runtime.archive.results.outliers import FAR, LEAST, Middle, Middles, outliers
from brainseg_runtime.archive.working.rows import Row

AREAS = (0, 0, 0, 0, 50, 120, 200, 260, 210, 110, 40, 0, 0, 0, 0, 0)
GOOD = Row(
    id="a" * 64,
    status="done",
    source="p",
    name="p",
    n_slices=len(AREAS),
    areas=AREAS,
    volume_px=sum(AREAS),
    volume_ml=20.0,
    confidence=0.95,
    max_probability=1.0,
    runs=1,
    edge_px=0,
)
MIDDLES = Middles(volume=Middle(np.log(20.0), 0.5), confidence=Middle(0.94, 0.01))
ODD: dict[str, dict[str, Any]] = {
    "volume far above": {"volume_ml": 2000.0},
    "volume far below": {"volume_ml": 0.1},
    "low confidence": {"confidence": 0.7},
    "warning: blank": {"warnings": ("blank slice: every pixel is the same",)},
    "marked in 16 of 16": {"areas": (100,) * 16},
    "border of a slice": {"edge_px": 4},
    "5 separate stretches": {"runs": 5},
    "nothing marked": {
        "areas": (0,) * 16,
        "volume_px": 0,
        "volume_ml": 0.0,
        "confidence": None,
        "max_probability": 0.4,
    },
    "the area jumps": {"areas": (0,) * 8 + (900,) + (0,) * 7},
}


def test_a_usual_study_is_none() -> None:
    assert outliers([GOOD], MIDDLES) == []


@pytest.mark.parametrize("reason", ODD)
def test_each_rule_gives_its_reason(reason: str) -> None:
    (found,) = outliers([replace(GOOD, **ODD[reason])], MIDDLES)
    assert [text for text in found.reasons if text.startswith(reason) or reason in text]
    assert len(found.reasons) == 1
    assert found.score > 0


def test_no_warning_hides_behind_the_first() -> None:
    warnings = ("missing sequence: none", "fat-suppressed scalp: marks healthy brain", "size: 9 mm", "motion", "fifth")
    (found,) = outliers([replace(GOOD, warnings=warnings)], MIDDLES)
    assert found.reasons == (f"warnings: {' | '.join(warnings[:4])} | 1 more",)


def test_those_with_most_points_come_first_and_no_more_than_asked() -> None:
    rows = [replace(GOOD, id=f"{n:064x}", edge_px=1, runs=2 + n) for n in range(10)]
    found = outliers(rows, MIDDLES, most=3)
    assert [each.id for each in found] == [f"{n:064x}" for n in (7, 8, 9)]  # alike, as the rule has a cap


def test_failed_studies_are_in_quarantine_instead() -> None:
    assert outliers([replace(GOOD, status="failed", warnings=("x",))], MIDDLES) == []


def test_the_middle_is_robust_and_needs_enough_studies() -> None:
    rng = np.random.default_rng(0)
    values = [*rng.normal(10, 2, 500).tolist(), 1e9, 1e9]
    middle = Middle.of(values)
    assert middle is not None
    assert middle.median == pytest.approx(10, abs=0.3)
    assert middle.sigma == pytest.approx(2, abs=0.3)
    assert middle.far(1e9) > FAR
    assert Middle.of(values[: LEAST - 1]) is None
    assert Middle.of([1.0] * 100) is None
