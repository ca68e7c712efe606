"""`brainseg bench`: a row for each combination, measured apart, and what could not be had is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from brainseg_runtime.errors import WorkerError
from brainseg_runtime.installation.benchmark import BenchCase, measure_apart
from tests.runtime.command_line import BUNDLE, brainseg

KEYS = {"provider", "variant", "batch", "p50_ms", "p95_ms", "slices_per_s", "peak_rss_mib"}


def test_every_combination_has_a_row_with_sane_figures() -> None:
    done = brainseg(
        "bench", BUNDLE, "--provider", "cpu", "--variant", "fp32", "--batch", 1, "--batch", 2, "--threads", 1,
        "--side", 32, "--seconds", 0, "--json", "-",
    )  # fmt: skip
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    rows = found["rows"]
    assert [(row["provider"], row["variant"], row["batch"]) for row in rows] == [("cpu", "fp32", 1), ("cpu", "fp32", 2)]
    for row in rows:
        assert set(row) >= KEYS
        assert row["calls"] == 10
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["slices_per_s"] > 0
        assert 10 < row["peak_rss_mib"] < 4096
    assert found["refused"] == []
    assert found["machine"]["cores"] >= 1


def test_a_provider_that_cannot_be_had_is_named_and_a_fault() -> None:
    done = brainseg("bench", BUNDLE, "--provider", "directml", "--seconds", 0, "--json", "-")
    assert done.code == 1
    assert "directml" in done.err
    found = json.loads(done.out)
    assert found["rows"] == []
    assert {row["error"]["kind"] for row in found["refused"]} == {"ProviderError"}


@pytest.mark.parametrize("batch", [0, 65])
def test_a_batch_outside_the_contract_is_wrong_usage(batch: int) -> None:
    assert brainseg("bench", BUNDLE, "--batch", batch).code == 2


def test_a_process_that_dies_is_told_and_not_waited_for() -> None:
    """Slices of this size cannot be made, which ends the process before it answers."""
    case = BenchCase(bundle=BUNDLE, provider="cpu", variant="fp32", side=1 << 40)
    with pytest.raises(WorkerError, match="ended without an answer"):
        measure_apart(case)
