"""From a network in PyTorch to the bytes of one plain ONNX graph, raw pixels in, mask out.

The same pipeline gives the same bytes, whenever and from whatever folder it is exported: names come from the exported
program, which depends on neither, and anything that identifies the machine is stripped before the graph is written.

Legend: N batch, H rows, W columns.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from brainseg_export.errors import ConversionError
from brainseg_export.graphs.audit import OPSET, Audit, audit, strip
from brainseg_runtime.contract import CONTRACT, SCHEMA
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.version import __version__
from brainseg_train.models.pipeline import InferencePipeline

EXAMPLE_SHAPE: Final = (2, 176, 208, 3)
"""Shape of the traced input: the tracer takes equal axes, and axes of size 0 or 1, for constants."""


IR_VERSION: Final = 8
"""Of the ONNX file: the one of operator set 18, so that onnxruntime 1.14 and other readers of that time open it."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """An audited graph."""

    name: str
    """File name in the bundle."""
    data: bytes
    audit: Audit


def convert(pipeline: InferencePipeline, *, name: str, metadata: Mapping[str, str]) -> Graph:
    """Export a pipeline, with batch normalisation folded into the convolutions.

    Args:
        pipeline: In evaluation mode, on the CPU.
        name: File name in the bundle.
        metadata: What the file says about itself, beside contract, threshold and temperature; texts by key.

    Returns:
        The graph, audited.

    Raises:
        ConversionError: The exporter cannot write the network as a graph.
        AuditError: The graph breaks a rule.
    """
    model = _export(folded(pipeline))
    own = {"threshold": repr(pipeline.threshold), "temperature": repr(pipeline.temperature)}
    return write(model, name=name, metadata={**own, **metadata})


def write(model: onnx.ModelProto, *, name: str, metadata: Mapping[str, str]) -> Graph:
    """Serialise a graph, stripped, labelled and audited; equal content gives equal bytes.

    Args:
        model: Changed in place.
        name: File name in the bundle.
        metadata: What the file says about itself, beside what it says already; texts by key.

    Returns:
        The graph.

    Raises:
        AuditError: It breaks a rule.
    """
    strip(model)
    model.graph.name = "brainseg"
    model.producer_name, model.producer_version = "brainseg", __version__
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key.startswith("brainseg.")}
    own = {"schema": SCHEMA, "contract": json.dumps(to_json(CONTRACT), separators=(",", ":")), **metadata}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept | {f"brainseg.{key}": value for key, value in own.items()})
    model.ir_version = IR_VERSION
    data = model.SerializeToString(deterministic=True)
    return Graph(name=name, data=data, audit=audit(data, name=name))


def folded(pipeline: InferencePipeline) -> InferencePipeline:
    """A copy in which every batch normalisation that follows a convolution is part of it.

    Args:
        pipeline: In evaluation mode; it is not changed.

    Returns:
        A pipeline that computes the same, up to rounding.

    Raises:
        ConversionError: It is in training mode, or a batch normalisation does not follow a convolution.
    """
    if pipeline.training:
        raise ConversionError("the network is in training mode", expected="evaluation mode", remedy="call eval()")
    copied = copy.deepcopy(pipeline)
    for parent in list(copied.modules()):
        if isinstance(parent, nn.Sequential):
            _fold_pairs(parent)
    left = [name for name, module in copied.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ConversionError("batch normalisation cannot be folded", expected="a convolution before it", got=left[0])
    return copied


def _fold_pairs(parent: nn.Sequential) -> None:
    """Fold, in place, each normalisation of a sequence into the convolution just before it."""
    for index in range(len(parent) - 1):
        convolution, norm = parent[index], parent[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            parent[index], parent[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()


def _export(pipeline: InferencePipeline) -> onnx.ModelProto:
    """Trace and translate, quietly."""
    n, h, w = (
        torch.export.Dim("N", min=1, max=CONTRACT.limits.max_batch),
        torch.export.Dim("H", min=CONTRACT.limits.min_side, max=CONTRACT.limits.max_side),
        torch.export.Dim("W", min=CONTRACT.limits.min_side, max=CONTRACT.limits.max_side),
    )
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                pipeline,
                (torch.zeros(EXAMPLE_SHAPE, dtype=torch.uint8),),
                dynamo=True,
                opset_version=OPSET,
                input_names=[CONTRACT.input.name],
                output_names=[tensor.name for tensor in CONTRACT.outputs],
                dynamic_shapes=({0: n, 1: h, 2: w},),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ConversionError("the network cannot be converted to an ONNX graph", got=error) from error
    if program is None:
        raise ConversionError("the network cannot be converted to an ONNX graph", got="no program from the exporter")
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes about libraries that are not used here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
