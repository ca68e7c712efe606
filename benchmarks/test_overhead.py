"""What the runtime adds: to a bare session, by work in the graph, and by verifying at load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch

from benchmarks.machine import cores
from benchmarks.record import Label, label
from brainseg_runtime import Segmenter
from brainseg_runtime.engine import _options
from brainseg_train.models import NAMES, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "resunet"
IMAGE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def _session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session with the very options that the runtime gives its own, so that what differs is the runtime alone."""
    return onnxruntime.InferenceSession(
        model.read_bytes(), _options("cpu", threads), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("threads", sorted({1, cores()}))
def test_bare_session(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], threads: int) -> None:
    session = _session(bundle(NETWORK) / "model.onnx", threads)
    benchmark(session.run, ["mask", "probability"], {"image": IMAGE[None]})
    case: dict[str, str | int] = {"network": NETWORK, "threads": threads}
    label(benchmark, Label(table="overhead", way="bare session.run", case=case, reference=True))


@pytest.mark.parametrize("threads", sorted({1, cores()}))
def test_predict(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], threads: int) -> None:
    segmenter = Segmenter.load(bundle(NETWORK), provider="cpu", variant="fp32", threads=threads)
    benchmark(segmenter.predict, IMAGE)
    case: dict[str, str | int] = {"network": NETWORK, "threads": threads}
    label(benchmark, Label(table="overhead", way="Segmenter.predict", case=case))


@pytest.mark.parametrize("network", NAMES)
def test_network_alone(benchmark: BenchmarkFixture, network: str, tmp_path: Path) -> None:
    session = _session(_bare_network(network, tmp_path), 1)
    pixels = np.random.default_rng(0).random((1, 3, 128, 128), dtype=np.float32)
    benchmark(session.run, None, {"pixels": pixels})
    label(benchmark, Label(table="in the graph", way="network alone", case={"network": network}, reference=True))


@pytest.mark.parametrize("network", NAMES)
def test_whole_graph(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], network: str) -> None:
    session = _session(bundle(network) / "model.onnx", 1)
    benchmark(session.run, ["mask", "probability"], {"image": IMAGE[None]})
    label(benchmark, Label(table="in the graph", way="shipped graph", case={"network": network}))


def test_load_bare(benchmark: BenchmarkFixture, bundle: Callable[[str], Path]) -> None:
    benchmark.pedantic(_session, (bundle(NETWORK) / "model.onnx", 1), rounds=15, warmup_rounds=2)
    label(benchmark, Label(table="verification", way="bare session", case={"network": NETWORK}, reference=True))


def test_load_verified(benchmark: BenchmarkFixture, bundle: Callable[[str], Path]) -> None:
    options = {"provider": "cpu", "variant": "fp32", "threads": 1}
    benchmark.pedantic(Segmenter.load, (bundle(NETWORK),), options, rounds=15, warmup_rounds=2)
    label(benchmark, Label(table="verification", way="Segmenter.load", case={"network": NETWORK}))


def _bare_network(name: str, folder: Path) -> Path:
    """A network without anything around it, folded by onnxruntime as the shipped one is by the export."""
    torch.manual_seed(0)
    path = folder / f"{name}.onnx"
    example = (torch.zeros(1, 3, 128, 128),)
    torch.onnx.export(
        build(name).eval(), example, path, dynamo=True, input_names=["pixels"], external_data=False, verbose=False
    )
    return path
