"""Runs that take a fraction of a second: a network of width 2 on made slices, stopped where a test wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from brainseg_train.config import TrainConfig
from brainseg_train.runs.fit import fit
from brainseg_train.runs.records import RunRecord
from tests.train.arrays import make_dataset, make_split

DATASET = make_dataset()
SPLIT = make_split(DATASET)
# 32 training slices in 4 steps of 8, three epochs: 12 steps of some 10 ms.
CONFIG = TrainConfig(
    model="unet", width=2, epochs=3, batch=8, schedule="cosine", rate=5e-3, ema_decay=0.9, device="cpu"
)


def train(config: TrainConfig, folder: Path, **how: object) -> RunRecord:
    """`fit` on the made slices with one thread."""
    return fit(config, DATASET, SPLIT, folder, threads=1, **how)  # type: ignore[arg-type]


def after(steps: int) -> Callable[[], bool]:
    """Whether to stop, asked before each step: true once that many were taken."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps
