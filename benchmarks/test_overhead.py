"""What the runtime adds: to a bare session, by work in the graph, and by verifying at load."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.utils import Extractor

from benchmarks.machine import cores
from benchmarks.record import Label, label
from benchmarks.turns import in_turns
from brainseg_export.graphs.quantize import network_nodes
from brainseg_runtime import Segmenter
from brainseg_runtime.inference.providers import FALLBACK
from brainseg_runtime.inference.sessions import USUAL, session_options
from brainseg_train.models import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "resunet"
IMAGE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """A session with the very options that the runtime gives its own, so that what differs is the runtime alone."""
    options = session_options(FALLBACK, threads, fixed=USUAL)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("threads", sorted({1, cores()}))
def test_bare_session(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], threads: int) -> None:
    session = _session((bundle(NETWORK) / "model.onnx").read_bytes(), threads)
    benchmark(session.run, ["mask", "probability"], {"image": IMAGE[None]})
    case: dict[str, str | int] = {"network": NETWORK, "threads": threads}
    label(benchmark, Label(table="overhead", way="bare session.run", case=case, reference=True))


@pytest.mark.parametrize("threads", sorted({1, cores()}))
def test_predict(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], threads: int) -> None:
    segmenter = Segmenter.load(bundle(NETWORK), provider="cpu", variant="fp32", threads=threads)
    benchmark(segmenter.predict, IMAGE)
    session = _session((bundle(NETWORK) / "model.onnx").read_bytes(), threads)
    bare = partial(session.run, ["mask", "probability"], {"image": IMAGE[None]})
    told = in_turns(bare, partial(segmenter.predict, IMAGE)) if benchmark.enabled else {}
    case: dict[str, str | int] = {"network": NETWORK, "threads": threads}
    label(benchmark, Label(table="overhead", way="Segmenter.predict", case=case), **told)


@pytest.mark.parametrize("network", NAMES)
def test_network_alone(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], network: str) -> None:
    (quarters,) = benchmark(_network_alone(bundle(network)))
    assert quarters.shape == (1, 4, 64, 64)  # before the head shuffles them to full size
    label(benchmark, Label(table="in the graph", way="network alone", case={"network": network}, reference=True))


@pytest.mark.parametrize("network", NAMES)
def test_whole_graph(benchmark: BenchmarkFixture, bundle: Callable[[str], Path], network: str) -> None:
    session = _session((bundle(network) / "model.onnx").read_bytes(), 1)
    whole = partial(session.run, ["mask", "probability"], {"image": IMAGE[None]})
    benchmark(whole)
    told = in_turns(_network_alone(bundle(network)), whole) if benchmark.enabled else {}
    label(benchmark, Label(table="in the graph", way="shipped graph", case={"network": network}), **told)


def test_load_bare(benchmark: BenchmarkFixture, bundle: Callable[[str], Path]) -> None:
    path = bundle(NETWORK) / "model.onnx"
    benchmark.pedantic(lambda: _session(path.read_bytes(), 1), rounds=15, warmup_rounds=2)
    label(benchmark, Label(table="verification", way="bare session", case={"network": NETWORK}, reference=True))


def test_load_verified(benchmark: BenchmarkFixture, bundle: Callable[[str], Path]) -> None:
    options = {"provider": "cpu", "variant": "fp32", "threads": 1}
    benchmark.pedantic(Segmenter.load, (bundle(NETWORK),), options, rounds=15, warmup_rounds=2)
    label(benchmark, Label(table="verification", way="Segmenter.load", case={"network": NETWORK}))


def _network_alone(bundle: Path) -> Callable[[], list[NDArray[np.float32]]]:
    """A call of a bundle's network on pixels of its own size."""
    session = _session(_bare_network((bundle / "model.onnx").read_bytes()), 1)
    pixels = np.random.default_rng(0).random((1, 3, 128, 128), dtype=np.float32)
    return partial(session.run, None, {session.get_inputs()[0].name: pixels})


def _bare_network(graph: bytes) -> bytes:
    """The shipped graph's network without what surrounds it, from scaled pixels to logits."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph))
    nodes = network_nodes(model)
    taken = {name for node in nodes for name in node.input}
    (logits,) = [name for node in nodes for name in node.output if name not in taken]
    cut: onnx.ModelProto = Extractor(model).extract_model([nodes[0].input[0]], [logits])
    data: bytes = cut.SerializeToString()
    return data
