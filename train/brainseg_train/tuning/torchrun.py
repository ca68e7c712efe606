"""`fit` under torchrun: several processes train each run together, and rank 0 leads the study."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from brainseg_train.errors import DivergedError
from brainseg_train.learning.device import place
from brainseg_train.learning.distributed import join, local_rank
from brainseg_train.tuning import study, worker
from brainseg_train.tuning.plan import open_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.source import DataSource
    from brainseg_train.tuning.plan import Plan
    from brainseg_train.tuning.progress import Event
    from brainseg_train.tuning.study import Study

_LENGTH = 256
"""Bytes of a message: a study's name takes 27."""


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return local_rank() is not None


def leads() -> bool:
    """Whether this process is the one that decides, writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


def fit_together(
    plan: Plan,
    open_data: Callable[[], DataSet],
    runs: Path,
    *,
    resume: bool,
    emit: Callable[[Event], None],
    finish: Callable[[Study, DataSet], Study],
    source: DataSource | None = None,
) -> Study | None:
    """Train a plan's runs, every process with its own slices of each batch.

    Args:
        plan: What is asked for.
        open_data: Opens the data set; rank 0 does so first, so that its cache is there for the others.
        runs: The folder of runs, which all processes see.
        resume: As for `plan.open_study`.
        emit: Receives rank 0's events.
        finish: Called by rank 0 with the study and its data once every trial has ended; returns it complete.
        source: As for `plan.open_study`.

    Returns:
        The complete study in the process of rank 0, None in the others.

    Raises:
        BrainsegError: As in training alone.
        KeyboardInterrupt: Interrupted; everything is kept.
    """
    device = place(plan.config(plan.models[0]), local_rank=local_rank()).device
    with join(device) as group:
        if not group.writes:
            group.wait()
        dataset = open_data()
        if group.writes:
            group.wait()
            current, origin = open_study(plan, dataset, runs, resume=resume, source=source)
            _tell(current.record.id if origin != "complete" else "", device)
            if origin == "complete":
                return current
            _lead(current, dataset, device, emit)
            return finish(current, dataset)
        if name := _hear(device):
            _follow(study.load(runs, name), dataset, device)
        return None


def _lead(current: Study, dataset: DataSet, device: torch.device, emit: Callable[[Event], None]) -> None:
    """Rank 0: take the trials, and tell the other processes which."""
    for unit in current.request.units:
        tuner = current.tuner(unit)
        while (claim := tuner.claim()) is not None:
            _tell(f"{unit.name} {claim.number}", device)
            worker.train(current, unit, claim, dataset, emit)
    _tell("", device)


def _follow(current: Study, dataset: DataSet, device: torch.device) -> None:
    """Every other rank: train the same trials."""
    units = {unit.name: unit for unit in current.request.units}
    while message := _hear(device):
        name, number = message.split()
        unit = units[name]
        params = current.tuner(unit).trials()[int(number)].params
        with contextlib.suppress(DivergedError):  # rank 0 records it
            worker.fit_trial(current, unit, int(number), params, dataset)


def _tell(text: str, device: torch.device) -> None:
    """Rank 0: send a message to every process."""
    content = text.encode().ljust(_LENGTH, b"\0")
    dist.broadcast(torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device), src=0)


def _hear(device: torch.device) -> str:
    """Every other rank: receive the message."""
    content = torch.zeros(_LENGTH, dtype=torch.uint8, device=device)
    dist.broadcast(content, src=0)
    return bytes(content.cpu().tolist()).rstrip(b"\0").decode()
