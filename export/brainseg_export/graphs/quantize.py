"""Static quantisation: the network in 8-bit integers, everything around it in float.

Activations become uint8 with one scale per tensor, weights int8 with one scale per output channel, as pairs of
QuantizeLinear and DequantizeLinear (QDQ), which engines fuse into integer operators. Weights use 7 of their 8 bits:
processors without VNNI add two products in 16 bits, and with the eighth bit that sum saturates silently.

The values of every activation are observed once on training slices and turned into a range in three ways:

    minmax       everything that was seen
    percentile   all but the outermost values, which gives the others finer steps
    entropy      the limit at which the quantised distribution is closest to the observed one (Kullback-Leibler)

Source of the last: Migacz, 8-bit Inference with TensorRT, GTC 2017; for a tensor of both signs the same on magnitudes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from brainseg_export.errors import QuantizationError
from brainseg_export.graphs.convert import Graph, write
from brainseg_runtime.contract import CONTRACT

Method = Literal["minmax", "percentile", "entropy"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

BINS: Final = 2048
"""Resolution of the observed distributions: eight bins for each of the 256 quantised levels."""

TAIL: Final = 1e-4
"""Fraction of the values that `percentile` leaves outside, on either side."""

_LEVELS: Final = 256
_STEP: Final = 16  # bins between two limits that `entropy` tries: 1/128 of the range

_OPTIONS: Final = {"QDQKeepRemovableActivations": False, "DedicatedQDQPair": False}


@dataclass(kw_only=True)
class Observation:
    """The values that an activation took."""

    low: float
    high: float
    counts: NDArray[np.int64]
    """(BINS,) number of values in each equal part of [low, high]."""


def observe(graph: Graph, images: Sequence[NDArray[np.uint8]]) -> dict[str, Observation]:
    """Observe every activation of the network over some slices.

    Args:
        graph: In fp32.
        images: Batches (N, H, W, 3) uint8, of training patients.

    Returns:
        Observations by name of the tensor.

    Raises:
        QuantizationError: There are no slices, or an activation is not finite.
    """
    if not images:
        raise QuantizationError("no slices to observe activations on", expected="at least one slice", got="none")
    model = onnx.load_model_from_string(graph.data)
    names = _activations(model)
    wanted = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in wanted)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def passes() -> Iterable[tuple[str, NDArray[np.float32]]]:
        for batch in images:
            yield from zip(names, session.run(names, {CONTRACT.input.name: batch}), strict=True)

    limits = _limits(passes())
    seen = {
        name: Observation(low=low, high=high, counts=np.zeros(BINS, np.int64)) for name, (low, high) in limits.items()
    }
    for name, values in passes():
        seen[name].counts += _histogram(values, seen[name].low, seen[name].high)
    return seen


def quantize(graph: Graph, observations: Mapping[str, Observation], method: Method, *, name: str) -> Graph:
    """The same graph with its network in integers.

    Args:
        graph: In fp32.
        observations: Of its activations, from `observe`.
        method: How observations become ranges.
        name: File name in the bundle.

    Returns:
        The quantised graph, audited.

    Raises:
        AuditError: The result breaks a rule.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph.data))
    pixels = network_nodes(model)[0].input[0]
    ranges = {tensor: clip(seen, method) for tensor, seen in observations.items()}
    ranges[pixels] = clip(observations[pixels], "minmax")  # whatever the method: pixels are never clipped
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=_tensors_data(ranges),
        nodes_to_quantize=[node.name for node in network_nodes(model)],
        nodes_to_exclude=[],
        op_types_to_quantize=sorted({node.op_type for node in network_nodes(model)}),
        extra_options=dict(_OPTIONS),
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result = quantizer.model.model
    _keep_logits_in_float(result)
    return write(result, name=name, metadata={"precision": "int8", "calibration": method})


