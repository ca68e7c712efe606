"""`fit` under torchrun: several processes train each run together, and rank 0 leads the study."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from typing import TYPE_CHECKING, Final

import torch
import torch.distributed as dist

from brainseg_train.errors import DivergedError, StudyError
from brainseg_train.learning.device import place
from brainseg_train.learning.distributed import join, local_rank
from brainseg_train.tuning import study, worker
from brainseg_train.tuning.launch import end_with_launcher
from brainseg_train.tuning.plan import open_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.source import DataSource
    from brainseg_train.learning.distributed import Group
    from brainseg_train.tuning.plan import Plan
    from brainseg_train.tuning.progress import Event
    from brainseg_train.tuning.study import Study
    from brainseg_train.tuning.tuner import Claim, Tuner

POLL_SECONDS: Final = 0.2
"""How often a folder or a lock is looked at again."""

_SHARED_SECONDS: Final = 10.0
"""How long a shared folder may take to show a new file: NFS keeps a folder's entries for some seconds."""

_HELD_SECONDS: Final = 120.0
"""How long a trial may be held by a process that is ending: an NFSv4 server keeps a dead machine's locks for 90 s."""

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
    end_with_launcher()
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
            _require_shared(group, runs, current.record.id, device)
            _lead(current, dataset, device, emit)
            return finish(current, dataset)
        if name := _hear(device):
            _require_shared(group, runs, name, device)
            _follow(study.load(runs, name), dataset, device)
        return None


def _require_shared(group: Group, runs: Path, name: str, device: torch.device) -> None:
    """Refuse machines that do not see the study that rank 0 has opened.

    Raises:
        GroupError: One does not; every process raises it.
    """
    record = study.study_folder(runs, name) / study.STUDY
    patience = time.monotonic() + _SHARED_SECONDS
    while not (there := record.is_file()) and time.monotonic() < patience:
        time.sleep(POLL_SECONDS)
    seen = f"study {name}" if there else f"no study {name} in {runs.resolve()} on {platform.node()}"
    group.require_agreement(
        {"what their folder of runs holds": seen},
        device=device,
        remedy="rank 0 writes the states that all resume from: give --runs as one folder that every machine sees, such "
        "as an NFS mount",
    )


def _lead(current: Study, dataset: DataSet, device: torch.device, emit: Callable[[Event], None]) -> None:
    """Rank 0: take the trials, and tell the other processes which."""
    for unit in current.request.units:
        tuner = current.tuner(unit)
        while (claim := _claim(tuner)) is not None:
            _tell(f"{unit.name} {claim.number}", device)
            worker.train(current, unit, claim, dataset, emit)
    _tell("", device)


def _claim(tuner: Tuner) -> Claim | None:
    """The next trial, or None once every one has ended.

    Raises:
        StudyError: What is left is held by other processes.
    """
    patience = time.monotonic() + _HELD_SECONDS
    while (claim := tuner.claim()) is None and tuner.unfinished():
        if time.monotonic() > patience:
            raise StudyError(
                f"another process works on a trial of {tuner.name}",
                expected="trials that only this launch works on",
                got=f"{tuner.unfinished()} that are held by other processes after {_HELD_SECONDS:.0f} s",
                remedy="end the processes of an earlier launch on every machine, or wait for them; then repeat the "
                "command with --resume",
            )
        time.sleep(POLL_SECONDS)
    return claim


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
