"""Generated patients for small campaigns, and the campaign's plan at a width that takes seconds on a processor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.phantom.patients import write_phantom
from experiments.job import Job
from experiments.plan import campaign


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Ten generated patients of four or five slices of 64×64."""
    folder = tmp_path_factory.mktemp("experiments")
    patients = write_phantom(folder / "patients", patients=10, seed=5, slices=(4, 5), side=64)
    return load_dataset(patients, cache=folder / "cache")


@pytest.fixture(scope="session")
def small_jobs(small_set: DataSet) -> tuple[Job, ...]:
    """The whole plan with networks of width 2, for one epoch of batches of eight."""
    jobs = campaign(small_set, epochs=1)
    return tuple(replace(job, config=replace(job.config, width=2, batch=8, device="cpu")) for job in jobs)