def network_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes on a path from the first convolution to the last, both included: the network itself."""
    producer = {output: node for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    reached = set(convolutions[0].output)
    after = [convolutions[0].name]
    for node in model.graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            after.append(node.name)
    before: set[str] = set()
    waiting = [convolutions[-1]]
    while waiting:
        node = waiting.pop()
        if node.name not in before:
            before.add(node.name)
            waiting += [producer[name] for name in node.input if name in producer]
    return [node for node in model.graph.node if node.name in before.intersection(after)]


def clip(seen: Observation, method: Method) -> tuple[float, float]:
    """The range of an activation; zero lies in it.

    >>> clip(Observation(low=0.5, high=2.0, counts=np.ones(BINS, np.int64)), "minmax")
    (0.0, 2.0)
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if method == "minmax" or seen.low == seen.high:
        return low, high
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    if method == "percentile":
        below = np.cumsum(seen.counts) / seen.counts.sum()
        first = int(np.searchsorted(below, TAIL, side="right"))
        last = int(np.searchsorted(below, 1 - TAIL, side="left"))
        return min(float(edges[first]), 0.0), max(float(edges[last + 1]), 0.0)
    magnitude = _entropy_limit(*_magnitudes(seen, edges))
    return max(low, -magnitude), min(high, magnitude)


def _magnitudes(seen: Observation, edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The distribution of absolute values in BINS equal parts from 0, and the largest of them."""
    top = max(abs(seen.low), abs(seen.high))
    centres = np.abs(edges[:-1] + edges[1:]) / 2
    index = np.minimum((centres / top * BINS).astype(np.int64), BINS - 1)
    return np.bincount(index, seen.counts, BINS).astype(np.float64), top


def _entropy_limit(counts: NDArray[np.float64], top: float) -> float:
    """The limit at which values that are clipped to it and quantised diverge least from the values themselves."""
    counts = counts.copy()
    counts[0] = counts[1]  # zeros, most of what a rectified activation holds, are exact at any scale
    best, limit = np.inf, BINS
    for bins in range(_LEVELS, BINS + 1, _STEP):
        reference = counts[:bins].copy()
        reference[-1] += counts[bins:].sum()
        divergence = _divergence(reference, _quantised(counts[:bins]))
        if divergence < best:
            best, limit = divergence, bins
    return top * limit / BINS


def _quantised(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """A distribution after rounding to 256 levels, spread again over the bins that were not empty."""
    starts = (np.arange(_LEVELS) * len(counts)) // _LEVELS
    filled = counts > 0
    totals, places = np.add.reduceat(counts, starts), np.add.reduceat(filled.astype(np.float64), starts)
    mean = np.divide(totals, places, out=np.zeros_like(totals), where=places > 0)
    return np.where(filled, np.repeat(mean, np.diff([*starts, len(counts)])), 0.0)


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence of two unnormalised distributions; where q is 0, a small probability is assumed."""
    p, q = p / max(p.sum(), 1.0), np.maximum(q / max(q.sum(), 1.0), 1e-9)
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / q[some])))


def _activations(model: onnx.ModelProto) -> list[str]:
    """The float tensors that go into and out of the network's nodes, without weights."""
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = network_nodes(model)
    names = [nodes[0].input[0], *(name for node in nodes for name in node.output)]
    return [name for name in dict.fromkeys(names) if name not in constants]


def _limits(values: Iterable[tuple[str, NDArray[np.float32]]]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value by name."""
    limits: dict[str, tuple[float, float]] = {}
    for name, array in values:
        low, high = limits.get(name, (np.inf, -np.inf))
        limits[name] = min(low, float(array.min())), max(high, float(array.max()))
    wild = [name for name, pair in limits.items() if not np.isfinite(pair).all()]
    if wild:
        raise QuantizationError("an activation is not finite", expected="finite numbers", got=wild[0])
    return limits


def _histogram(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.int64]:
    """Counts in BINS equal parts of [low, high]."""
    scale = BINS / (high - low) if high > low else 0.0
    index = ((values.ravel() - np.float32(low)) * np.float32(scale)).astype(np.int32)
    return np.bincount(np.minimum(index, BINS - 1), minlength=BINS)


def _tensors_data(ranges: Mapping[str, tuple[float, float]]) -> Any:  # noqa: ANN401 - a class without types
    """Ranges in the form that the quantiser takes."""
    data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    return TensorsData(CalibrationMethod.MinMax, data)


def _keep_logits_in_float(model: onnx.ModelProto) -> None:
    """Remove, in place, the rounding of the last convolution's output: 256 levels are too few for a probability."""
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    readers = {name: node for node in model.graph.node for name in node.input}
    name = last.output[0]
    rounding = readers[name]
    if rounding.op_type != "QuantizeLinear":
        return
    restoring = readers[rounding.output[0]]
    for node in model.graph.node:
        for index, source in enumerate(node.input):
            if source == restoring.output[0]:
                node.input[index] = name
    model.graph.node.remove(rounding)
    model.graph.node.remove(restoring)
    used = {source for node in model.graph.node for source in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)
