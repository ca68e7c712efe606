"""Two processes compute what one computes on the same global batch, and write one set of files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from brainseg_train.checkpoint import load_weights
from brainseg_train.learning.device import place
from brainseg_train.learning.distributed import Group
from brainseg_train.learning.learner import Learner
from brainseg_train.runs.records import load_history, load_record
from tests.train.distributed_worker import CONFIG, global_batch, learned, normalised

ROOT = Path(__file__).parents[3]
_PATIENCE_S = 120.0


def _run(part: str, folder: Path, processes: int) -> tuple[int, str]:
    """Exit code and standard error of processes under torchrun."""
    if not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    worker = ["-m", "tests.train.distributed_worker", part, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, *worker], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, told = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its workers when asked politely, and leaves them when killed
            raise
    return process.returncode, told


def _launch(part: str, folder: Path, processes: int = 2) -> Path:
    """The folder that processes under torchrun left."""
    code, told = _run(part, folder, processes)
    assert code == 0, told
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by two processes, and what each of them returned."""
    folder = tmp_path_factory.mktemp("trained")
    code, told = _run("fit", folder, 2)
    assert code == 0, told
    return folder


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, torch.Tensor]], str]:
    """What each of three processes computed in float64, and what they said when they found that they differ."""
    folder = tmp_path_factory.mktemp("computed")
    code, told = _run("compute", folder, 3)
    assert code != 0
    return [safetensors.torch.load_file(folder / f"{rank}.safetensors") for rank in range(3)], told


def test_three_processes_with_unequal_shares_learn_what_one_learns(
    computed: tuple[list[dict[str, torch.Tensor]], str],
) -> None:
    ranks, _ = computed
    one = learned(Group())
    for name, tensor in one.items():
        assert all(torch.equal(ranks[0][name], other[name]) for other in ranks[1:]), name
        # In float64, so that what is left is rounding and no other arithmetic: eight slices are added up otherwise.
        assert torch.allclose(ranks[0][name], tensor, rtol=1e-8, atol=1e-8 * float(tensor.abs().max())), name


def test_normalisation_over_processes_is_pytorch_s_over_the_whole_batch(
    computed: tuple[list[dict[str, torch.Tensor]], str],
) -> None:
    for name, whole in normalised(Group()).items():
        for rank, found in enumerate(computed[0]):
            own = whole[rank::3] if name.startswith("rows/") else whole
            assert torch.allclose(found[name], own, rtol=1e-11, atol=1e-12), (name, rank)


def test_processes_that_found_different_things_refuse_to_train(
    computed: tuple[list[dict[str, torch.Tensor]], str],
) -> None:
    assert "differ in colour" in computed[1]
    assert "rank 0: 0; rank 1: 1; rank 2: 2" in computed[1]


def test_each_half_s_own_loss_would_not_do() -> None:
    images, masks = global_batch()
    learner = Learner(CONFIG, place(CONFIG))
    learner.network.eval()
    whole = learner.backward(images, masks)
    halves = [learner.backward(images[half::2], masks[half::2]) for half in (0, 1)]
    assert abs(sum(halves) / 2 - whole) > 1e-2


def test_two_processes_write_one_run(trained: Path) -> None:
    names = sorted(path.name for path in (trained / "run").iterdir())
    assert names == [
        "best.json",
        "best.safetensors",
        "history.csv",
        "history.jsonl",
        "resume-000000008.json",
        "resume-000000008.safetensors",
        "run.json",
    ]
    record = load_record(trained / "run")
    assert (record.status, record.processes, record.epochs) == ("complete", 2, 2)
    assert [entry.slices for entry in load_history(trained / "run")] == [32, 32]
    assert load_weights(trained / "run")[1].epoch == (record.best and record.best.epoch)


def test_both_processes_return_the_same_record(trained: Path) -> None:
    first, second = ((trained / f"record-{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1))
    assert first == second
    assert first.startswith("complete")


def test_shares_cover_the_batch_and_differ_by_one_slice_at_most() -> None:
    batch = torch.arange(8)
    shares = [Group(rank=rank, size=3).local(batch) for rank in range(3)]
    assert torch.cat(shares).sort().values.tolist() == list(range(8))
    assert sorted(len(share) for share in shares) == [2, 3, 3]
