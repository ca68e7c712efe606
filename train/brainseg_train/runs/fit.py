"""`fit`: train one network on one split. It can be killed at any moment and resumed to the same weights.

The way through it: here a run is checked and put together; `loop` is the training loop, `learning.learner` one step of
it, `recorder` what is written, `resume` how a run is resumed.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from brainseg_runtime.inference.processor import usable_cores
from brainseg_runtime.safe_io.system_faults import naming_shortage
from brainseg_runtime.terminal.interrupts import stoppable
from brainseg_train.config import TrainConfig
from brainseg_train.errors import ConfigError
from brainseg_train.learning.device import computing_with, place
from brainseg_train.learning.distributed import join, local_rank
from brainseg_train.learning.learner import Learner
from brainseg_train.learning.randomness import SCHEME
from brainseg_train.runs import provenance
from brainseg_train.runs.callbacks import Callbacks, Progress, ProgressCallback, PruneCallback, StopCallback
from brainseg_train.runs.initial import require_unseen
from brainseg_train.runs.loop import TrainingLoop
from brainseg_train.runs.preflight import foresee
from brainseg_train.runs.recorder import Recorder
from brainseg_train.runs.records import RunRecord
from brainseg_train.runs.resume import existing_record, load_state, require_same_run, resumed_record
from brainseg_train.runs.state import Clock, RunState

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split
    from brainseg_train.learning.device import Placement
    from brainseg_train.learning.distributed import Group

__all__ = ["SAVE_EVERY", "Progress", "ProgressCallback", "PruneCallback", "StopCallback", "fit"]

SAVE_EVERY: Final = 200
"""Steps between two saved states within an epoch: about half a minute of work that a kill can cost."""

logger = logging.getLogger(__name__)


def fit(  # noqa: PLR0913 - what to train, where to keep it, and the callbacks: each is one plain argument
    config: TrainConfig,
    dataset: DataSet,
    split: Split,
    run_dir: Path,
    *,
    resume: bool = False,
    study: str | None = None,
    threads: int | None = None,
    save_every: int = SAVE_EVERY,
    progress: ProgressCallback | None = None,
    should_stop: StopCallback | None = None,
    prune: PruneCallback | None = None,
    tensorboard: bool = False,
) -> RunRecord:
    """Train a network, or resume a run where it stopped.

    The same configuration, data, split and number of threads give the same bytes on the same machine, however often the
    run was interrupted or killed. Under torchrun all processes call this together; rank 0 alone writes and calls the
    callbacks.

    Args:
        config: What to train.
        dataset: Slices at the network's size.
        split: Which of them train, and which choose the epoch.
        run_dir: The run's folder, made here; its name is the run's.
        resume: Go on from the folder's last whole state; without one, start afresh. A finished run is left as it is.
        study: Name of the study that the run belongs to, for its record.
        threads: Threads of each process. By default as many as the run that is resumed was started with, or as PyTorch
            has been set to, but no more than this process has cores.
        save_every: Steps between two saved states within an epoch; the end of an epoch is always saved.
        progress: Called after every step and every validation.
        should_stop: Asked before every step; true ends the run cleanly as interrupted. Ctrl-C does the same.
        prune: Asked after every validation with epoch and Dice; true ends the run as pruned.
        tensorboard: Keep a TensorBoard event file beside the history; it changes nothing in what is computed.

    Returns:
        The run's record, as in its `run.json`.

    Raises:
        ConfigError: The batch has fewer slices than there are processes, or a number is below 1.
        GroupError: Processes that train together differ in data, records or arithmetic, or one of them has ended.
        SplitError: The split is of another data set, or one of its subsets is empty.
        LeakageError: The initial weights were trained on another split of the same data.
        RecordError: The folder already holds a run and `resume` is off.
        CheckpointError: The folder's run is another one, or none of its states is whole.
        DeviceError: The requested device or arithmetic is not available.
        DivergedError: A loss or gradient is not finite; the record then says `failed`.
        OutOfMemoryError: The network, its batches or the data do not fit the memory; the run can be resumed.
        MissingExtraError: `tensorboard` without the extra of that name.
        FileWriteError: A file could not be written.
    """
    for name, number in (("save_every", save_every), ("threads", threads)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} is too small", expected="at least 1", got=number)
    config.require_schedule()
    found = existing_record(run_dir, resume=resume)
    finished = found is not None and found.status in {"complete", "pruned"}
    if found is not None and finished and local_rank() is None:
        require_same_run(found, config, dataset, split, run_dir.parent)
        return found
    placement = place(config, local_rank=local_rank())
    count = threads or (found.threads if found else min(torch.get_num_threads(), usable_cores()))
    shortage = naming_shortage(f"{config.model} of width {config.width} with batches of {config.batch}")
    with join(placement.device) as group, computing_with(count), stoppable() as stop_requested, shortage:
        _require_one_start(group, placement, found, dataset, split)  # nobody writes before all have looked
        if found is not None and finished:
            require_same_run(found, config, dataset, split, run_dir.parent)
            return found
        if config.batch < group.size:
            raise ConfigError("the batch cannot be divided", expected=f"at least {group.size}", got=config.batch)
        foresee(dataset, split, config, processes=group.size)
        learner = Learner(config, placement, group)
        _require_unseen(config, learner, split)
        record = _new_record(dataset, split, learner, name=run_dir.name, study=study, threads=count)
        state, best_weights = RunState(), dict[str, Tensor]()
        if found is not None:
            require_same_run(found, config, dataset, split, run_dir.parent)
            record = resumed_record(found, record, run_dir)
            state, best_weights = load_state(run_dir, learner)
        group.require_agreement(
            {"the state that they start from": f"step {learner.steps}", "the initial weights": learner.initial},
            device=placement.device,
            remedy="see that every machine reads the same files in the folder of runs, then repeat with --resume",
        )
        clock = Clock(**state.timing)
        recorder = Recorder(run_dir, record, clock, writes=group.writes, tensorboard=tensorboard)
        if found is not None:
            recorder.resume(state, best_weights)
        callbacks = Callbacks(
            group=group,
            device=placement.device,
            progress=progress,
            should_stop=lambda: stop_requested() or (should_stop is not None and should_stop()),
            prune=prune,
        )
        return TrainingLoop(dataset, split, learner, clock, recorder, callbacks).run(state, save_every=save_every)


def _new_record(
    dataset: DataSet, split: Split, learner: Learner, *, name: str, study: str | None, threads: int
) -> RunRecord:
    """The record of a run that begins here and now."""
    device = learner.placement.device
    return RunRecord(
        id=name,
        study=study,
        config=learner.config,
        data_digest=dataset.digest,
        split_digest=split.digest,
        split_by=split.split_by,
        slices={subset: len(split.indices(dataset, subset)) for subset in ("train", "validation")},
        parameters=learner.parameters,
        initial=learner.initial,
        precision=learner.placement.precision,
        device=device.type,
        threads=threads,
        processes=learner.group.size,
        rng=SCHEME,
        versions=provenance.versions(),
        git=provenance.git_state(),
        hardware=provenance.hardware(device),
        timing={"seconds": 0.0, "started": time.time()},
    )


def _require_one_start(
    group: Group, placement: Placement, found: RunRecord | None, dataset: DataSet, split: Split
) -> None:
    """Refuse to train together from different data or records, or in different arithmetic.

    Raises:
        GroupError: Two processes differ.
    """
    here = provenance.versions()
    facts = {
        "the data set's digest": dataset.digest,
        "the split's digest": split.digest,
        "the run that they found": "none" if found is None else f"{found.id}, {found.status}, {found.epochs} epochs",
        "device": placement.device.type,
        "precision": placement.precision,
        "versions": ", ".join(f"{name} {here[name]}" for name in ("brainseg", "torch") if name in here),
    }
    group.require_agreement(
        facts,
        device=placement.device,
        remedy="give every machine the same data, versions and folder of runs; where processors differ, set device and "
        "precision (fp32) in the file of --config",
    )


def _require_unseen(config: TrainConfig, learner: Learner, split: Split) -> None:
    """Refuse initial weights that were trained or chosen on somebody who is held out now."""
    if config.initial is None or learner.initial_split is None:
        return
    if not require_unseen(Path(config.initial), *learner.initial_split, split):
        logger.warning(
            "%s was trained on other data, and its split is missing, so the patients it has seen cannot be checked",
            config.initial,
        )
