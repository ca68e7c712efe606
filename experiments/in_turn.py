"""Jobs one after another by the product's own training, which resumes at the step where a budget ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from brainseg_train.runs.fit import fit

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from experiments.folder import Folder
    from experiments.job import Job


def train_in_turn(
    jobs: Sequence[Job],
    dataset: DataSet,
    folder: Folder,
    *,
    until: float,
    ended: Callable[[Job], None],
    threads: int | None = None,
) -> bool:
    """Train jobs one after another, each from where an earlier call left it.

    Args:
        jobs: In the order of training.
        dataset: All slices.
        folder: The campaign's.
        until: `time.monotonic()` at which the run that is in training is saved and left.
        ended: Called with each job whose run has ended.
        threads: Of training; by default as many as PyTorch has been set to.

    Returns:
        Whether all of them ended.
    """
    for job in jobs:
        run_dir = folder.runs / job.name
        split = job.split(dataset)
        folder.save_split(split)
        record = fit(
            job.config, dataset, split, run_dir,
            resume=(run_dir / "run.json").exists(), threads=threads, should_stop=lambda: time.monotonic() >= until,
        )  # fmt: skip
        if record.status != "complete":
            return False
        ended(job)
    return True
