"""What changes while a run goes on, beside its tensors: position, sums of the epoch, history, and time spent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from brainseg_runtime.safe_io.typed_json import from_json
from brainseg_train.errors import CheckpointError
from brainseg_train.runs.records import Best, EpochRecord


@dataclass(kw_only=True, slots=True)
class RunState:
    """What changes as a run goes on, beside its tensors; it goes to JSON and back exactly."""

    epoch: int = 1
    """The epoch under way, from 1."""
    step: int = 0
    """Steps taken in it."""
    loss_sum: float = 0.0
    """Sum of its steps' losses."""
    gradient_norm: float = 0.0
    """Largest norm of its steps' gradients."""
    history: tuple[EpochRecord, ...] = ()
    """The epochs before."""
    best: Best | None = None
    """The best of them."""
    outcome: str | None = None
    """Why training is over: `epochs`, `patience` or `pruned`; None while it is not."""
    timing: dict[str, float] = field(default_factory=lambda: {"seconds": 0.0, "epoch_seconds": 0.0})
    """Wall-clock seconds of the run, and of the epoch under way, over all processes' lives."""

    def to_json(self) -> dict[str, Any]:
        """Every field; numbers come back exactly."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "gradient_norm": self.gradient_norm,
            "history": [entry.to_json() for entry in self.history],
            "best": None if self.best is None else {"epoch": self.best.epoch, "validation": self.best.validation},
            "outcome": self.outcome,
            "timing": self.timing,
        }

    @classmethod
    def from_json(cls, value: object, where: str) -> RunState:
        """The state that `to_json` gave.

        Raises:
            CheckpointError: A key is missing, unknown or of the wrong type.
        """
        return from_json(cls, value, where, error=CheckpointError)


class Clock:
    """Wall-clock seconds of a run and of the epoch under way, earlier processes' counted in."""

    def __init__(self, seconds: float = 0.0, epoch_seconds: float = 0.0) -> None:
        now = time.perf_counter()
        self._began, self._epoch_began = now - seconds, now - epoch_seconds
        self.images_per_s = 0.0

    @property
    def seconds(self) -> float:
        """Of the run."""
        return time.perf_counter() - self._began

    @property
    def epoch_seconds(self) -> float:
        """Of the epoch."""
        return time.perf_counter() - self._epoch_began

    def next_epoch(self) -> None:
        """Begin an epoch."""
        self._epoch_began = time.perf_counter()
