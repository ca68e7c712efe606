"""`brainseg bench`: a row for each combination, measured apart, and what could not be had is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from brainseg_runtime.errors import WorkerError
from brainseg_runtime.installation.benchmark import BenchCase, measure_apart, peak_rss_mib, synthetic_slices
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


def test_slices_to_time_are_the_same_every_time() -> None:
    first, again = synthetic_slices(2, 32), synthetic_slices(2, 32)
    assert first.dtype == np.uint8
    assert first.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(first, again)
    assert first[:, 0, 0].max() == 0, "air around the head"
    assert first[:, 16, 16].max() > 0


def test_peak_memory_grows_with_what_is_held() -> None:
    before = peak_rss_mib()
    assert before is not None
    held = np.ones(64 << 20, np.uint8)
    after = peak_rss_mib()
    assert after is not None
    assert after >= before
    assert after > held.nbytes / 2**20
