"""The campaign from beginning to end: what is left to do, by which way, and its results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from brainseg_train import checkpoint
from brainseg_train.data.head_maps import StoredMaps, open_or_make
from brainseg_train.learning.device import Placement
from experiments.beside import fitting, train_beside
from experiments.cases import Cases
from experiments.folder import Folder
from experiments.in_turn import train_in_turn
from experiments.keep import keep_run
from experiments.plan import campaign
from experiments.resident import OnDevice, Resident

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from experiments.job import Job

RESERVE_S = 30.0
"""Seconds of a GPU's budget that are kept for measuring what ends last."""


def run(dataset: DataSet, out: Path, *, seconds: float, device: torch.device, epochs: int | None = None) -> bool:
    """Do of the campaign what a budget allows.

    Args:
        dataset: All slices.
        out: The campaign's folder; what it holds is not done again.
        seconds: The budget.
        device: On "cuda" all that is left trains side by side, with as many epochs as fit, at most the preset's; on
            others one run after another trains, and goes on where an earlier call left it.
        epochs: Of each run; by default the preset's.

    Returns:
        Whether the campaign is complete.

    Raises:
        BrainsegError: As `brainseg_train.runs.fit.fit` and `keep.keep_run`.
    """
    until = time.monotonic() + seconds
    folder = Folder(out)
    maps = open_or_make(dataset)
    placement = Placement(device=device, precision="bf16", channels_last=True)
    left = [job for job in campaign(dataset, epochs=epochs) if job.name not in folder.results()]
    if not left:
        return True
    if device.type != "cuda":
        return train_in_turn(
            left, dataset, folder, until=until,
            ended=lambda job: _measure_kept(job, dataset, maps, folder, placement),
        )  # fmt: skip
    data = OnDevice(dataset, maps, device)
    if epochs is None:
        fit = min(left[0].config.epochs, fitting(left, data, until - time.monotonic() - RESERVE_S))
        chosen = {job.name: job for job in campaign(dataset, epochs=fit)}
        left = [chosen[job.name] for job in left]
    began = time.monotonic()

    def ended(resident: Resident) -> None:
        weights, job = resident.weights(), resident.job
        keep_run(folder, job, dataset, weights, placement, seconds=time.monotonic() - began)
        folder.add(measured(job, resident.mean, Cases(dataset, maps, job, placement)))

    return train_beside(left, data, until=until - RESERVE_S, ended=ended)


def measured(job: Job, network: nn.Module, cases: Cases) -> dict[str, Any]:
    """A job's line of results."""
    return {"job": job.name, "epochs": job.config.epochs, "seed": job.config.seed, **cases.measure(network)}


def _measure_kept(job: Job, dataset: DataSet, maps: StoredMaps, folder: Folder, placement: Placement) -> None:
    """Measure the weights in a run's folder."""
    network = checkpoint.load_network(folder.runs / job.name)[0].to(placement.device)
    folder.add(measured(job, network, Cases(dataset, maps, job, placement)))
