"""One run under way: epochs of steps, validation, decisions, and the files that follow from them.

The order of writing makes any moment safe: at an epoch's end the best weights go first, then the state that knows of
them, then history and record, which are made from the state again when the run is taken up. Whatever was written after
the state is written again, byte for byte.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from brainseg_train import checkpoint
from brainseg_train.checkpoint import ResumeState, WeightsInfo
from brainseg_train.config import TrainConfig
from brainseg_train.errors import CheckpointError, ConfigError, DivergedError
from brainseg_train.learning.augment import augment
from brainseg_train.learning.batches import EpochPlan, Feed
from brainseg_train.learning.device import Placement
from brainseg_train.learning.distributed import Group
from brainseg_train.learning.learner import Learner, StepResult, under
from brainseg_train.learning.randomness import SCHEME, derive_seed, generator
from brainseg_train.learning.schedule import rate_at
from brainseg_train.learning.validation import validate
from brainseg_train.runs import provenance, records
from brainseg_train.runs.callbacks import Progress, Watch
from brainseg_train.runs.events import EventFile
from brainseg_train.runs.initial import require_unseen
from brainseg_train.runs.preflight import foresee
from brainseg_train.runs.records import Best, EpochRecord, RunRecord, Status
from brainseg_train.runs.state import Clock, RunState

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split

logger = logging.getLogger(__name__)


class Run:
    """One process's view of a run under way."""

    def __init__(  # noqa: PLR0913 - made in one place, from what `fit` was given
        self,
        config: TrainConfig,
        dataset: DataSet,
        split: Split,
        run_dir: Path,
        placement: Placement,
        group: Group,
        watch: Watch,
        *,
        threads: int,
        study: str | None,
        tensorboard: bool = False,
    ) -> None:
        if config.batch % group.size:
            raise ConfigError("the batch cannot be shared", expected=f"a multiple of {group.size}", got=config.batch)
        self.config, self.placement, self.group, self.watch = config, placement, group, watch
        self.run_dir = run_dir
        rows = {part: split.indices(dataset, part) for part in ("train", "validation")}
        foresee(dataset, split, config, processes=group.size)
        self.feed = Feed(dataset.images, dataset.masks, rows["train"], placement.device)
        self.validation = Feed(dataset.images, dataset.masks, rows["validation"], placement.device)
        self.patients = dataset.patient_of_slice[rows["validation"]]
        self.plan = EpochPlan(
            has_tumour=self.feed.has_tumour(),
            batch=config.batch,
            empty_fraction=config.empty_fraction,
            seed=config.seed,
        )
        self.learner = Learner(config, placement, group)
        self._require_unseen(split)
        self.state = RunState()
        self.best_weights: dict[str, Tensor] = {}
        self.clock = Clock()
        self.events = EventFile(run_dir) if tensorboard and group.writes else None
        self.record = RunRecord(
            id=run_dir.name,
            study=study,
            config=config,
            data_digest=dataset.digest,
            split_digest=split.digest,
            split_by=split.split_by,
            slices={part: len(indices) for part, indices in rows.items()},
            parameters=self.learner.parameters,
            initial=self.learner.initial,
            precision=placement.precision,
            device=str(placement.device.type),
            threads=threads,
            processes=group.size,
            rng=SCHEME,
            versions=provenance.versions(),
            git=provenance.git_state(),
            hardware=provenance.hardware(placement.device),
            timing={"seconds": 0.0, "started": time.time()},
        )

    def train(self, save_every: int) -> RunRecord:
        """Go on until the run is over or stopped."""
        if self.group.writes:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            self._write_records("running")
        try:
            while self.state.outcome is None:
                if not self._steps(save_every):
                    self._save()
                    return self._write_records("interrupted", "interrupted")
                self._finish_epoch()
        except DivergedError as error:
            self._write_records("failed", str(error))
            raise
        status: Status = "pruned" if self.state.outcome == "pruned" else "complete"
        if self.group.writes:
            checkpoint.drop_resume(self.run_dir, keep=[self.learner.steps])
        return self._write_records(status, self.state.outcome)

    def take_up(self, found: RunRecord) -> None:
        """Put back the folder's last whole state, and make the files that follow from it agree with it."""
        self._require_same_arithmetic(found)
        environment = {"versions": self.record.versions, "git": self.record.git}
        known = [{"versions": found.versions, "git": found.git}, *found.resumed]
        resumed = found.resumed if environment in known else (*found.resumed, environment)
        self.record = replace(found, resumed=resumed)
        resume, refused = checkpoint.load_resume(self.run_dir)
        self.group.wait()  # nobody may write before all have read
        for error in refused:
            logger.warning("%s; the state before it is used", error)
        if resume is not None:
            where = f"{self.run_dir} at step {resume.step}"
            self.learner.restore(resume.tensors, resume.step, where)
            self.best_weights = under("best/", resume.tensors)
            self.state = RunState.from_json(resume.state.get("position"), where)
        self.clock = Clock(seconds=self.state.timing["seconds"], epoch_seconds=self.state.timing["epoch_seconds"])
        if self.group.writes:
            self._tidy()

    def _steps(self, save_every: int) -> bool:
        """The rest of the epoch's steps; false where it was asked to stop before the last."""
        state = self.state
        batches = self.plan.batches(state.epoch)
        taken, began = 0, time.perf_counter()
        while state.step < len(batches):
            if self.watch.stop():
                return False
            result = self._step(batches[state.step])
            taken += len(batches[state.step])
            state.step += 1
            state.loss_sum += result.loss
            state.gradient_norm = max(state.gradient_norm, result.gradient_norm)
            self.clock.images_per_s = taken / (time.perf_counter() - began)
            self.watch.tell(self._progress())
            if state.step % save_every == 0 and state.step < len(batches):
                self._save()
        return True

    def _step(self, positions: Tensor) -> StepResult:
        """Gather, augment and learn from one batch; every draw is the step's own."""
        position = (self.state.epoch, self.state.step, self.group.rank)
        images, masks = self.feed.batch(self.group.share(positions))
        source = generator(self.config.seed, "augment", *position, device=self.placement.device)
        images, masks = augment(images, masks, self.config.augment, source)
        rate = rate_at(self.config, self.learner.steps, self.plan.steps)
        with _seeded(derive_seed(self.config.seed, "layers", *position)):
            return self.learner.step(images, masks, rate)

    def _finish_epoch(self) -> None:
        """Validate, decide, write."""
        began = time.perf_counter()
        self.group.share_buffers(self.learner.evaluated)
        scores = validate(
            self.learner.evaluated, self.validation, self.patients, self.placement, self.config.loss, self.group
        )
        state = self.state
        if not math.isfinite(scores["loss"]):
            raise DivergedError(
                f"the validation loss of epoch {state.epoch} is not finite",
                expected="a finite number",
                got=scores["loss"],
                remedy="lower the rate, or use fp32; the last checkpoint and the best weights are kept",
            )
        entry = self._entry(scores, time.perf_counter() - began)
        if state.best is None or scores["dice"] > state.best.validation["dice"]:
            state.best = Best(epoch=state.epoch, validation=scores)
            self.best_weights = self.learner.weights()
            self._write_best()
        state.history += (entry,)
        state.outcome = self._outcome(scores["dice"])
        self.watch.tell(replace(self._progress(), validation=scores))
        self.clock.next_epoch()
        self.state = replace(state, epoch=state.epoch + 1, step=0, loss_sum=0.0, gradient_norm=0.0)
        self._save()
        self._write_records("running")

    def _entry(self, scores: dict[str, float], validation_seconds: float) -> EpochRecord:
        """The epoch's line in the history."""
        state = self.state
        return EpochRecord(
            epoch=state.epoch,
            rate=rate_at(self.config, self.learner.steps - 1, self.plan.steps),
            train_loss=state.loss_sum / state.step,
            gradient_norm=state.gradient_norm,
            slices=sum(map(len, self.plan.batches(state.epoch))),
            validation=scores,
            timing={
                "seconds": self.clock.epoch_seconds,
                "validation_seconds": validation_seconds,
                "images_per_s": self.clock.images_per_s,
            },
        )

    def _outcome(self, dice: float) -> str | None:
        """Why training is over after this epoch, or None."""
        epoch, best, patience = self.state.epoch, self.state.best, self.config.patience
        if self.watch.hopeless(epoch, dice):
            return "pruned"
        if epoch >= self.config.epochs:
            return "epochs"
        if patience is not None and best is not None and epoch - best.epoch >= patience:
            return "patience"
        return None

    def _progress(self) -> Progress:
        """Where the run stands."""
        return Progress(
            run=self.record.id,
            epoch=self.state.epoch,
            epochs=self.config.epochs,
            step=self.state.step,
            steps=self.plan.steps,
            loss=self.state.loss_sum / max(1, self.state.step),
            images_per_s=self.clock.images_per_s,
            best=self.state.best,
        )

    def _save(self) -> None:
        """Write the exact state, if a step was taken at all."""
        if not self.group.writes or self.learner.steps == 0:
            return
        self.state.timing = {"seconds": self.clock.seconds, "epoch_seconds": self.clock.epoch_seconds}
        best = {f"best/{name}": tensor for name, tensor in self.best_weights.items()}
        record = self.record
        resume = ResumeState(
            step=self.learner.steps,
            tensors=self.learner.tensors() | best,
            state={
                "run": record.id,
                "config": self.config.to_json(),
                "data_digest": record.data_digest,
                "split_digest": record.split_digest,
                "rng": {"scheme": SCHEME, "seed": self.config.seed},
                "position": self.state.to_json(),
            },
        )
        checkpoint.save_resume(self.run_dir, resume)

    def _write_best(self) -> None:
        """Write the weights of the best epoch."""
        best = self.state.best
        if not self.group.writes or best is None:
            return
        info = WeightsInfo(
            run=self.record.id,
            model=self.config.model,
            width=self.config.width,
            epoch=best.epoch,
            validation_dice=best.validation["dice"],
            averaged=self.config.ema_decay > 0,
            data_digest=self.record.data_digest,
            split_digest=self.record.split_digest,
            config=self.config.to_json(),
            validation=best.validation,
            initial=self.learner.initial,
        )
        checkpoint.save_weights(self.run_dir, self.best_weights, info)

    def _write_records(self, status: Status, stopped: str | None = None) -> RunRecord:
        """Write record and history as the state has them."""
        timing = {**self.record.timing, "seconds": self.clock.seconds, "ended": time.time()}
        self.record = replace(
            self.record,
            status=status,
            stopped=stopped,
            best=self.state.best,
            epochs=len(self.state.history),
            timing=timing,
        )
        if self.group.writes:
            records.save_history(self.run_dir, self.state.history)
            records.save_record(self.run_dir, self.record)
        if self.events is not None:
            self.events.follow(self.state.history, self.record.timing["started"])
        return self.record

    def _tidy(self) -> None:
        """Write the best weights that the state knows, and delete what a killed process left half done."""
        if self.state.best is None:
            checkpoint.drop_weights(self.run_dir)
        self._write_best()
        for leftover in self.run_dir.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    def _require_unseen(self, split: Split) -> None:
        """Refuse initial weights that know somebody who is held out now."""
        known, initial = self.learner.initial_split, self.config.initial
        if known is None or initial is None:
            return
        if not require_unseen(Path(initial), *known, split):
            logger.warning("%s was trained on other data, and its split is not at hand: see who was seen", initial)

    def _require_same_arithmetic(self, found: RunRecord) -> None:
        """Refuse to go on where the results would be others."""
        for name in ("device", "precision", "threads", "processes"):
            before, now = getattr(found, name), getattr(self.record, name)
            if before != now:
                raise CheckpointError(
                    f"{self.run_dir} cannot be taken up exactly here",
                    expected=f"{name} {before}, as it was begun",
                    got=now,
                    remedy="go on where and as it was begun, or start a new run",
                )


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """PyTorch's global generators at a known state, for layers that draw; as they were afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
