"""Training against a plain fp32 loop: the same steps, the same with augmentation, and a whole epoch of `fit`.

Steps compare like with like. An epoch of `fit` validates and saves its state too: much of the time in a set this small.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.gpu_use import GpuUse
from benchmarks.machine import cores
from benchmarks.plain_training import Slices, train_epoch
from benchmarks.record import Label, label
from brainseg_train import models
from brainseg_train.config import TrainConfig, preset
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.split import Split
from brainseg_train.data.splitting import make_split
from brainseg_train.learning.augment import augment
from brainseg_train.learning.batches import Batches, EpochPlan
from brainseg_train.learning.device import place
from brainseg_train.learning.learner import Learner
from brainseg_train.learning.randomness import generator
from brainseg_train.phantom.patients import write_phantom
from brainseg_train.runs.fit import fit

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

BATCH = 16
THREADS = sorted({1, cores()})
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
def many(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Ninety-four generated patients of 36 slices."""
    folder = tmp_path_factory.mktemp("many")
    write_phantom(folder / "patients", patients=94, slices=(36, 36))
    return load_dataset(folder / "patients", cache=folder / "cache")


@pytest.fixture(scope="module")
def split(dataset: DataSet) -> Split:
    return make_split(dataset, seed=0)


def _case(name: str, way: str, units: int, threads: int, *, reference: bool = False) -> Label:
    case: dict[str, str | int] = {"network": name, "threads": threads, "slices": units}
    return Label(table="training", way=way, case=case, reference=reference, units=units)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", NETWORKS)
def test_plain_loop(benchmark: BenchmarkFixture, dataset: DataSet, split: Split, name: str, threads: int) -> None:
    torch.set_num_threads(threads)
    rows = split.indices(dataset, "train")
    slices = Slices(dataset.images[rows], dataset.masks[rows])
    torch.manual_seed(0)
    network = models.build(name)
    seen = benchmark.pedantic(train_epoch, (network, slices), {"batch": BATCH}, rounds=3, warmup_rounds=1)
    told = _case(name, "plain PyTorch loop, fp32", seen, threads, reference=True)
    label(benchmark, told, **_rate(benchmark, seen))


@pytest.mark.parametrize("augmented", [False, True], ids=["plain", "augmented"])
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", NETWORKS)
def test_steps(
    benchmark: BenchmarkFixture, dataset: DataSet, split: Split, name: str, threads: int, *, augmented: bool
) -> None:
    torch.set_num_threads(threads)
    config = TrainConfig(model=name, batch=BATCH, device="cpu")
    placement = place(config)
    learner = Learner(config, placement)
    feed = Batches(dataset.images, dataset.masks, split.indices(dataset, "train"), placement.device)
    plan = EpochPlan(has_tumour=feed.has_tumour(), batch=BATCH, empty_fraction=1.0, seed=0)

    def epoch() -> int:
        for step, positions in enumerate(plan.batches(1)):
            images, masks = feed.batch(positions)
            if augmented:
                images, masks = augment(images, masks, config.augment, generator(0, "augment", 1, step))
            learner.step(images, masks, config.rate)
        return plan.steps * BATCH

    seen = benchmark.pedantic(epoch, rounds=3, warmup_rounds=1)
    way = f"brainseg steps, {placement.precision}{', augmented' if augmented else ''}"
    label(benchmark, _case(name, way, seen, threads), **_rate(benchmark, seen))


@pytest.mark.parametrize("name", NETWORKS)
def test_fit(benchmark: BenchmarkFixture, dataset: DataSet, split: Split, name: str, tmp_path: Path) -> None:
    torch.set_num_threads(cores())
    config = TrainConfig(model=name, batch=BATCH, epochs=1, device="cpu")
    runs = iter(range(1000))
    record = benchmark.pedantic(lambda: fit(config, dataset, split, tmp_path / f"run-{next(runs)}"), rounds=3)
    seen = len(split.indices(dataset, "train")) // BATCH * BATCH
    told = _case(name, f"brainseg fit, {record.precision}", seen, cores())
    label(benchmark, told, **_rate(benchmark, seen))


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", models.NAMES)
def test_forty_epochs_on_a_gpu(benchmark: BenchmarkFixture, many: DataSet, name: str, tmp_path: Path) -> None:
    """A whole run of the shipped recipe, cut to 40 epochs, on about as many slices as the real training part has."""
    config = replace(preset("shipped", name), epochs=40, device="cuda")
    split = make_split(many, seed=0)
    with GpuUse() as use:
        record = benchmark.pedantic(fit, (config, many, split, tmp_path / "run"), rounds=1)
    assert record.status == "complete"
    has_tumour = many.tumour_pixels[split.indices(many, "train")] > 0
    plan = EpochPlan(has_tumour=has_tumour, batch=config.batch, empty_fraction=config.empty_fraction, seed=config.seed)
    seen = plan.steps * config.batch * config.epochs
    told = Label(table="gpu training", way=f"brainseg fit, {record.precision}", case={"network": name, "epochs": 40})
    label(benchmark, told, **_rate(benchmark, seen), utilisation_percent=use.percent)


def _rate(benchmark: BenchmarkFixture, images: int) -> dict[str, float]:
    """Images a second at the median; nothing where nothing was timed."""
    return {"images_per_s": images / benchmark.stats.stats.median} if benchmark.stats else {}
