"""Networks side by side, on the processor, where their steps are not recorded as graphs."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from brainseg_train.data.dataset import DataSet
from brainseg_train.data.head_maps import open_or_make
from experiments.beside import fitting, held_back, train_beside
from experiments.job import Job
from experiments.resident import OnDevice, Resident


@pytest.fixture(scope="module")
def data(small_set: DataSet) -> OnDevice:
    return OnDevice(small_set, open_or_make(small_set), torch.device("cpu"))


def test_runs_side_by_side_have_the_weights_of_runs_alone(small_jobs: tuple[Job, ...], data: OnDevice) -> None:
    jobs = [small_jobs[0], small_jobs[-1]]
    beside = {}
    assert train_beside(jobs, data, until=time.monotonic() + 60, ended=lambda run: beside.update({run.job.name: run}))
    for job in jobs:
        alone = Resident(job, data)
        alone.advance(alone.total)
        other = beside[job.name].weights()
        assert all(torch.equal(tensor, other[name]) for name, tensor in alone.weights().items())


def test_a_step_reads_only_slices_of_the_training_patients(small_jobs: tuple[Job, ...], data: OnDevice) -> None:
    for job in small_jobs[:4]:
        rows = set(Resident(job, data)._order().ravel().tolist())
        assert rows <= set(job.split(data.dataset).indices(data.dataset, "train").tolist())


def test_training_lowers_the_loss(small_jobs: tuple[Job, ...], data: OnDevice) -> None:
    job = replace(small_jobs[2], config=replace(small_jobs[2].config, epochs=5))
    run = Resident(job, data)
    run.advance(3)
    first = run.mean_loss()
    run.advance(run.total - 3)
    assert run.mean_loss() < first


def test_what_does_not_end_in_time_is_not_kept(small_jobs: tuple[Job, ...], data: OnDevice) -> None:
    ended: list[Resident] = []
    assert not train_beside(small_jobs[:1], data, until=time.monotonic(), ended=ended.append)
    assert not ended


def test_a_run_of_a_higher_rank_keeps_to_half_of_the_progress(small_jobs: tuple[Job, ...], data: OnDevice) -> None:
    first, last = (Resident(job, data) for job in (small_jobs[0], small_jobs[-1]))
    last.taken = last.total
    assert held_back(last, [first, last])
    first.taken = first.total
    assert not held_back(last, [first, last])


def test_more_epochs_fit_in_more_time(small_jobs: tuple[Job, ...], data: OnDevice) -> None:
    assert fitting(small_jobs[:1], data, 0.0, steps=2) == 1
    assert fitting(small_jobs[:1], data, 1e4, steps=2) > fitting(small_jobs[:1], data, 1e2, steps=2)
