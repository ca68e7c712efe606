"""Attack 6: a bundle that is whole and sealed by somebody else, whose graph does harm when it is loaded or run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from brainseg_export.errors import AuditError
from brainseg_export.graphs.audit import audit
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.inference.graph_check import MAX_FIELDS
from brainseg_runtime.segmenter import Segmenter
from tests.attacks.victim import bounded_memory, mutant
from tests.runtime.tiny import TINY, copy_tiny, replace_file, slice_image


def right() -> onnx.ModelProto:
    """The bundle's own graph."""
    return onnx.load_model_from_string((TINY / "model.onnx").read_bytes())


def external_data(location: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def custom_operator(domain: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import.append(helper.make_opsetid(domain, 1))
        model.graph.node[0].domain = domain
        model.graph.node[0].op_type = "Payload"

    return change


def deep_functions(model: onnx.ModelProto) -> None:
    """Forty functions, each calling the one before twice: 2^40 nodes once they are inlined."""
    domain, sets = "local", [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    model.opset_import.append(sets[1])
    model.functions.append(
        helper.make_function(domain, "F0", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], sets)
    )
    for level in range(1, 40):
        calls = [
            helper.make_node(f"F{level - 1}", ["x"], ["t"], domain=domain),
            helper.make_node(f"F{level - 1}", ["t"], ["y"], domain=domain),
        ]
        model.functions.append(helper.make_function(domain, f"F{level}", ["x"], ["y"], calls, sets))
    model.graph.node.append(helper.make_node("F39", ["probability"], ["unused"], domain=domain))


def functions_in_the_standard_domain(model: onnx.ModelProto) -> None:
    sets = [helper.make_opsetid("", 18)]
    node = helper.make_node("Abs", ["x"], ["y"])
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], [node], sets))


def endless_loop(model: onnx.ModelProto) -> None:
    scalar = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    ]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])],
        "b",
        scalar,
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1 << 60), "times"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("Loop", ["times", "yes"], [], body=body))


def huge_dimensions(*dims: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = dims

    return change


def huge_constant(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "shape"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["big"]))


def many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend(helper.make_node("Identity", ["probability"], [f"n{k}"]) for k in range(20_000))


def many_fields(model: onnx.ModelProto) -> None:
    model.metadata_props.extend(onnx.StringStringEntryProto() for _ in range(MAX_FIELDS + 1))


CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    "external data beside it": external_data("weights.bin"),
    "external data above it": external_data("../../../../etc/passwd"),
    "external data by its whole path": external_data("/etc/passwd"),
    "an operator of its own": custom_operator("com.acme"),
    "an operator of onnxruntime's": custom_operator("com.microsoft"),
    "an operator for machine learning": custom_operator("ai.onnx.ml"),
    "functions of functions": deep_functions,
    "a function in the standard's name": functions_in_the_standard_domain,
    "a loop without end": endless_loop,
    "dimensions of exabytes": huge_dimensions(1 << 30, 1 << 30),
    "dimensions beyond integers": huge_dimensions(*[1 << 62] * 4),
    "a negative dimension": huge_dimensions(-1),
    "a constant of terabytes": huge_constant,
    "too many nodes": many_nodes,
    "too many fields": many_fields,
}


# A tracer, such as coverage's, slows Python several times.
ALLOWED_SECONDS = 1.0 if sys.gettrace() is None else 5.0


def load(bundle: Path, provider: str = "cpu") -> Segmenter | None:
    """The segmenter, or None where it is refused; by processor time within a second."""
    began = time.thread_time()
    try:
        return Segmenter.load(bundle, provider=provider, variant="fp32", threads=1)
    except BrainsegError:
        return None
    finally:
        assert time.thread_time() - began < ALLOWED_SECONDS, "hung"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_no_such_graph_is_loaded(tmp_path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    bundle, model = copy_tiny(tmp_path), right()
    change(model)
    replace_file(bundle, "model.onnx", model.SerializeToString())
    with bounded_memory():
        assert load(bundle) is None


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_export_would_not_write_it(change: Callable[[onnx.ModelProto], None]) -> None:
    model = right()
    change(model)
    with pytest.raises(AuditError):
        audit(model.SerializeToString(), name="model.onnx")


def test_damaged_graphs_that_somebody_sealed_give_an_answer_or_an_error_of_ours(tmp_path: Path) -> None:
    """Nothing vouches for what such a graph computes; that it neither crashes nor hangs is what is asked."""
    bundle, data = copy_tiny(tmp_path), (TINY / "model.onnx").read_bytes()
    rng = np.random.default_rng(0)
    image = slice_image()
    loaded = 0
    for _ in range(150):
        replace_file(bundle, "model.onnx", mutant(rng, data))
        segmenter = load(bundle)
        if segmenter is None:
            continue
        loaded += 1
        try:
            result = segmenter.predict(image)
        except BrainsegError:
            continue
        assert result.mask.max() <= 1
        assert 0 <= result.probability.min() <= result.probability.max() <= 1
    assert loaded < 150
