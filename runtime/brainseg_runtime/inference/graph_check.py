"""What a model file may hold, checked on its bytes before onnxruntime reads them.

A graph here is one flat list of standard operators with all its numbers inside. Functions are refused because nested
calls grow exponentially when they are inlined (sixteen levels took onnxruntime 55 s), subgraphs because a loop may not
end, other domains and operators because they run other code, external data because it names other files, and constants
that are larger than the file because memory would be allocated for them.

The file is protobuf; only its structure is walked, numbers are skipped by their length. Fields that onnx.proto does not
name, or that occur twice where one is allowed, are refused too: two readers could understand them differently.

Source: onnx.proto3 of ONNX 1.19 (field numbers beside their names) and the Protocol Buffers encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from brainseg_runtime.errors import ContractError

_AROUND: Final = (
    "Abs Add Cast Clip Concat Constant Div Exp Expand Gather GreaterOrEqual Identity Log MatMul Max Min Mul Neg Pow "
    "Range ReduceMax ReduceSum Reshape Shape Sigmoid Slice Sqrt Squeeze Sub Transpose Unsqueeze Where"
)
_NETWORK: Final = "AveragePool Conv DepthToSpace GlobalAveragePool MaxPool ReduceMean Relu Resize Softmax Tanh"
_INTEGERS: Final = "DequantizeLinear QuantizeLinear"

OPERATORS: Final = frozenset(f"{_AROUND} {_NETWORK} {_INTEGERS}".split())
"""The operators that segmentation networks of this kind consist of; none calls, loops or reads files."""

MAX_NODES: Final = 4_096
"""Most nodes; the largest shipped graph has 400."""

MAX_TENSORS: Final = 16_384
"""Most constants; the largest shipped graph has 500."""

MAX_FIELDS: Final = 1 << 18
"""Most fields that are walked, which takes a tenth of a second; the largest shipped graph has 6,000."""

_STANDARD: Final = frozenset({b"", b"ai.onnx"})

# Fields by message: those that are known, those that must not occur, and those that may occur several times.
_MODEL: Final = {1: "ir_version", 2: "producer_name", 3: "producer_version", 4: "domain", 5: "model_version"} | {
    6: "doc_string", 7: "graph", 8: "opset_import", 14: "metadata_props",
}  # fmt: skip
_GRAPH: Final = {1: "node", 2: "name", 5: "initializer", 10: "doc_string", 11: "input", 12: "output"} | {
    13: "value_info", 16: "metadata_props",
}  # fmt: skip
_NODE: Final = {1: "input", 2: "output", 3: "name", 4: "op_type", 5: "attribute", 6: "doc_string", 7: "domain"} | {
    9: "metadata_props",
}  # fmt: skip
_ATTRIBUTE: Final = {1: "name", 2: "f", 3: "i", 4: "s", 5: "t", 7: "floats", 8: "ints", 9: "strings"} | {
    13: "doc_string", 20: "type",
}  # fmt: skip
_TENSOR: Final = {1: "dims", 2: "data_type", 4: "float_data", 5: "int32_data", 7: "int64_data", 8: "name"} | {
    9: "raw_data", 10: "double_data", 11: "uint64_data", 12: "doc_string",
}  # fmt: skip
_OPSET: Final = {1: "domain", 2: "version"}
_VALUE: Final = {1: "name", 2: "type", 3: "doc_string", 4: "metadata_props"}
_TYPE: Final = {1: "tensor_type", 6: "denotation"}
_TENSOR_TYPE: Final = {1: "elem_type", 2: "shape"}
_SHAPE: Final = {1: "dim"}
_DIM: Final = {1: "dim_value", 2: "dim_param", 3: "denotation"}
_NEVER: Final = {("model", 20): "training steps", ("model", 25): "functions", ("graph", 15): "sparse constants"} | {
    ("attribute", 6): "a subgraph", ("attribute", 11): "subgraphs", ("attribute", 22): "a sparse constant",
    ("tensor", 6): "text", ("tensor", 13): "data in another file", ("tensor", 14): "data in another file",
}  # fmt: skip
_REPEATED: Final = frozenset(
    {"opset_import", "metadata_props", "node", "initializer", "input", "output", "value_info", "attribute", "dim"}
    | {"floats", "ints", "strings", "dims", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"}
)

_KINDS: Final = MappingProxyType({1: "tensor(float)", 2: "tensor(uint8)"})
"""Types of the contract's tensors, as onnxruntime writes them."""

Field = tuple[str, "int | memoryview"]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """An input or output as a model declares it."""

    name: str
    kind: str
    """Its type as onnxruntime writes it, such as ``tensor(uint8)``."""
    axes: tuple[int | str, ...]
    """Length or name of each axis; an axis with neither has the empty name."""


def check_model(data: bytes) -> tuple[Declared, ...]:
    """Refuse a model file that holds anything but a flat graph of standard operators with its numbers inside.

    Args:
        data: The file.

    Returns:
        Its inputs, then its outputs.

    Raises:
        ContractError: It holds something else, or is not a model.
    """
    walk = _Walk()
    walk.model(memoryview(data))
    return (*walk.inputs, *walk.outputs)


