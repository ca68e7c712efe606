"""The network in float16, for GPUs, with everything around it in float32: half the size, off by default.

A CPU without float16 arithmetic computes it in float32 with rounded weights, so the variant can be judged there.
"""

from __future__ import annotations

from typing import Final

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from brainseg_export.graphs.convert import Graph, write
from brainseg_export.graphs.quantize import network_nodes

_SMALLEST: Final = 6e-8
"""Smallest positive number in float16; the converter replaces weights that are closer to zero by it."""


def to_float16(graph: Graph, *, name: str) -> Graph:
    """The same graph with its network in float16.

    Returns:
        The graph, audited.

    Raises:
        AuditError: The result breaks a rule.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph.data))
    inside = {node.name for node in network_nodes(model)}
    around = [node.name for node in model.graph.node if node.name not in inside]
    halved = convert_float_to_float16(
        model,
        min_positive_val=_SMALLEST,
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=[],
        node_block_list=around,
    )
    ordered = ONNXModel(halved)
    ordered.topological_sort()
    return write(ordered.model, name=name, metadata={"precision": "fp16"})
