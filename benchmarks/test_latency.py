"""A slice from array to mask: PyTorch as most would run it, and every provider and variant of the runtime.

By default the best of each kind with all cores and one slice at a time; `-m "slow or not slow"` has every way, network,
number of threads and batch.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.engines import REFERENCE, WAYS, start, why_not
from benchmarks.machine import cores
from benchmarks.processes import Server
from benchmarks.record import Label, label
from benchmarks.turns import in_turns
from brainseg_train.models import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _pytest.mark.structures import ParameterSet
    from pytest_benchmark.fixture import BenchmarkFixture

SUBSET = {REFERENCE, "onnxruntime fp32", "onnxruntime int8", "OpenVINO fp32", "OpenVINO int8"}


def _cases() -> Iterator[ParameterSet]:
    for network in NAMES:
        for threads in sorted({1, cores()}):
            for batch in (1, 8, 32):
                for way in WAYS:
                    usual = way in SUBSET and threads == cores() and batch == 1
                    marks = () if usual else (pytest.mark.slow,)
                    yield pytest.param(network, threads, batch, way, marks=marks)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch.compile's own imports
@pytest.mark.parametrize(("network", "threads", "batch", "way"), list(_cases()))
def test_latency(
    benchmark: BenchmarkFixture, bundle: Callable[[str], Path], network: str, threads: int, batch: int, way: str
) -> None:
    if reason := why_not(way, bundle(network)):
        pytest.skip(reason)
    images = np.random.default_rng(0).integers(0, 256, (batch, 256, 256, 3), dtype=np.uint8)
    segment = start(way, network, bundle(network), threads=threads)
    segment(images)
    benchmark(segment, images)
    told: dict[str, float] = {}
    if benchmark.enabled and way != REFERENCE:
        reference = start(REFERENCE, network, bundle(network), threads=threads)
        told = in_turns(partial(reference, images), partial(segment, images))
    case: dict[str, str | int] = {"network": network, "threads": threads, "batch": batch}
    label(benchmark, Label(table="latency", way=way, case=case, reference=way == REFERENCE, units=batch), **told)


@pytest.mark.slow
@pytest.mark.parametrize("threads", sorted({1, cores()}))
@pytest.mark.parametrize("network", NAMES)
def test_latency_without_amx(
    benchmark: BenchmarkFixture, bundle: Callable[[str], Path], network: str, threads: int
) -> None:
    """OpenVINO told to use no instructions beyond VNNI, as a stand-in for a workstation without AMX."""
    if reason := why_not("OpenVINO int8", bundle(network)):
        pytest.skip(reason)
    asked = {
        "engine": "runtime",
        "bundle": str(bundle(network)),
        "provider": "openvino",
        "variant": "int8",
        "threads": threads,
        "batch": 1,
    }
    images = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    told: dict[str, float] = {}
    with Server(asked, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}) as server:
        benchmark(server.ask)
        if benchmark.enabled:
            reference = start(REFERENCE, network, bundle(network), threads=threads)
            told = in_turns(partial(reference, images), server.ask)
    case: dict[str, str | int] = {"network": network, "threads": threads, "batch": 1}
    label(benchmark, Label(table="latency", way="OpenVINO int8, no AMX", case=case), **told)
