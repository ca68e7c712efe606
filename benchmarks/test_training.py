"""Training: one epoch of `fit` (augmentation, validation, saved states and all) against a plain fp32 loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.machine import cores
from benchmarks.plain_training import Slices, train_epoch
from benchmarks.record import Label, label
from brainseg_train import models
from brainseg_train.config import TrainConfig
from brainseg_train.data import DataSet, load_dataset
from brainseg_train.engine import fit
from brainseg_train.phantom import write_phantom
from brainseg_train.split import Split, make_split

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

BATCH = 16
NETWORKS = [
    pytest.param("unet"),
    pytest.param("resunet", marks=pytest.mark.slow),
    pytest.param("deeplab", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Six generated patients of 24 slices."""
    folder = tmp_path_factory.mktemp("training")
    write_phantom(folder / "patients", patients=6, slices=(24, 24))
    return load_dataset(folder / "patients", cache=folder / "cache")


@pytest.fixture(scope="module")
def split(dataset: DataSet) -> Split:
    return make_split(dataset, seed=0)


@pytest.fixture(autouse=True)
def _all_cores() -> None:
    torch.set_num_threads(cores())


def _case(name: str, way: str, units: int, *, reference: bool = False) -> Label:
    case: dict[str, str | int] = {"network": name, "threads": cores(), "slices": units}
    return Label(table="training", way=way, case=case, reference=reference, units=units)


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_loop(benchmark: BenchmarkFixture, dataset: DataSet, split: Split, name: str) -> None:
    rows = split.indices(dataset, "train")
    slices = Slices(dataset.images[rows], dataset.masks[rows])
    torch.manual_seed(0)
    network = models.build(name)
    seen = benchmark.pedantic(train_epoch, (network, slices), {"batch": BATCH}, rounds=3)
    told = _case(name, "plain PyTorch loop, fp32", seen, reference=True)
    label(benchmark, told, **_rate(benchmark, seen))


@pytest.mark.parametrize("name", NETWORKS)
def test_fit(benchmark: BenchmarkFixture, dataset: DataSet, split: Split, name: str, tmp_path: Path) -> None:
    config = TrainConfig(model=name, batch=BATCH, epochs=1)
    runs = iter(range(1000))
    record = benchmark.pedantic(lambda: fit(config, dataset, split, tmp_path / f"run-{next(runs)}"), rounds=3)
    seen = len(split.indices(dataset, "train")) // BATCH * BATCH
    told = _case(name, f"brainseg fit, {record.precision}", seen)
    label(benchmark, told, **_rate(benchmark, seen))


def _rate(benchmark: BenchmarkFixture, images: int) -> dict[str, float]:
    """Images a second at the median; nothing where nothing was timed."""
    return {"images_per_s": images / benchmark.stats.stats.median} if benchmark.stats else {}
