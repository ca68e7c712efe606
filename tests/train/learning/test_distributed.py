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
from tests.train.distributed_worker import CONFIG, global_batch, loss_and_gradient

ROOT = Path(__file__).parents[3]
_PATIENCE_S = 120.0


def _launch(part: str, folder: Path) -> Path:
    """The folder that two processes under torchrun left."""
    if not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    worker = ["-m", "tests.train.distributed_worker", part, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, *worker], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, told = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its workers when asked politely, and leaves them when killed
            raise
    assert process.returncode == 0, told
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by two processes, and what each of them returned."""
    return _launch("fit", tmp_path_factory.mktemp("trained"))


def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    two = safetensors.torch.load_file(_launch("gradient", tmp_path) / "gradient.safetensors")
    one = loss_and_gradient(Group())
    assert two.keys() == one.keys()
    for name, tensor in one.items():
        assert torch.allclose(two[name], tensor, rtol=1e-4, atol=1e-4 * float(tensor.abs().max())), name


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


def test_shares_are_equal_and_cover_the_batch() -> None:
    batch = torch.arange(9)
    shares = [Group(rank=rank, size=3).local(batch) for rank in range(3)]
    assert torch.cat(shares).sort().values.tolist() == list(range(9))
    assert {len(share) for share in shares} == {3}
    assert len(Group(rank=1, size=2).local(batch)) == 4
