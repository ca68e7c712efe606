"""Many networks in training side by side on one GPU: none of them fills it alone.

Whole runs only: what does not end within the budget is not kept. So the number of epochs is a matter of the plan, and
`fitting` says beforehand how many fit. Runs of a lower rank are served first, and the others keep to half of their
progress until they have ended.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import torch

from experiments.resident import OnDevice, Resident

if TYPE_CHECKING:
    from experiments.job import Job

STRIDE: Final = 4
"""Steps that are queued at once."""
AHEAD: Final = 3
"""Strides that a run's queue holds at most."""
_PAUSE_S: Final = 0.0003


def train_beside(
    jobs: Sequence[Job], data: OnDevice, *, until: float, ended: Callable[[Resident], None], graphs: bool = True
) -> bool:
    """Train jobs side by side.

    Args:
        jobs: In order of rank.
        data: The set on the device.
        until: `time.monotonic()` at which nothing more is queued.
        ended: Called with each run as it ends; the others' queues are not filled meanwhile.
        graphs: Whether steps are recorded as CUDA graphs.

    Returns:
        Whether all of them ended.
    """
    residents = [Resident(job, data, graphs=graphs, priority=min(0, job.rank - 2)) for job in jobs]
    queues: list[deque[torch.cuda.Event]] = [deque() for _ in residents]
    going = set(range(len(residents)))
    while going and time.monotonic() < until:
        busy = False
        for k in sorted(going):
            run, marks = residents[k], queues[k]
            while marks and marks[0].query():
                marks.popleft()
            if run.taken == run.total and not marks:
                going.discard(k)
                ended(run)
            elif run.taken < run.total and len(marks) < AHEAD and not held_back(run, residents):
                busy = True
                run.advance(min(STRIDE, run.total - run.taken))
                if run.stream is not None:
                    mark = torch.cuda.Event()
                    mark.record(run.stream)
                    marks.append(mark)
        if not busy:
            time.sleep(_PAUSE_S)
    return not going


def held_back(run: Resident, residents: Sequence[Resident]) -> bool:
    """Whether a run waits for those of a lower rank: it is beyond half of the progress of the least of them."""
    first = [other.taken / other.total for other in residents if other.job.rank < run.job.rank]
    least = min(first, default=1.0)
    return least < 1 and run.taken / run.total > 0.5 * least + 0.01


def images_a_second(jobs: Sequence[Job], data: OnDevice, *, steps: int = 30) -> float:
    """The rate of jobs side by side, from a few steps of each."""
    residents = [Resident(job, data) for job in jobs]
    _advance_all(residents, 4)
    began = time.monotonic()
    _advance_all(residents, steps)
    return sum(job.config.batch * steps for job in jobs) / (time.monotonic() - began)


def _advance_all(residents: Sequence[Resident], steps: int) -> None:
    """Take some steps of all, and wait for them."""
    for _ in range(steps):
        for run in residents:
            run.advance(1)
    for run in residents:
        run.mean_loss()


def fitting(jobs: Sequence[Job], data: OnDevice, seconds: float, *, share: float = 0.9, steps: int = 30) -> int:
    """How many epochs of all jobs end in a time, from the measured rate; at least 1."""
    slices = 0.0
    for job in jobs:
        rows = job.split(data.dataset).indices(data.dataset, "train")
        tumour = int(data.tumour[rows].sum())
        slices += tumour + job.config.empty_fraction * (len(rows) - tumour)
    return max(1, int(share * seconds * images_a_second(jobs, data, steps=steps) / slices))
