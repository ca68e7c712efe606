"""A model file is walked before onnxruntime sees it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import ContractError
from brainseg_runtime.inference.graph_check import MAX_FIELDS, check_model
from tests.runtime.onnx_bytes import block, node, number
from tests.runtime.tiny import TINY

MODEL = (TINY / "model.onnx").read_bytes()


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_the_bundles_own_graphs_pass(name: str) -> None:
    check_model((TINY / name).read_bytes())


def test_it_tells_the_tensors_that_the_file_declares() -> None:
    image, mask, probability = check_model(MODEL)
    assert (image.name, image.kind, image.axes) == ("image", "tensor(uint8)", ("N", "H", "W", 3))
    assert (mask.name, mask.kind, mask.axes) == ("mask", "tensor(uint8)", ("N", "H", "W"))
    assert (probability.name, probability.kind, probability.axes) == ("probability", "tensor(float)", ("N", "H", "W"))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "no graph"),
        (b"\xff" * 40, "number without end"),
        (MODEL[:-3], "ends beyond the file"),
        (MODEL + block(25, b""), "functions"),
        (MODEL + block(20, b""), "training steps"),
        (MODEL + block(7, b""), "graph twice"),
        (MODEL + block(99, b""), "field 99 of the model"),
        (MODEL + block(8, block(1, "com.acme")), "operators of b'com.acme'"),
        (block(7, node("Loop", [], [])), "operator 'Loop'"),
        (block(7, block(1, block(4, "Add") + block(7, "com.acme"))), "an operator of b'com.acme'"),
        (block(7, block(1, block(4, "Add") + block(5, block(6, b"")))), "a subgraph"),
        (block(7, block(11, block(2, block(4, b"")))), "field 4 of the type"),
        (block(7, block(12, block(2, number(1, 1)))), "tensor_type as a number"),
        (block(7, block(5, block(13, b""))), "data in another file"),
        (block(7, block(5, number(1, 1 << 40))), "numbers in"),
        (block(7, block(5, b"".join(number(1, 1 << 62) for _ in range(4)))), "numbers in"),
        (block(7, b"".join(node("Add", [], []) for _ in range(5_000))), "nodes"),
        (b"".join(block(14, b"") for _ in range(MAX_FIELDS + 1)), "fields"),
    ],
)
def test_what_is_no_flat_graph_of_listed_operators_is_refused(data: bytes, named: str) -> None:
    with pytest.raises(ContractError) as refused:
        check_model(data)
    assert named in str(refused.value.got)


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_an_error_of_ours(data: bytes) -> None:
    with suppress(ContractError):
        check_model(data)


@given(st.integers(0, 8 * len(MODEL) - 1))
def test_a_flipped_bit_passes_or_is_an_error_of_ours(bit: int) -> None:
    changed = bytearray(MODEL)
    changed[bit // 8] ^= 1 << bit % 8
    with suppress(ContractError):
        check_model(bytes(changed))
