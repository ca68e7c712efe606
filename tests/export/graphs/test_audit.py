"""The audit: what a bundle's graph must not hold is found, and named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from brainseg_export.errors import AuditError
from brainseg_export.graphs.audit import MAX_NODES, OPSET, audit, strip


def plain() -> onnx.ModelProto:
    """The smallest graph of the contract: FLAIR as probability."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    mask = helper.make_tensor_value_info("mask", TensorProto.UINT8, ["N", "H", "W"])
    probability = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", "H", "W"])
    nodes = [
        helper.make_node("Gather", ["image", "one"], ["flair"], axis=3),
        helper.make_node("Cast", ["flair"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["probability"]),
        helper.make_node("GreaterOrEqual", ["probability", "half"], ["tumour"]),
        helper.make_node("Cast", ["tumour"], ["mask"], to=TensorProto.UINT8),
    ]
    constants = [
        numpy_helper.from_array(np.array(1, np.int64), "one"),
        numpy_helper.from_array(np.array(255, np.float32), "white"),
        numpy_helper.from_array(np.array(0.5, np.float32), "half"),
    ]
    graph = helper.make_graph(nodes, "g", [image], [mask, probability], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def findings(change: Callable[[onnx.ModelProto], object]) -> str:
    """What the audit says to a plain graph after a change."""
    model = plain()
    change(model)
    with pytest.raises(AuditError) as refused:
        audit(model.SerializeToString(), name="model.onnx")
    return "; ".join(refused.value.findings)


def test_a_plain_graph_passes_and_is_described() -> None:
    found = audit(plain().SerializeToString(), name="model.onnx")
    assert found.nodes == 5
    assert found.operators == {"Cast": 2, "Div": 1, "Gather": 1, "GreaterOrEqual": 1}
    assert found.parameters == 3


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(AuditError, match="not an ONNX model"):
        audit(b"\xff" * 100, name="model.onnx")


def test_another_operator_set_is_refused() -> None:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = OPSET - 1

    assert "operator sets" in findings(change)


def test_a_custom_domain_is_refused_even_where_nothing_uses_it() -> None:
    assert "operator sets" in findings(lambda model: model.opset_import.append(helper.make_opsetid("com.acme", 1)))


@pytest.mark.parametrize(
    ("kind", "domain"), [("Gelu", ""), ("Loop", ""), ("Div", "com.microsoft"), ("StringConcat", "")]
)
def test_operators_that_are_not_listed_are_refused(kind: str, domain: str) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[2].op_type = kind
        model.graph.node[2].domain = domain

    assert f"operators {kind}" in findings(change)


def test_functions_are_refused() -> None:
    def change(model: onnx.ModelProto) -> None:
        node = helper.make_node("Abs", ["x"], ["y"])
        model.functions.append(helper.make_function("", "F", ["x"], ["y"], [node], [helper.make_opsetid("", OPSET)]))

    assert "functions" in findings(change)


def test_subgraphs_are_refused() -> None:
    def change(model: onnx.ModelProto) -> None:
        inner = helper.make_graph([], "inner", [], [])
        model.graph.node[2].attribute.append(helper.make_attribute("body", inner))

    assert "a subgraph" in findings(change)


@pytest.mark.parametrize("location", ["weights.bin", "../../etc/passwd", "/etc/passwd"])
def test_data_in_other_files_is_refused_without_looking_at_them(location: str) -> None:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[1]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    assert "external data of white" in findings(change)


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 31, 1 << 31], [-1]])
def test_impossible_dimensions_are_refused(dims: list[int]) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[1].dims[:] = dims

    assert "dimensions" in findings(change)


def test_too_many_nodes_are_refused() -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.extend(helper.make_node("Abs", ["float"], [f"a{index}"]) for index in range(MAX_NODES))

    assert "nodes, at most" in findings(change)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.graph.input[0], "name", "pixels"),
        lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.FLOAT),
        lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 256),
        lambda model: setattr(model.graph.output[0].type.tensor_type.shape.dim[1], "dim_param", "rows"),
        lambda model: model.graph.output.reverse(),
    ],
)
def test_inputs_and_outputs_that_are_not_the_contracts_are_refused(
    change: Callable[[onnx.ModelProto], object],
) -> None:
    assert "puts [" in findings(change)


def test_doc_strings_node_metadata_and_paths_are_refused_until_stripped() -> None:
    model = plain()
    model.graph.node[0].doc_string = "File /home/someone/secret/model.py, line 3"
    model.graph.node[1].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone/model.py")
    with pytest.raises(AuditError) as refused:
        audit(model.SerializeToString(), name="model.onnx")
    assert "doc strings" in str(refused.value)
    assert "path '/home/someone" in str(refused.value)
    strip(model)
    assert audit(model.SerializeToString(), name="model.onnx").nodes == 5


def test_text_tensors_are_refused() -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[1].CopyFrom(
            TensorProto(name="white", data_type=TensorProto.STRING, dims=[1], string_data=[b"x"])
        )

    assert "text or segments in white" in findings(change)


def test_types_that_do_not_fit_are_found_by_the_checker() -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[2].input[0] = "flair"

    assert findings(change)
