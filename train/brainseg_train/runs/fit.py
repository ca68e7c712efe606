"""`fit`: train one network on one split, so that it can be killed at any moment and end the same.

A run's folder holds its record, its history, its best weights and its last states; `brainseg_train.runs.records` and
`brainseg_train.checkpoint` say how.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from brainseg_runtime.inference.processor import usable_cores
from brainseg_runtime.safe_io.system_faults import naming_shortage
from brainseg_runtime.terminal.interrupts import stoppable
from brainseg_train.config import TrainConfig
from brainseg_train.errors import CheckpointError, ConfigError, RecordError
from brainseg_train.learning.device import computing_with, place
from brainseg_train.learning.distributed import join, local_rank
from brainseg_train.runs import records
from brainseg_train.runs.callbacks import Progress, ProgressCallback, PruneCallback, StopCallback, Watch
from brainseg_train.runs.differences import changed_settings, changed_slices
from brainseg_train.runs.records import RunRecord
from brainseg_train.runs.run import Run

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split

__all__ = ["SAVE_EVERY", "Progress", "ProgressCallback", "PruneCallback", "StopCallback", "fit"]

SAVE_EVERY: Final = 200
"""Steps between two saved states within an epoch: about half a minute of work that a kill can cost."""


def fit(  # noqa: PLR0913 - what to train, where to keep it, and who watches: each is one plain argument
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
    """Train a network, or take a run up again where it stopped.

    The same configuration, data, split and number of threads give the same bytes on the same machine, however often the
    run was interrupted or killed. Under torchrun all processes call this together and rank 0 alone writes and asks.

    Args:
        config: What to train.
        dataset: Slices at the network's size.
        split: Which of them train, and which choose the epoch.
        run_dir: The run's folder, made here; its name is the run's.
        resume: Go on from the folder's last whole state; without one, start afresh. A finished run is left as it is.
        study: Name of the study that the run belongs to, for its record.
        threads: Threads to compute with, a process. Without it, as many as the run that is taken up was started with,
            or as PyTorch has been set to, but no more than this process has cores.
        save_every: Steps between two saved states within an epoch; the epoch's end is always saved.
        progress: Told after every step and every validation.
        should_stop: Asked after every step; true ends the run cleanly as interrupted. Ctrl-C does the same.
        prune: Asked after every validation with epoch and Dice; true ends the run as pruned.
        tensorboard: Keep a TensorBoard event file beside the history; it changes nothing in what is computed.

    Returns:
        The run's record, as in its `run.json`.

    Raises:
        ConfigError: The batch cannot be shared among the processes, or a number is below 1.
        SplitError: The split is of another data set, or a part of it is empty.
        LeakageError: The initial weights were trained on another split of the same data.
        RecordError: The folder holds a run already and `resume` is off.
        CheckpointError: The folder's run is another one, or none of its states is whole.
        DeviceError: The device or arithmetic asked for is not available.
        DivergedError: A loss or gradient is not finite; the record then says `failed`.
        OutOfMemoryError: The network, its batches or the data do not fit the memory; the run can be taken up.
        MissingExtraError: `tensorboard` without the extra of that name.
        FileWriteError: The system refused.
    """
    for name, number in (("save_every", save_every), ("threads", threads)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} is too small", expected="at least 1", got=number)
    config.require_schedule()
    found = _existing(run_dir, resume=resume)
    if found is not None and found.status in {"complete", "pruned"}:
        _require_same(config, dataset, split, found, run_dir.parent)
        return found
    placement = place(config, local_rank=local_rank())
    count = threads or (found.threads if found else min(torch.get_num_threads(), usable_cores()))
    with join(placement.device) as group, computing_with(count), stoppable() as stop_requested:
        group.wait()  # nobody may write before all have looked at what is there
        watch = Watch(
            group=group,
            device=placement.device,
            progress=progress,
            should_stop=lambda: stop_requested() or (should_stop is not None and should_stop()),
            prune=prune or (lambda _epoch, _dice: False),
        )
        with naming_shortage(f"{config.model} of width {config.width} with batches of {config.batch}"):
            run = Run(
                config, dataset, split, run_dir, placement, group, watch,
                threads=count, study=study, tensorboard=tensorboard,
            )  # fmt: skip
            if found is not None:
                _require_same(config, dataset, split, found, run_dir.parent)
                run.take_up(found)
            return run.train(save_every)


def _existing(run_dir: Path, *, resume: bool) -> RunRecord | None:
    """The run that the folder holds."""
    if not (run_dir / records.RECORD).exists():
        return None
    if not resume:
        raise RecordError(
            f"{run_dir} holds a run already",
            expected="a new folder",
            got="run.json",
            remedy="resume the run, or name another folder",
        )
    return records.load_record(run_dir)


def _require_same(config: TrainConfig, dataset: DataSet, split: Split, found: RunRecord, runs: Path) -> None:
    """Refuse to go on with another run than the one that was begun."""
    changed = list(changed_settings(found.config.to_json(), config.to_json(), under="config."))
    if dataset.digest != found.data_digest:
        changed.append(f"the data set: {changed_slices(runs, found.data_digest, dataset)}")
    if split.digest != found.split_digest:
        changed.append(f"the split: {found.split_digest[:12]}, now {split.digest[:12]}")
    if changed:
        raise CheckpointError(
            f"run {found.id} was begun otherwise",
            expected="the same configuration, data set and split",
            got="; ".join(changed),
            remedy="resume with what it was begun with, or start a new run",
        )
