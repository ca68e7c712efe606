"""Killed at any moment, a training run that is taken up again ends in the same bytes as one that never stopped."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brainseg_train.models import NAMES
from tests.reliability.resume_victim import train
from tests.train.run_files import snapshot

# A server that has imported PyTorch forks a victim in milliseconds; where there is none, each victim imports it anew.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_PATIENCE_S = 300.0


class _Reference:
    """Each network's run that nobody killed: its files, and how long it took."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context: Any = multiprocessing.get_context(_METHOD)
        if _METHOD == "forkserver":
            self._context.set_forkserver_preload(["tests.reliability.resume_victim", "torch._dynamo"])
        self._known: dict[str, dict[str, object]] = {}
        self.seconds: dict[str, float] = {}

    def start(self, model: str, folder: Path) -> BaseProcess:
        """A victim."""
        process: BaseProcess = self._context.Process(target=train, args=(model, str(folder)))
        process.start()
        return process

    def of(self, model: str) -> dict[str, object]:
        """Files of an undisturbed run."""
        if model not in self._known:
            finish(self.start(model, self._folder / "warm" / model))
            began = time.perf_counter()
            finish(self.start(model, self._folder / model))
            self.seconds[model] = time.perf_counter() - began
            self._known[model] = snapshot(self._folder / model)
        return self._known[model]


def finish(process: BaseProcess) -> None:
    """Wait for a victim that is left alone."""
    process.join(_PATIENCE_S)
    assert process.exitcode == 0


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Reference]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield _Reference(tmp_path_factory.mktemp("reference"))


def _survives(reference: _Reference, model: str, folder: Path, draw: np.random.Generator) -> int:
    """Kill a run one to three times at random moments, let it end, and compare; the number of kills that struck."""
    expected = reference.of(model)
    struck = 0
    for attempt in range(draw.integers(1, 4)):
        began = time.perf_counter()
        victim = reference.start(model, folder / model)
        victim.join(draw.uniform(0.02, 1.05) * reference.seconds[model])
        victim.kill()
        victim.join()
        struck += victim.exitcode != 0
        if victim.exitcode == 0:
            if attempt == 0:  # a whole run: what it takes now, with whatever else the machine does now
                reference.seconds[model] = time.perf_counter() - began
            break
    finish(reference.start(model, folder / model))
    assert snapshot(folder / model) == expected
    return struck


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("model", NAMES)
def test_a_killed_run_ends_in_the_same_bytes(reference: _Reference, model: str, seed: int, tmp_path: Path) -> None:
    _survives(reference, model, tmp_path, np.random.default_rng([seed, NAMES.index(model)]))


@pytest.mark.slow
def test_a_hundred_kills_change_nothing(reference: _Reference, tmp_path: Path) -> None:
    draw = np.random.default_rng(100)
    kills = trials = 0
    while kills < 100:
        kills += _survives(reference, NAMES[trials % len(NAMES)], tmp_path / str(trials), draw)
        trials += 1
    assert trials <= 300  # else most came too late to strike
