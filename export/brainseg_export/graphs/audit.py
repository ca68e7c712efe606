"""What a graph of a bundle may hold; anything else is refused before it is written.

A graph is one flat list of standard operators from raw pixels to mask and probability, with all its numbers inside.
Through custom operators, functions, subgraphs and external data a model file could reach other code or other files; in
doc strings and metadata of nodes, exporters leave paths of the machine that ran them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from brainseg_export.errors import AuditError
from brainseg_export.machine_paths import machine_paths, texts
from brainseg_runtime.contract import CONTRACT
from brainseg_runtime.contract import Tensor as ContractTensor
from brainseg_runtime.errors import ContractError
from brainseg_runtime.inference.graph_check import OPERATORS, check_model

OPSET: Final = 18
"""The exporter's native operator set, so nothing is converted; every engine of the last three years reads it."""

MAX_GRAPH_BYTES: Final = 256 << 20
"""Largest graph; those of the shipped networks have 14 MB."""

MAX_NODES: Final = 2_000
"""Most nodes; the largest shipped graph has 230, 390 once quantised."""

_DTYPES: Final = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an accepted graph consists of."""

    bytes: int
    nodes: int
    operators: Mapping[str, int]
    """Number of nodes by operator."""
    parameters: int
    """Numbers in the graph's initializers."""


def audit(data: bytes, *, name: str) -> Audit:
    """Accept a graph, or refuse it with everything that is wrong with it.

    Returns:
        What it consists of.

    Raises:
        AuditError: The graph breaks a rule; the error lists every finding.
    """
    if len(data) > MAX_GRAPH_BYTES:
        raise AuditError(f"{name} is refused", findings=[f"{len(data)} bytes, at most {MAX_GRAPH_BYTES} are allowed"])
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise AuditError(f"{name} is refused", findings=[f"not an ONNX model: {error}"]) from error
    findings = [
        *_findings(model),
        *_runtime_findings(data),
        *(f"path {path[:60]!r}" for text in texts(model) for path in machine_paths(text)),
    ]
    if not findings:  # the checker reads external files and trusts counts, so it comes last
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            findings.append(str(error).splitlines()[0])
    if findings:
        raise AuditError(f"{name} is refused", findings=findings[:20])
    return Audit(
        bytes=len(data),
        nodes=len(model.graph.node),
        operators=dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        parameters=sum(_size(tensor) for tensor in model.graph.initializer),
    )


def strip(model: onnx.ModelProto) -> None:
    """Remove, in place, what a graph does not need to run: doc strings, metadata of nodes, inner shapes.

    Args:
        model: Its own metadata are kept.
    """
    model.doc_string = ""
    graph = model.graph
    graph.doc_string = ""
    del graph.value_info[:], graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]


def _runtime_findings(data: bytes) -> Iterator[str]:
    """What the runtime would refuse when it loads the graph."""
    try:
        check_model(data)
    except ContractError as error:
        yield f"the runtime would refuse {error.got}"


def _findings(model: onnx.ModelProto) -> Iterator[str]:
    """Every rule that a model breaks."""
    graph = model.graph
    opsets = [(entry.domain, entry.version) for entry in model.opset_import]
    if opsets != [("", OPSET)]:
        yield f"operator sets {opsets}, expected the standard one, version {OPSET}"
    if model.functions or model.training_info or graph.sparse_initializer or graph.quantization_annotation:
        yield "functions, training steps, sparse tensors or annotations"
    if len(graph.node) > MAX_NODES:
        yield f"{len(graph.node)} nodes, at most {MAX_NODES} are allowed"
    unknown = sorted({node.op_type for node in graph.node if node.domain or node.op_type not in OPERATORS})
    if unknown:
        yield f"operators {', '.join(unknown)}"
    yield from _interface_findings(graph)
    for node in graph.node:
        yield from _node_findings(node)
    for tensor in graph.initializer:
        yield from _tensor_findings(tensor)
    described = (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer)
    if any(item.doc_string for item in described) or any(item.metadata_props for item in described[1:]):
        yield "doc strings, or metadata below the model"


def _interface_findings(graph: onnx.GraphProto) -> Iterator[str]:
    """Inputs and outputs against the contract."""
    for kind, values, wanted in (
        ("inputs", graph.input, (CONTRACT.input,)),
        ("outputs", graph.output, CONTRACT.outputs),
    ):
        got = [_described(value) for value in values]
        expected = [_expected(tensor) for tensor in wanted]
        if got != expected:
            yield f"{kind} {got}, expected {expected}"


def _expected(tensor: ContractTensor) -> tuple[str, int, tuple[str, ...]]:
    """A tensor of the contract as `_described` gives it."""
    return tensor.name, _DTYPES[tensor.dtype], tensor.shape


def _described(value: onnx.ValueInfoProto) -> tuple[str, int, tuple[str, ...]]:
    """Name, element type and axes, named or numbered."""
    tensor = value.type.tensor_type
    axes = tuple(axis.dim_param or str(axis.dim_value) for axis in tensor.shape.dim)
    return value.name, tensor.elem_type, axes


def _node_findings(node: onnx.NodeProto) -> Iterator[str]:
    """Subgraphs, and tensors within attributes."""
    for attribute in node.attribute:
        if (
            attribute.HasField("g")
            or attribute.graphs
            or attribute.ref_attr_name
            or attribute.HasField("sparse_tensor")
        ):
            yield f"a subgraph, reference or sparse tensor in {node.name}"
        for tensor in (attribute.t, *attribute.tensors):
            yield from _tensor_findings(tensor)


def _tensor_findings(tensor: onnx.TensorProto) -> Iterator[str]:
    """External data, texts, impossible sizes."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        yield f"external data of {tensor.name}"
    elif tensor.data_type == onnx.TensorProto.STRING or tensor.HasField("segment"):
        yield f"text or segments in {tensor.name}"
    elif min(tensor.dims, default=1) < 0 or _size(tensor) * 8 > MAX_GRAPH_BYTES:
        yield f"dimensions {list(tensor.dims)} of {tensor.name}"


def _size(tensor: onnx.TensorProto) -> int:
    """How many numbers a tensor claims to hold."""
    count = 1
    for length in tensor.dims:
        count *= length
    return count