class _Walk:
    """One walk over a file, which counts its fields, nodes and tensors."""

    def __init__(self) -> None:
        self.left = MAX_FIELDS
        self.nodes = 0
        self.tensors = 0
        self.inputs: list[Declared] = []
        self.outputs: list[Declared] = []

    def model(self, data: memoryview) -> None:
        graphs = 0
        for name, value in self.fields(data, "model", _MODEL):
            if name == "graph":
                graphs += 1
                self.graph(_message(value, name))
            elif name == "opset_import":
                self.opset(_message(value, name))
        if not graphs:
            raise _refused("no graph")

    def opset(self, data: memoryview) -> None:
        for name, value in self.fields(data, "opset_import", _OPSET):
            if name == "domain" and bytes(_message(value, name)) not in _STANDARD:
                raise _refused(f"operators of {bytes(_message(value, name))[:60]!r}")

    def graph(self, data: memoryview) -> None:
        for name, value in self.fields(data, "graph", _GRAPH):
            if name == "node":
                self.node(_message(value, name))
            elif name == "initializer":
                self.tensor(_message(value, name))
            elif name in {"input", "output"}:
                (self.inputs if name == "input" else self.outputs).append(self.declared(_message(value, name)))

    def declared(self, data: memoryview) -> Declared:
        value = dict(self.fields(data, "value", _VALUE))
        kind = dict(self.fields(_part(value, "type"), "type", _TYPE))
        tensor = dict(self.fields(_part(kind, "tensor_type"), "tensor_type", _TENSOR_TYPE))
        number = tensor.get("elem_type", 0)
        axes = [self.axis(_message(axis, name)) for name, axis in self.fields(_part(tensor, "shape"), "shape", _SHAPE)]
        known = _KINDS.get(number) if isinstance(number, int) else None
        return Declared(name=_text(value, "name"), kind=known or f"type {number!s:.20}", axes=tuple(axes))

    def axis(self, data: memoryview) -> int | str:
        axis = dict(self.fields(data, "dim", _DIM))
        length = axis.get("dim_value")
        if isinstance(length, int):
            return length
        return _text(axis, "dim_param")

    def node(self, data: memoryview) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _refused(f"more than {MAX_NODES} nodes")
        operator = ""
        for name, value in self.fields(data, "node", _NODE):
            if name == "op_type":
                operator = bytes(_message(value, name)).decode("ascii", "backslashreplace")
            elif name == "domain" and bytes(_message(value, name)) not in _STANDARD:
                raise _refused(f"an operator of {bytes(_message(value, name))[:60]!r}")
            elif name == "attribute":
                self.attribute(_message(value, name))
        if operator not in OPERATORS:
            raise _refused(f"operator {operator[:60]!r}")

    def attribute(self, data: memoryview) -> None:
        for name, value in self.fields(data, "attribute", _ATTRIBUTE):
            if name == "t":
                self.tensor(_message(value, name))

    def tensor(self, data: memoryview) -> None:
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise _refused(f"more than {MAX_TENSORS} constants")
        count = 1
        for name, value in self.fields(data, "tensor", _TENSOR):
            if name == "dims":
                for length in [value] if isinstance(value, int) else _packed(value):
                    count *= length
        # A number takes at least half a byte; a larger shape claims numbers that the file does not hold.
        if count > 2 * len(data):
            raise _refused(f"a constant of {count:,} numbers in {len(data):,} bytes")

    def fields(self, data: memoryview, where: str, known: dict[int, str]) -> Iterator[Field]:
        """Fields of a message by name."""
        seen: set[str] = set()
        at, end = 0, len(data)
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise _refused(f"more than {MAX_FIELDS} fields")
            key, at = _varint(data, at)
            name = known.get(key >> 3)
            if name is None:
                raise _refused(_NEVER.get((where, key >> 3), f"field {key >> 3} of the {where}"))
            if name in seen and name not in _REPEATED:
                raise _refused(f"{name} twice in a {where}")
            seen.add(name)
            value, at = _value(data, at, key & 7)
            yield name, value


def _value(data: memoryview, at: int, wire: int) -> tuple[int | memoryview, int]:
    """One value and where it ends."""
    if wire == 0:
        return _varint(data, at)
    if wire in {1, 5}:
        size = 8 if wire == 1 else 4
    elif wire == 2:
        size, at = _varint(data, at)
    else:
        raise _refused(f"wire type {wire}")
    if size > len(data) - at:
        raise _refused("a field that ends beyond the file")
    return data[at : at + size], at + size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A base-128 number and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _refused("a number without end")


def _packed(data: memoryview) -> Iterator[int]:
    """Numbers one after the other in one field, as a shape has them."""
    at = 0
    while at < len(data):
        if at > 80:
            raise _refused("a shape of more than eight axes")
        value, at = _varint(data, at)
        yield value


def _message(value: int | memoryview, name: str) -> memoryview:
    """A value that must be bytes."""
    if isinstance(value, int):
        raise _refused(f"{name} as a number")
    return value


def _part(fields: dict[str, int | memoryview], name: str) -> memoryview:
    """A message among fields; empty if it is missing."""
    return _message(fields.get(name, memoryview(b"")), name)


def _text(fields: dict[str, int | memoryview], name: str) -> str:
    """A text among fields; empty if it is missing, and printable whatever its bytes are."""
    return bytes(_part(fields, name)).decode("utf-8", "backslashreplace")


def _refused(got: str) -> ContractError:
    return ContractError(
        "the model is refused before it is loaded",
        expected="a flat graph of standard operators with all its numbers inside",
        got=got,
        remedy="use a bundle that brainseg-export made",
    )
