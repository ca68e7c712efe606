"""A run's folder in the product's form, made of weights that were trained by other code than `brainseg_train.runs.fit`.

The record says what trained them: the machine's GPU, versions, and that it was this campaign. Export takes such a
folder as it takes any run's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from brainseg_runtime.safe_io.files import make_folder
from brainseg_train import checkpoint, models
from brainseg_train.checkpoint import WeightsInfo
from brainseg_train.learning.batches import Batches
from brainseg_train.learning.distributed import Group
from brainseg_train.learning.validation import validate
from brainseg_train.runs import provenance, records
from brainseg_train.runs.records import Best, RunRecord

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.learning.device import Placement
    from experiments.folder import Folder
    from experiments.job import Job

RNG: Final = "campaign: weights by the global generator at 1000 + seed; order and augmentation by one each at 7 + seed"
"""How `resident.Resident` draws; `runs.fit` seeds each step instead."""


def keep_run(
    folder: Folder,
    job: Job,
    dataset: DataSet,
    weights: Mapping[str, Tensor],
    placement: Placement,
    *,
    seconds: float,
    machine: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Write a trained job's weights, split and record.

    Args:
        folder: The campaign's.
        job: What was trained, to its last epoch.
        dataset: All slices.
        weights: The running mean's state, by name.
        placement: Where they are validated.
        seconds: From the first step to the last, beside other runs.
        machine: `versions` and `hardware` of the machine that trained, where it is not this one.

    Raises:
        CheckpointError: The weights are of another network.
        FileWriteError: A file could not be written.
    """
    split = job.split(dataset)
    validation = _scores(job, dataset, weights, placement)
    parameters = sum(p.numel() for p in models.build(job.config.model, width=job.config.width).parameters())
    best = Best(epoch=job.config.epochs, validation=validation)
    where = machine or {"versions": provenance.versions(), "hardware": provenance.hardware(placement.device)}
    record = RunRecord(
        id=job.name, status="complete", stopped="epochs", config=job.config, data_digest=dataset.digest,
        split_digest=split.digest, split_by=split.split_by, parameters=parameters, best=best, epochs=job.config.epochs,
        slices={subset: len(split.indices(dataset, subset)) for subset in ("train", "validation")}, precision="bf16",
        device="cuda" if "gpu" in where["hardware"] else "cpu", threads=1, rng=RNG, git=None,
        versions=dict(where["versions"]), hardware=dict(where["hardware"]),
        timing={"seconds": seconds, "ended": time.time()},
    )  # fmt: skip
    info = WeightsInfo(
        run=job.name, model=job.config.model, width=job.config.width, epoch=job.config.epochs,
        validation_dice=validation["dice"], averaged=True, data_digest=dataset.digest, split_digest=split.digest,
        config=job.config.to_json(), validation=validation, initial=None,
    )  # fmt: skip
    folder.save_split(split)
    make_folder(folder.runs / job.name)
    checkpoint.save_weights(folder.runs / job.name, weights, info)
    records.save_record(folder.runs / job.name, record)
    return record


def _scores(job: Job, dataset: DataSet, weights: Mapping[str, Tensor], placement: Placement) -> dict[str, float]:
    """The validation scores of the job's held-out patients, as a run's history has them."""
    network = models.build(job.config.model, width=job.config.width)
    checkpoint.fill(network, weights, job.name)
    rows = job.split(dataset).indices(dataset, "validation")
    batches = Batches(dataset.images, dataset.masks, rows, placement.device)
    with torch.inference_mode():
        moved = network.to(placement.device)
        return validate(moved, batches, dataset.patient_of_slice[rows], placement, job.config.loss, Group())
