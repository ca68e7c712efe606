"""Weights in half precision beside a bundle: half the size, nearly the same network, refused where numbers overflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brainseg_train import checkpoint, models
from brainseg_train.checkpoint import WeightsInfo
from brainseg_train.data.dataset import DataSet
from brainseg_train.errors import CheckpointError, LeakageError
from brainseg_train.runs.initial import require_unseen
from experiments import __main__ as command
from experiments.job import Job

SIDE = 64


@pytest.fixture
def run(small_set: DataSet, small_jobs: tuple[Job, ...], tmp_path: Path) -> Path:
    """A run's folder with fresh weights, and its split."""
    job = small_jobs[0]
    split = job.split(small_set)
    (tmp_path / "runs/splits").mkdir(parents=True)
    split.save(tmp_path / f"runs/splits/{split.digest}.json")
    network = models.build(job.config.model, width=8)
    with torch.no_grad():
        network(torch.rand(4, 3, SIDE, SIDE))  # running means and variances that are not those of a fresh network
    info = WeightsInfo(
        run=job.name, model=job.config.model, width=8, epoch=1, validation_dice=0.5, averaged=True,
        data_digest=small_set.digest, split_digest=split.digest,
    )  # fmt: skip
    (tmp_path / "runs" / job.name).mkdir()
    checkpoint.save_weights(tmp_path / "runs" / job.name, network.state_dict(), info)
    return tmp_path / "runs" / job.name


@pytest.fixture
def bundle(run: Path, tmp_path: Path) -> Path:
    """A bundle's folder, in which no weights lie, with the halves of the run beside it."""
    folder = tmp_path / "shipped/net"
    folder.mkdir(parents=True)
    assert command.main(["halve", str(run), str(folder)]) == 0
    return folder


def test_halves_take_half_of_the_bytes_and_give_the_same_network(run: Path, bundle: Path) -> None:
    whole, half = run / "best.safetensors", bundle.with_suffix(".safetensors")
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    (first, info), (second, told) = checkpoint.load_network(run), checkpoint.load_network(bundle)
    assert (told.run, told.epoch, told.split_digest) == (info.run, info.epoch, info.split_digest)
    image = torch.rand(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        assert torch.allclose(first(image), second(image), atol=1e-2)
    means = {name: tensor for name, tensor in first.state_dict().items() if "running_" in name}
    assert means
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in means.items())


def test_the_split_beside_them_says_who_was_seen(small_set: DataSet, small_jobs: tuple[Job, ...], bundle: Path) -> None:
    split = small_jobs[0].split(small_set)
    other = replace(split, train=split.validation, validation=split.train)
    assert require_unseen(bundle, small_set.digest, split.digest, split)
    with pytest.raises(LeakageError, match="validation now, train then"):
        require_unseen(bundle, small_set.digest, split.digest, other)


def test_a_number_beyond_half_precision_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, info = checkpoint.load_weights(run)
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point() and "running_" not in name)
    weights[name].view(-1)[0] = 1e6
    checkpoint.save_weights(run, weights, info)
    assert command.main(["halve", str(run), str(tmp_path / "out")]) == 2
    assert name in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_a_folder_with_weights_of_its_own_goes_before_those_beside_it(run: Path, bundle: Path) -> None:
    weights, info = checkpoint.load_weights(run)
    checkpoint.save_weights(bundle, weights, info)
    loaded = checkpoint.load_weights(bundle)[0]
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in weights.items())


def test_damaged_halves_are_refused(bundle: Path) -> None:
    file = bundle.with_suffix(".safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load_weights(bundle)
