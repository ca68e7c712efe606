"""The training loop on one page: epochs of steps, validation, the best weights kept, early stopping.

What happens within a step (forward, loss, backward, Adam) is in `brainseg_train.learning.learner`. What is written to
disk, and in which order, is in `brainseg_train.runs.recorder`.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from brainseg_train.errors import DivergedError
from brainseg_train.learning.augment import augment
from brainseg_train.learning.batches import Batches, EpochPlan
from brainseg_train.learning.head_maps import feed_for
from brainseg_train.learning.randomness import generator, seeded
from brainseg_train.learning.schedule import learning_rate_at
from brainseg_train.learning.validation import validate
from brainseg_train.runs.callbacks import Progress
from brainseg_train.runs.early_stopping import EarlyStopping
from brainseg_train.runs.records import Best, EpochRecord

if TYPE_CHECKING:
    from torch import Tensor

    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split
    from brainseg_train.learning.learner import Learner, StepResult
    from brainseg_train.runs.callbacks import Callbacks
    from brainseg_train.runs.recorder import Recorder
    from brainseg_train.runs.records import RunRecord
    from brainseg_train.runs.state import Clock, RunState


class TrainingLoop:
    """The loop of one run, as one process of it sees it.

    Args:
        dataset: Slices at the network's size.
        split: Which of them train, and which choose the epoch.
        learner: Network, loss and optimiser.
        clock: The run's clock.
        recorder: Writes the run's files.
        callbacks: Told of progress, and asked whether to stop or prune.
    """

    def __init__(
        self,
        dataset: DataSet,
        split: Split,
        learner: Learner,
        clock: Clock,
        recorder: Recorder,
        callbacks: Callbacks,
    ) -> None:
        self.config = learner.config
        self.learner, self.placement, self.group = learner, learner.placement, learner.group
        self.clock, self.recorder, self.callbacks = clock, recorder, callbacks
        rows = split.indices(dataset, "validation")
        self.patients = dataset.patient_of_slice[rows]
        self.validation = Batches(dataset.images, dataset.masks, rows, self.placement.device)
        drawn = split.indices(dataset, "train")
        self.training = Batches(dataset.images, dataset.masks, drawn, self.placement.device)
        self.maps = feed_for(self.config.augment, dataset, drawn, self.placement.device)
        self.plan = EpochPlan(
            has_tumour=self.training.has_tumour(),
            batch=self.config.batch,
            empty_fraction=self.config.empty_fraction,
            seed=self.config.seed,
        )

    def run(self, state: RunState, *, save_every: int) -> RunRecord:
        """Train until the run is over, or a callback stops it.

        Args:
            state: Where the run stands; it moves on with the run.
            save_every: Steps between two saved states within an epoch.

        Raises:
            DivergedError: A loss or gradient is not finite; the record then says `failed`.
        """
        self.recorder.save_records(state, "running")
        try:
            while state.outcome is None:
                if not self._train_epoch(state, save_every):
                    self.recorder.save_state(state, self.learner)
                    return self.recorder.save_records(state, "interrupted", "interrupted")
                self._end_epoch(state, self._validate(state))
        except DivergedError as error:
            self.recorder.save_records(state, "failed", str(error))
            raise
        self.recorder.drop_old_states(self.learner.steps)
        return self.recorder.save_records(state, "pruned" if state.outcome == "pruned" else "complete", state.outcome)

    def _train_epoch(self, state: RunState, save_every: int) -> bool:
        """Take the epoch's remaining steps; false if a callback asked to stop before the last one."""
        batches = self.plan.batches(state.epoch)
        trained, began = 0, time.perf_counter()
        while state.step < len(batches):
            if self.callbacks.stop():
                return False
            positions = batches[state.step]
            result = self._step(positions, state)
            state.add_step(result.loss, result.gradient_norm)
            trained += len(positions)
            self.clock.images_per_s = trained / (time.perf_counter() - began)
            self.callbacks.tell(self._progress(state))
            if state.step % save_every == 0 and state.step < len(batches):
                self.recorder.save_state(state, self.learner)
        return True

    def _step(self, positions: Tensor, state: RunState) -> StepResult:
        """Gather a batch, augment it and learn from this process's part. Each draw is seeded by its epoch and step.

        Every process augments the whole batch, a tenth of a step's work, so that each slice is changed as it would be
        in one process: a square may come from a slice that another process learns from.
        """
        place = (state.epoch, state.step, 0)
        images, masks = self.training.batch(positions)
        maps = None if self.maps is None else self.maps.batch(positions)
        source = generator(self.config.seed, "augment", *place, device=self.placement.device)
        images, masks = augment(images, masks, self.config.augment, source, maps)
        learning_rate = learning_rate_at(self.config, self.learner.steps, self.plan.steps)
        with seeded(self.config.seed, "layers", state.epoch, state.step, self.group.rank):
            return self.learner.step(self.group.local(images), self.group.local(masks), learning_rate)

    def _validate(self, state: RunState) -> EpochRecord:
        """The epoch's line in the history."""
        began = time.perf_counter()
        self.learner.share()
        network = self.learner.evaluated
        scores = validate(network, self.validation, self.patients, self.placement, self.config.loss, self.group)
        if not math.isfinite(scores["loss"]):
            raise DivergedError(
                f"the validation loss of epoch {state.epoch} is not finite",
                expected="a finite number",
                got=scores["loss"],
                remedy="lower the learning rate, or use fp32; the last checkpoint and the best weights are kept",
            )
        return EpochRecord(
            epoch=state.epoch,
            rate=learning_rate_at(self.config, self.learner.steps - 1, self.plan.steps),
            train_loss=state.mean_loss,
            gradient_norm=state.gradient_norm,
            slices=sum(map(len, self.plan.batches(state.epoch))),
            validation=scores,
            timing={
                "seconds": self.clock.epoch_seconds,
                "validation_seconds": time.perf_counter() - began,
                "images_per_s": self.clock.images_per_s,
            },
        )

    def _end_epoch(self, state: RunState, epoch: EpochRecord) -> None:
        """Keep the weights if they are the best or the latest is wanted, decide whether training is over, and save."""
        stopping = EarlyStopping(patience=self.config.patience)
        if state.best is None or self.config.keep == "last" or stopping.improves(epoch.validation, state.best):
            state.best = Best(epoch=epoch.epoch, validation=epoch.validation)
            self.recorder.save_best(state.best, self.learner.weights())
        state.history += (epoch,)
        if self.callbacks.pruned(epoch.epoch, epoch.validation["dice"]):
            state.outcome = "pruned"
        elif epoch.epoch >= self.config.epochs:
            state.outcome = "epochs"
        elif stopping.is_over(epoch.epoch, state.best):
            state.outcome = "patience"
        self.callbacks.tell(replace(self._progress(state), validation=epoch.validation))
        state.next_epoch()
        self.clock.next_epoch()
        self.recorder.save_state(state, self.learner)
        self.recorder.save_records(state, "running")

    def _progress(self, state: RunState) -> Progress:
        """How far the run is."""
        return Progress(
            run=self.recorder.record.id,
            epoch=state.epoch,
            epochs=self.config.epochs,
            step=state.step,
            steps=self.plan.steps,
            loss=state.mean_loss,
            images_per_s=self.clock.images_per_s,
            best=state.best,
        )
