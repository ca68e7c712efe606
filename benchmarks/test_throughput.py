"""Many slices by several callers at once: one segmenter with all cores, one that callers share, or one for each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.engines import RUNTIMES, why_not
from benchmarks.machine import cores
from benchmarks.record import Label, label
from benchmarks.turns import in_turns
from brainseg_runtime import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "deeplab"
SLICES = 36
IMAGES = np.random.default_rng(0).integers(0, 256, (SLICES, 256, 256, 3), dtype=np.uint8)
ENGINES = ("onnxruntime int8", "OpenVINO int8")
REFERENCE = "one caller, all cores"
WAYS = (REFERENCE, "callers that share a segmenter", "callers with a segmenter each")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("engine", ENGINES)
def test_throughput(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], engine: str, way: str) -> None:
    if reason := why_not(engine, bundle(NETWORK)):
        pytest.skip(reason)
    if cores() == 1:
        pytest.skip("one core has one caller")
    with ThreadPoolExecutor(cores()) as pool:
        run = _callers(pool, _segmenters(bundle(NETWORK), engine, way))
        benchmark.pedantic(run, rounds=7, warmup_rounds=1)
        told = {}
        if benchmark.enabled and way != REFERENCE:
            told = in_turns(_callers(pool, _segmenters(bundle(NETWORK), engine, REFERENCE)), run)
    case: dict[str, str | int] = {"network": NETWORK, "engine": engine, "cores": cores()}
    label(benchmark, Label(table="throughput", way=way, case=case, reference=way == REFERENCE, units=SLICES), **told)


def _segmenters(bundle: Path, engine: str, way: str) -> list[Segmenter]:
    """One for each caller, the same one several times where they share it."""
    runtime = RUNTIMES[engine]
    load = partial(Segmenter.load, bundle, provider=runtime.provider, variant=runtime.variant)
    if way == REFERENCE:
        return [load(threads=cores())]
    if way == WAYS[1]:
        return [load(threads=1)] * cores()
    return [load(threads=1) for _ in range(cores())]


def _callers(pool: ThreadPoolExecutor, segmenters: Sequence[Segmenter]) -> Callable[[], None]:
    """All slices, dealt out to the callers, who work at once."""

    def work(segmenter: Segmenter, first: int) -> int:
        return sum(segmenter.predict(image).area for image in IMAGES[first :: len(segmenters)])

    def run() -> None:
        for done in [pool.submit(work, segmenter, first) for first, segmenter in enumerate(segmenters)]:
            done.result()

    return run
