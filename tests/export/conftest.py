"""A small study on phantom patients, and the bundle that the command makes of its best run, once for all tests."""

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
from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.graphs.fine_tune import TuneConfig
from brainseg_train import cli as train_cli
from brainseg_train import models
from brainseg_train.models.pipeline import InferencePipeline
from brainseg_train.phantom.patients import write_phantom

STUDY = ["--preset", "quick", "--width", "4", "--epochs", "3", "--models", "unet,deeplab", "--threads", "1"]
"""Arguments of the small study: two networks, seconds."""


TUNING_STEPS = 3
"""Of fine-tuning: enough to see that it is done, recorded and judged."""


@dataclass(frozen=True)
class Exported:
    """What `brainseg-export --best` left."""

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
    with pytest.raises(SystemExit) as ended:
        train_cli.main(["all", "--data", str(phantom), "--runs", str(folder), "--workers", "1", *STUDY])
    assert ended.value.code == 0
    return folder


@pytest.fixture(scope="session")
def exported(runs: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The bundle of the study's best run."""
    out = tmp_path_factory.mktemp("bundles")
    report = out / "report.json"
    defaults = TuneConfig.__init__.__kwdefaults__
    assert defaults is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "steps", TUNING_STEPS)
        assert (
            run_export(
                "--best", "--fp16", "--qat", "--runs", str(runs), "--out", str(out / "made"), "--json", str(report)
            )
            == 0
        )
    told = json.loads(report.read_text(encoding="utf-8"))
    return Exported(runs=runs, data=phantom, bundle=Path(told["bundles"][0]["path"]), report=told)
