"""Seconds of the export's steps for one network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.bundles import graphs, pipeline, slices
from benchmarks.record import Label, label
from brainseg_export.evidence import parity
from brainseg_export.evidence.predictors import predictor
from brainseg_export.graphs import quantize
from brainseg_export.graphs.convert import Graph, convert

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "resunet"


def _tell(benchmark: BenchmarkFixture, step: str) -> None:
    label(benchmark, Label(table="export", way=step, case={"network": NETWORK}))


def test_convert(benchmark: BenchmarkFixture) -> None:
    graph = benchmark.pedantic(convert, (pipeline(NETWORK),), {"name": "model.onnx", "metadata": {}}, rounds=3)
    assert graph.data
    _tell(benchmark, "convert")


def test_quantize(benchmark: BenchmarkFixture) -> None:
    """Eight slices watched, one calibration."""
    fp32 = graphs(NETWORK)["fp32"]

    def run() -> Graph:
        return quantize.quantize(fp32, quantize.observe(fp32, slices()), "minmax", name="model.int8.onnx")

    assert len(benchmark.pedantic(run, rounds=3).data) < len(fp32.data)
    _tell(benchmark, "watch 8 slices and quantise")


def test_parity(benchmark: BenchmarkFixture) -> None:
    """Thirty-two slices through PyTorch and through the graph, compared."""
    images = np.concatenate(slices() * 4)
    expected, graph = parity.reference(pipeline(NETWORK)), predictor(graphs(NETWORK)["fp32"], "cpu")

    def run() -> parity.Agreement:
        return parity.compare(expected(images), graph(images), threshold=0.5)

    assert benchmark.pedantic(run, rounds=3).within(parity.LIMIT)
    _tell(benchmark, "compare 32 slices with PyTorch")
