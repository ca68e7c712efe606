"""What changes during a run, besides its tensors: the position, sums over the epoch, the history, time spent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from brainseg_train.runs.records import Best, EpochRecord


@dataclass(kw_only=True, slots=True)
class RunState:
    """The run's position and sums; they go to JSON and back exactly."""

    epoch: int = 1
    """The current epoch, from 1."""
    step: int = 0
    """Steps taken in it."""
    loss_sum: float = 0.0
    """Sum of its steps' losses."""
    gradient_norm: float = 0.0
    """Largest gradient norm of its steps."""
    history: tuple[EpochRecord, ...] = ()
    """The epochs that have ended."""
    best: Best | None = None
    """The best of them."""
    outcome: str | None = None
    """Why training is over: `epochs`, `patience` or `pruned`; None while it runs."""
    timing: dict[str, float] = field(default_factory=lambda: {"seconds": 0.0, "epoch_seconds": 0.0})
    """Wall-clock seconds of the run and of the current epoch, over all the processes that worked on it."""

    def add_step(self, loss: float, gradient_norm: float) -> None:
        """Count a step.

        Examples:
            >>> state = RunState()
            >>> state.add_step(0.5, 2.0)
            >>> state.add_step(0.25, 1.0)
            >>> state.step, state.mean_loss, state.gradient_norm
            (2, 0.375, 2.0)
        """
        self.step += 1
        self.loss_sum += loss
        self.gradient_norm = max(self.gradient_norm, gradient_norm)

    @property
    def mean_loss(self) -> float:
        """Mean loss of the epoch's steps so far; 0 before the first."""
        return self.loss_sum / max(1, self.step)

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step, self.loss_sum, self.gradient_norm = self.epoch + 1, 0, 0.0, 0.0


class Clock:
    """Wall-clock seconds of a run and of its current epoch, those of earlier processes included."""

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
        """Of the current epoch."""
        return time.perf_counter() - self._epoch_began

    def next_epoch(self) -> None:
        """Begin an epoch."""
        self._epoch_began = time.perf_counter()
