"""A campaign from its beginning to its tables, on generated patients and the processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from brainseg_train import checkpoint
from brainseg_train.data.dataset import DataSet
from brainseg_train.data.head_maps import open_or_make
from brainseg_train.learning.device import Placement
from experiments import __main__ as command
from experiments import campaign
from experiments.cases import Cases
from experiments.folder import Folder
from experiments.job import Job
from experiments.keep import keep_run
from experiments.packed import pack
from experiments.resident import OnDevice, Resident

CPU = torch.device("cpu")
PLACEMENT = Placement(device=CPU, precision="fp32", channels_last=True)


@pytest.fixture(autouse=True)
def plan(small_jobs: tuple[Job, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of `small_jobs` in the place of those that ship."""
    monkeypatch.setattr(campaign, "campaign", lambda *_, **__: small_jobs)


def test_a_campaign_trains_and_measures_every_run_and_a_second_call_does_nothing(
    small_set: DataSet,
    small_jobs: tuple[Job, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = [job for job in small_jobs if job.config.model == "unet"]
    monkeypatch.setattr(campaign, "campaign", lambda *_, **__: jobs)
    pack(small_set, tmp_path / "set.npz")
    out = tmp_path / "out"
    words = ["run", "--data", str(tmp_path / "set.npz"), "--out", str(out), "--budget", "10m", "--device", "cpu"]
    assert command.main(words) == 0
    results = Folder(out).results()
    assert list(results) == [job.name for job in jobs]
    assert all(set(results[job.name]["patients"]) == job.held for job in jobs)
    assert all(len(scores) == len(line["patients"]) for line in results.values() for scores in line["cases"].values())
    before = (out / "results.jsonl").stat().st_mtime_ns
    assert command.main(words) == 0
    assert (out / "results.jsonl").stat().st_mtime_ns == before
    assert capsys.readouterr().err == 2 * f"runs done: {len(jobs)}; all runs are done\n"
    assert command.main(["table", str(out)]) == 0
    assert "| `unet` | 10 |" in capsys.readouterr().out


def test_a_campaign_that_was_cut_goes_on_where_it_ended(
    small_set: DataSet, small_jobs: tuple[Job, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "campaign", lambda *_, **__: small_jobs[:2])
    assert not campaign.run(small_set, tmp_path / "cut", seconds=0.0, device=CPU)
    assert Folder(tmp_path / "cut").results() == {}
    assert campaign.run(small_set, tmp_path / "cut", seconds=600.0, device=CPU)
    assert campaign.run(small_set, tmp_path / "whole", seconds=600.0, device=CPU)
    cut, whole = (Folder(tmp_path / name) for name in ("cut", "whole"))
    assert cut.results() == whole.results()
    for job in small_jobs[:2]:
        one, other = (checkpoint.load_weights(folder.runs / job.name)[0] for folder in (cut, whole))
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_budget_that_ends_early_says_that_more_is_left(
    small_set: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack(small_set, tmp_path / "set.npz")
    words = ["--data", str(tmp_path / "set.npz"), "--out", str(tmp_path / "out"), "--budget", "0.001s"]
    assert command.main(["run", *words, "--device", "cpu"]) == 1
    assert capsys.readouterr().err == "runs done: 0; the budget has ended, and the same command goes on\n"


def test_the_perfect_network_scores_one(small_set: DataSet, small_jobs: tuple[Job, ...]) -> None:
    class Truth(torch.nn.Module):
        """Logits from the mask that lies in the image's first channel."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :1] - 0.5

    cases = Cases(small_set, open_or_make(small_set), small_jobs[0], PLACEMENT)
    _, masks = cases._pairs["as it is"]
    cases._pairs = {"as it is": (masks.expand(-1, 3, -1, -1), masks)}
    measured = cases.measure(Truth())
    assert measured["cases"]["as it is"] == [1.0] * len(small_jobs[0].held)
    assert min(measured["native"]) > 0.95


def test_a_kept_run_is_one_of_the_product(small_set: DataSet, small_jobs: tuple[Job, ...], tmp_path: Path) -> None:
    job = small_jobs[0]
    resident = Resident(job, OnDevice(small_set, open_or_make(small_set), CPU))
    resident.advance(resident.total)
    folder = Folder(tmp_path)
    record = keep_run(folder, job, small_set, resident.weights(), PLACEMENT, seconds=1.0)
    network, info = checkpoint.load_network(folder.runs / job.name)
    kept = network.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in resident.weights().items())
    assert info.epoch == record.epochs == job.config.epochs


@pytest.mark.parametrize("text", ["", "12", "m", "-3m", "nanm", "infs", "0s"])
def test_a_budget_without_sense_ends_with_usage(text: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["run", "--data", str(tmp_path), "--out", str(tmp_path), "--budget", text])
    assert ended.value.code == 2


def test_a_sheet_is_a_picture_of_heads(small_set: DataSet, tmp_path: Path) -> None:
    pack(small_set, tmp_path / "set.npz")
    assert command.main(["sheet", str(tmp_path / "set.npz"), str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
