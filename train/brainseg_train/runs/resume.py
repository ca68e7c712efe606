"""Resuming a run: checks that it is the same run and would give the same results, and loads its last valid state."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_train import checkpoint
from brainseg_train.errors import CheckpointError, RecordError
from brainseg_train.learning.learner import under
from brainseg_train.runs import records
from brainseg_train.runs.differences import changed_settings, changed_slices
from brainseg_train.runs.state import RunState

if TYPE_CHECKING:
    from torch import Tensor

    from brainseg_train.config import TrainConfig
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split
    from brainseg_train.learning.learner import Learner
    from brainseg_train.runs.records import RunRecord

logger = logging.getLogger(__name__)


def existing_record(run_dir: Path, *, resume: bool) -> RunRecord | None:
    """The record of the run that a folder holds; None where it holds none.

    Raises:
        RecordError: There is a run and it is not to be resumed, or its record is damaged.
    """
    if not (run_dir / records.RECORD).exists():
        return None
    if not resume:
        raise RecordError(
            f"{run_dir} already holds a run",
            expected="a new folder",
            got=records.RECORD,
            remedy="resume the run, or name another folder",
        )
    return records.load_record(run_dir)


def require_same_run(found: RunRecord, config: TrainConfig, dataset: DataSet, split: Split, runs: Path) -> None:
    """Refuse to resume a run with other settings, data or split.

    Raises:
        CheckpointError: Something differs; it names every setting and slice.
    """
    changed = list(changed_settings(to_json(found.config), to_json(config), under="config."))
    if dataset.digest != found.data_digest:
        changed.append(f"the data set: {changed_slices(runs, found.data_digest, dataset)}")
    if split.digest != found.split_digest:
        changed.append(f"the split: {found.split_digest[:12]}, now {split.digest[:12]}")
    if changed:
        raise CheckpointError(
            f"run {found.id} was started with other settings or data",
            expected="the same configuration, data set and split",
            got="; ".join(changed),
            remedy="resume with the settings and data it was started with, or start a new run",
        )


def resumed_record(found: RunRecord, now: RunRecord, run_dir: Path) -> RunRecord:
    """The record of a resumed run, with this process's versions added if they differ.

    Raises:
        CheckpointError: This process computes in another way, so that the results would differ.
    """
    for name in ("device", "precision", "threads", "processes"):
        before, here = getattr(found, name), getattr(now, name)
        if before != here:
            raise CheckpointError(
                f"{run_dir} cannot be resumed exactly here",
                expected=f"{name} {before}, as when it was started",
                got=here,
                remedy="resume it on the machine and with the settings it was started with, or start a new run",
            )
    environment = {"versions": now.versions, "git": now.git}
    known = [{"versions": found.versions, "git": found.git}, *found.resumed]
    return found if environment in known else replace(found, resumed=(*found.resumed, environment))


def load_state(run_dir: Path, learner: Learner) -> tuple[RunState, dict[str, Tensor]]:
    """Load the last valid state of a run into a learner.

    Args:
        run_dir: The run's folder.
        learner: Restored, if there is a state.

    Returns:
        Position and sums, and the weights of the epoch that is kept; those of a fresh run where no state was saved.

    Raises:
        CheckpointError: There are states and all are damaged, or they are of another network.
    """
    resume, refused = checkpoint.load_resume(run_dir)
    for error in refused:
        logger.warning("%s; the state before it is used", error)
    if resume is None:
        return RunState(), {}
    where = f"{run_dir} at step {resume.step}"
    learner.restore(resume.tensors, resume.step, where)
    state = from_json(RunState, resume.state.get("position"), where, error=CheckpointError)
    return state, under("best/", resume.tensors)
