"""What a whole process takes: time to the first mask, peak memory, growth; the runtime against a PyTorch script."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.engines import why_not
from benchmarks.machine import cores
from benchmarks.processes import run_child
from benchmarks.record import Label, label
from benchmarks.turns import in_turns
from brainseg_train.models import build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "resunet"
REFERENCE = "PyTorch eager fp32"
WAYS = {
    REFERENCE: {"engine": "pytorch"},
    "onnxruntime fp32": {"engine": "runtime", "provider": "cpu", "variant": "fp32"},
    "onnxruntime int8": {"engine": "runtime", "provider": "cpu", "variant": "int8"},
    "OpenVINO int8": {"engine": "runtime", "provider": "openvino", "variant": "int8"},
}
needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from Linux's /proc")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in a file, as the PyTorch script loads them."""
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    torch.manual_seed(0)
    save_file(build(NETWORK).state_dict(), path)
    return path


@pytest.fixture
def asked(way: str, bundle: Callable[[str], Path], weights: Path) -> dict[str, Any]:
    """What the process is told."""
    if reason := why_not(way, bundle(NETWORK)):
        pytest.skip(reason)
    common = {"network": NETWORK, "bundle": str(bundle(NETWORK)), "weights": str(weights)}
    return {**WAYS[way], **common, "threads": cores(), "batch": 1}


@pytest.mark.parametrize("way", WAYS)
def test_cold_start(benchmark: BenchmarkFixture, way: str, asked: dict[str, Any]) -> None:
    first = {**asked, "what": "first"}
    answer = benchmark.pedantic(run_child, (first,), rounds=7, warmup_rounds=1)
    assert answer["done"]
    told: dict[str, float] = {}
    if benchmark.enabled and way != REFERENCE:
        told = in_turns(partial(run_child, {**first, **WAYS[REFERENCE]}), partial(run_child, first), turns=7)
    label(benchmark, Label(table="cold start", way=way, case={"network": NETWORK}, reference=way == REFERENCE), **told)


@needs_proc
@pytest.mark.parametrize("batch", [1, pytest.param(32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", WAYS)
def test_peak_memory(benchmark: BenchmarkFixture, way: str, asked: dict[str, Any], batch: int) -> None:
    answer = benchmark.pedantic(run_child, ({**asked, "what": "peak", "batch": batch},), rounds=1)
    told = Label(table="memory", way=way, case={"network": NETWORK, "batch": batch}, reference=way == REFERENCE)
    label(benchmark, told, peak_rss_mib=answer["peak_rss_mib"])


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("way", [way for way in WAYS if way != REFERENCE])
def test_growth(benchmark: BenchmarkFixture, way: str, asked: dict[str, Any]) -> None:
    answer = benchmark.pedantic(run_child, ({**asked, "what": "growth", "rounds": 11},), rounds=1)
    told = Label(table="growth", way=way, case={"network": NETWORK})
    label(benchmark, told, calls=answer["calls"], growth_mib=answer["growth_mib"])
