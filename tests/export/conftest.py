"""A small study on phantom patients, and the bundle of its best run, made once for all tests."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from brainseg_export.cli import main
from brainseg_export.export import Options, Result, export
from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.sources import run_choice
from brainseg_export.sources.patients import open_dataset
from brainseg_runtime.terminal.console import Console
from brainseg_train import models
from brainseg_train.models.pipeline import InferencePipeline
from brainseg_train.phantom.patients import write_phantom
from tests.train.studies import run_command, tiny


@dataclass(frozen=True)
class Exported:
    """A study, its data, and what `brainseg-export --best` made of it."""

    runs: Path
    data: Path
    bundle: Path
    report: dict[str, Any]
    """Its JSON."""


def run_export(*arguments: str) -> int:
    """The exit code of `brainseg-export` in this process."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def export_best(runs: Path, data: Path, out: Path, options: Options) -> Result:
    """Export the study's best run with options that the command does not have."""
    chosen = run_choice.best(runs)
    dataset = open_dataset(data, digest=chosen.info.data_digest, cache=None)
    return export(chosen, dataset, out / chosen.model, options, Console(None))


def tiny_network(name: str = "unet", *, width: int = 2, seed: int = 0) -> nn.Module:
    """A network with random weights whose normalisation has seen images, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.build(name, width=width).train()
        with torch.no_grad():
            for _ in range(3):
                network(torch.rand(4, 3, 128, 128))
    return network.eval()


@functools.cache
def tiny_graph(name: str) -> Graph:
    """The graph of a tiny network of width 4, written once for all tests: translation takes seconds."""
    pipeline = InferencePipeline(tiny_network(name, width=4)).eval()
    return convert(pipeline, name="model.onnx", metadata={"a": "b"})


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drawn patients of five or six slices of 64×64: three of them choose."""
    return write_phantom(tmp_path_factory.mktemp("data") / "patients", patients=20, seed=3, slices=(5, 6), side=64)


@pytest.fixture(scope="session")
def runs(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a finished study of two networks."""
    folder = tmp_path_factory.mktemp("runs")
    arguments = tiny(phantom, folder, "--width", "4", "--epochs", "3", "--models", "unet,deeplab")
    assert run_command("all", *arguments) == 0
    return folder


@pytest.fixture(scope="session")
def exported(runs: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The bundle of the study's best run."""
    out = tmp_path_factory.mktemp("bundles")
    report = out / "report.json"
    assert run_export("--best", "--runs", str(runs), "--out", str(out / "made"), "--json", str(report)) == 0
    told = json.loads(report.read_text(encoding="utf-8"))
    return Exported(runs=runs, data=phantom, bundle=Path(told["bundles"][0]["path"]), report=told)
