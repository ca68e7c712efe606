"""Small ONNX files made byte by byte, since the runtime's environment has no ``onnx`` to make them with.

Source: onnx.proto3; field numbers stand beside their names.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

FLOAT, UINT8 = 1, 2


def varint(value: int) -> bytes:
    """A base-128 number."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def number(field: int, value: int) -> bytes:
    """A numeric field."""
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes | str) -> bytes:
    """A field with bytes, text or a message."""
    raw = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def integer(name: str, value: int) -> bytes:
    """An integer attribute: name 1, i 3, type 20 = INT."""
    return block(5, block(1, name) + number(3, value) + number(20, 2))


def integers(name: str, values: Sequence[int]) -> bytes:
    """An integer list attribute: name 1, ints 8, type 20 = INTS."""
    return block(5, block(1, name) + b"".join(number(8, v) for v in values) + number(20, 7))


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes) -> bytes:
    """A node: input 1, output 2, op_type 4, attribute 5."""
    names = b"".join(block(1, i) for i in inputs) + b"".join(block(2, o) for o in outputs)
    return block(1, names + block(4, operator) + b"".join(attributes))


def scalar(name: str, value: float) -> bytes:
    """A float constant: data_type 2, float_data 4, name 8."""
    return block(5, number(2, FLOAT) + varint(4 << 3 | 2) + varint(4) + struct.pack("<f", value) + block(8, name))


def tensor(field: int, name: str, kind: int, axes: Sequence[str | int]) -> bytes:
    """An input (11) or output (12): name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {value, param 2}}}}."""
    dims = b"".join(block(1, number(1, a) if isinstance(a, int) else block(2, a)) for a in axes)
    return block(field, block(1, name) + block(2, block(1, number(1, kind) + block(2, dims))))


def contract_model(
    operators: Sequence[bytes],
    *,
    image: tuple[str, int, tuple[str | int, ...]] = ("image", UINT8, ("N", "H", "W", 3)),
    mask: tuple[str, int] = ("mask", UINT8),
    axes: Sequence[str | int] = ("N", "H", "W"),
) -> bytes:
    """A model whose tensors are the contract's, unless told otherwise: ir_version 1, graph 7, opset_import 8."""
    constants = scalar("scale", 1 / 255) + scalar("half", 0.5) + scalar("two", 2.0)
    tensors = tensor(11, *image) + tensor(12, *mask, axes) + tensor(12, "probability", FLOAT, axes)
    graph = b"".join(operators) + block(2, "made") + constants + tensors
    return number(1, 9) + block(7, graph) + block(8, number(2, 17))


def brightest_channel(
    *,
    last: str = "brightest",
    mask: str = "mask",
    image: tuple[str, int, tuple[str | int, ...]] = ("image", UINT8, ("N", "H", "W", 3)),
    axes: Sequence[str | int] = ("N", "H", "W"),
) -> bytes:
    """A model that takes the largest channel of each pixel, in [0, 1], for its probability.

    Args:
        last: Instead, what of it: ``doubled`` exceeds 1, ``undefined`` is no number.
        mask: Name of the mask.
        image: Name, type and axes of the image.
        axes: Of mask and probability.
    """
    return contract_model(
        [
            node("Cast", ["image"], ["pixels"], integer("to", FLOAT)),
            node("ReduceMax", ["pixels"], ["largest"], integers("axes", [3]), integer("keepdims", 0)),
            node("Mul", ["largest", "scale"], ["brightest"]),
            node("Mul", ["brightest", "two"], ["doubled"]),
            node("Sub", ["brightest", "brightest"], ["nothing"]),
            node("Div", ["nothing", "nothing"], ["undefined"]),
            node("Identity", [last], ["probability"]),
            node("GreaterOrEqual", ["brightest", "half"], ["is_tumour"]),
            node("Cast", ["is_tumour"], [mask], integer("to", UINT8)),
        ],
        image=image,
        mask=(mask, UINT8),
        axes=axes,
    )
