"""What is said of other engines is what was measured, and a wrong answer counts as wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.engines_elsewhere import ENGINES
from benchmarks.engines_elsewhere_files import golden_cases
from benchmarks.engines_elsewhere_outcomes import Answers, Outcome, compare, table, told
from brainseg_runtime.bundles.bundle import open_bundle
from tests.hosts.host import ROOT
from tests.runtime.tiny import TINY

PAGE = ROOT / "docs" / "engines.md"
MEASURED = ROOT / "benchmarks" / "engines_elsewhere.json"
NAMES = [engine.name for engine in ENGINES]


def measured() -> list[Outcome]:
    return [Outcome(**each) for each in json.loads(MEASURED.read_text(encoding="utf-8"))["outcomes"]]


def answers() -> dict[str, NDArray[Any]]:
    """The golden answers of the small bundle, as an engine that is exactly right gives them."""
    found: dict[str, NDArray[Any]] = {}
    for number, case in enumerate(golden_cases(open_bundle(TINY))):
        mask, probability = case.answers["fp32"]
        found[f"{number}.mask"], found[f"{number}.probability"] = mask.copy(), probability.copy()
    return found


def within(found: Answers) -> bool:
    bundle = open_bundle(TINY)
    return bool(compare("fp32", bundle, golden_cases(bundle), found, found)["within"])


def test_the_page_has_the_table_of_what_was_measured() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition("<!-- engines:begin -->\n")[2].partition("\n<!-- engines:end -->")[0]
    assert shown == "\n".join(table(measured(), NAMES))


def test_the_page_names_the_release_of_every_engine_that_ran() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for outcome in measured():
        assert outcome.version is None or outcome.version in page


def test_an_exact_answer_is_within_the_tolerance() -> None:
    assert within(answers())


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.5])
def test_one_wrong_probability_in_one_image_counts(wrong: float) -> None:
    found = answers()
    found["1.probability"][0, 0] += np.float32(wrong)
    assert not within(found)


def test_wrong_mask_pixels_count_against_their_own_image() -> None:
    found = answers()
    found["0.mask"][:2] ^= 1
    assert not within(found)


def test_an_engine_that_runs_no_form_says_why() -> None:
    outcome = Outcome(engine=NAMES[0], network="unet", bundle="0" * 64, variant="fp32", errors=("as shipped: no",))
    assert told(outcome).startswith("none runs")
    assert "as shipped: no" in told(outcome)
