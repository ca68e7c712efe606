"""Two trainings that want the same cores: what each loses by how threads wait, and by how many there are.

`brainseg-train` has threads wait asleep. OpenMP's own default is to wait awake, with which each process waits through
the time that the other would need to end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.machine import cores
from benchmarks.processes import Server
from benchmarks.record import Label, label
from benchmarks.turns import in_turns

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK, BATCH, STEPS = "unet", 16, 2
ONE = "one"
WAYS: dict[str, tuple[int, int, str]] = {
    ONE: (1, cores(), "PASSIVE"),
    "two at once": (2, cores(), "PASSIVE"),
    "two at once, a thread each": (2, 1, "PASSIVE"),
    "two at once, waiting awake": (2, cores(), "ACTIVE"),
}
"""Processes, threads of each, and how they wait."""


@pytest.mark.skipif(cores() < 2, reason="there is nothing to share on one core")
@pytest.mark.parametrize("way", WAYS)
def test_side_by_side(benchmark: BenchmarkFixture, way: str) -> None:
    count, threads, policy = WAYS[way]
    with ExitStack() as opened, ThreadPoolExecutor(2) as pool:
        servers = [opened.enter_context(_trainer(threads, policy)) for _ in range(count)]

        def steps() -> None:
            """The same number of slices whichever way: each of two processes takes its half."""
            for _ in range(2 // count):
                list(pool.map(Server.ask, servers))

        benchmark.pedantic(steps, rounds=3, warmup_rounds=1)
        told: dict[str, float] = {}
        if benchmark.enabled and way != ONE:
            alone = opened.enter_context(_trainer(*WAYS[ONE][1:]))

            def reference() -> None:
                alone.ask()
                alone.ask()

            told = in_turns(reference, steps, turns=5)
    units = 2 * STEPS * BATCH
    labelled = Label(table="side by side", way=way, case={"network": NETWORK}, reference=way == ONE, units=units)
    label(benchmark, labelled, **told)


def _trainer(threads: int, policy: str) -> Server:
    asked: dict[str, Any] = {"what": "train", "engine": "training", "network": NETWORK, "batch": BATCH, "steps": STEPS}
    return Server({**asked, "threads": threads}, {"OMP_WAIT_POLICY": policy})
