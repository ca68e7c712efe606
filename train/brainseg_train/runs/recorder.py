"""The recorder: everything that a run writes into its folder, in an order that makes every moment safe to be killed at.

At an epoch's end the best weights are written first, then the state that refers to them, then history, record and
events. These last follow from the state, so whatever was written after the last state is written again, byte for byte,
when the run is resumed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_train import checkpoint
from brainseg_train.checkpoint import ResumeState, WeightsInfo
from brainseg_train.learning.randomness import SCHEME
from brainseg_train.runs import records
from brainseg_train.runs.events import EventFile

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from brainseg_train.learning.learner import Learner
    from brainseg_train.runs.records import Best, RunRecord, Status
    from brainseg_train.runs.state import Clock, RunState


class Recorder:
    """Writes one run's files. In a process that does not write it only keeps the record up to date.

    Args:
        run_dir: The run's folder; made with the first file.
        record: The run's record as it stands.
        clock: The run's clock.
        writes: Whether this process writes.
        tensorboard: Whether to keep a TensorBoard event file.

    Raises:
        MissingExtraError: `tensorboard` without tensorboardX.
    """

    def __init__(self, run_dir: Path, record: RunRecord, clock: Clock, *, writes: bool, tensorboard: bool) -> None:
        self.record = record
        self._run_dir = run_dir
        self._clock = clock
        self._writes = writes
        self._events = EventFile(run_dir) if tensorboard and writes else None
        self._best_weights: dict[str, Tensor] = {}

    def resume(self, state: RunState, best_weights: dict[str, Tensor]) -> None:
        """Make the best weights on disk those of a saved state, and delete what a killed process left half written."""
        if state.best is None:
            self._best_weights = {}
            if self._writes:
                checkpoint.drop_weights(self._run_dir)
        else:
            self.save_best(state.best, best_weights)
        for leftover in self._run_dir.glob(".*.tmp") if self._writes else ():
            leftover.unlink(missing_ok=True)

    def save_best(self, best: Best, weights: dict[str, Tensor]) -> None:
        """Write the weights of the epoch that is kept; each later state holds them too."""
        self._best_weights = weights
        if not self._writes:
            return
        record, config = self.record, self.record.config
        info = WeightsInfo(
            run=record.id,
            model=config.model,
            width=config.width,
            epoch=best.epoch,
            validation_dice=best.validation["dice"],
            averaged=config.ema_decay > 0,
            data_digest=record.data_digest,
            split_digest=record.split_digest,
            config=to_json(config),
            validation=best.validation,
            initial=record.initial,
        )
        checkpoint.save_weights(self._run_dir, weights, info)

    def save_state(self, state: RunState, learner: Learner) -> None:
        """Write the exact state, if a step was taken at all."""
        if not self._writes or learner.steps == 0:
            return
        state.timing = {"seconds": self._clock.seconds, "epoch_seconds": self._clock.epoch_seconds}
        best = {f"best/{name}": tensor for name, tensor in self._best_weights.items()}
        record = self.record
        resume = ResumeState(
            step=learner.steps,
            tensors=learner.tensors() | best,
            state={
                "run": record.id,
                "config": to_json(record.config),
                "data_digest": record.data_digest,
                "split_digest": record.split_digest,
                "rng": {"scheme": SCHEME, "seed": record.config.seed},
                "position": to_json(state),
            },
        )
        checkpoint.save_resume(self._run_dir, resume)

    def drop_old_states(self, step: int) -> None:
        """Delete every saved state but that of one step."""
        if self._writes:
            checkpoint.drop_resume(self._run_dir, keep=[step])

    def save_records(self, state: RunState, status: Status, stopped: str | None = None) -> RunRecord:
        """Bring record, history and events up to a state."""
        self.record = replace(
            self.record,
            status=status,
            stopped=stopped,
            best=state.best,
            epochs=len(state.history),
            timing={**self.record.timing, "seconds": self._clock.seconds, "ended": time.time()},
        )
        if self._writes:
            self._run_dir.mkdir(parents=True, exist_ok=True)
            records.save_history(self._run_dir, state.history)
            records.save_record(self._run_dir, self.record)
        if self._events is not None:
            self._events.follow(state.history, self.record.timing["started"])
        return self.record
