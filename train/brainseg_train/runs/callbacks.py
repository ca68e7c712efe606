"""Callbacks of a run, called after every step and every validation; they may stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from brainseg_train.learning.distributed import Group
from brainseg_train.runs.records import Best


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A run's progress, reported after every step and again after every validation."""

    run: str
    """The run's name."""
    epoch: int
    """Number of the epoch, from 1."""
    epochs: int
    """Most epochs."""
    step: int
    """Steps taken in this epoch."""
    steps: int
    """Steps of every epoch."""
    loss: float
    """Mean loss of the epoch so far."""
    images_per_s: float
    """Training slices a second in this epoch, over all processes."""
    validation: dict[str, float] | None = None
    """As in `EpochRecord`, once the epoch is validated."""
    best: Best | None = None
    """Best epoch so far."""


ProgressCallback = Callable[[Progress], None]
StopCallback = Callable[[], bool]
PruneCallback = Callable[[int, float], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Callbacks:
    """A run's callbacks. Only rank 0 calls them; its answers hold for every process."""

    group: Group
    device: torch.device
    progress: ProgressCallback | None
    should_stop: StopCallback
    prune: PruneCallback | None

    def tell(self, progress: Progress) -> None:
        """Report progress."""
        if self.progress is not None and self.group.writes:
            self.progress(progress)

    def stop(self) -> bool:
        """Whether to stop before the next step."""
        return self.group.decide(flag=self.group.writes and self.should_stop(), device=self.device)

    def pruned(self, epoch: int, dice: float) -> bool:
        """Whether to prune the run after an epoch with this validation Dice."""
        flag = self.group.writes and self.prune is not None and self.prune(epoch, dice)
        return self.group.decide(flag=flag, device=self.device)
