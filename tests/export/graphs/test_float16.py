"""The float16 variant: network halved, surroundings whole, answers close."""

from __future__ import annotations

import numpy as np
import onnx

from brainseg_export.evidence.predictors import predictor
from brainseg_export.graphs.float16 import to_float16
from brainseg_export.graphs.quantize import network_nodes
from brainseg_train.phantom.patients import make_patient
from tests.export.conftest import tiny_graph


def test_the_network_is_halved_and_the_answers_stay_close() -> None:
    fp32 = tiny_graph("deeplab")
    fp16 = to_float16(fp32, name="model.fp16.onnx")
    model = onnx.load_model_from_string(fp16.data)
    half = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    convolutions = [node for node in network_nodes(model) if node.op_type == "Conv"]
    assert all(node.input[1] in half for node in convolutions)
    assert not any(name in half for node in model.graph.node if node.op_type == "MatMul" for name in node.input)
    images = make_patient(0, 0, slices=(4, 4), side=96).images
    right, got = predictor(fp32, "cpu")(images)[1], predictor(fp16, "cpu")(images)[1]
    assert np.abs(right - got).max() < 5e-3
    assert len(fp16.data) < len(fp32.data)
