"""Paths of the machine are found wherever text stands in a graph, and never in its numbers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from brainseg_export.errors import AuditError
from brainseg_export.graphs.audit import audit
from brainseg_export.graphs.convert import convert, write
from brainseg_export.machine_paths import machine_paths, texts
from brainseg_train.models.pipeline import InferencePipeline

SEEDS = 50
PATH = "/home/someone/model.py"


@functools.cache
def exported() -> bytes:
    """A network of few layers and a million weights, as the exporter writes it."""
    network = nn.Sequential(
        nn.Conv2d(3, 128, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(128, 896, 3, padding=1),
        nn.Conv2d(896, 4, 1), nn.PixelShuffle(2),
    ).eval()  # fmt: skip
    return convert(InferencePipeline(network).eval(), name="model.onnx", metadata={"a": "b"}).data


def test_fifty_seeds_of_random_weights_are_all_accepted() -> None:
    looks_like_one = re.compile(rb"(?:/(?:home|root|usr|opt|tmp|var)/|[A-Za-z]:\\)[\w.\\/-]{3,}")
    seen = 0
    for seed in range(SEEDS):
        model = onnx.load_model_from_string(exported())
        rng = np.random.default_rng(seed)
        for tensor in model.graph.initializer:
            if tensor.name.startswith("network."):
                # Of this size a weight's highest byte is often a digit or a colon, and the others are anything.
                weights = rng.normal(0, 5e-4, tuple(tensor.dims)).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
        graph = write(model, name="model.onnx", metadata={"a": "b"})
        seen += looks_like_one.search(graph.data) is not None
    assert seen > 0, "bytes that read as a path occurred, or this test shows nothing"


def test_the_bytes_of_a_path_in_weights_are_accepted() -> None:
    model = onnx.load_model_from_string(exported())
    tensor = next(item for item in model.graph.initializer if item.name.startswith("network.2."))
    planted = PATH.encode() + b"C:\\Users\\someone\\model.py"
    tensor.raw_data = planted + tensor.raw_data[len(planted) :]
    assert write(model, name="model.onnx", metadata={}).audit.nodes > 0


def _attribute(value: object) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.node[0].attribute.append(helper.make_attribute("a", value))


def _text_tensor() -> TensorProto:
    return TensorProto(name="t", data_type=TensorProto.STRING, dims=[1], string_data=[PATH.encode()])


PLACES: dict[str, Callable[[onnx.ModelProto], object]] = {
    "producer name": lambda model: setattr(model, "producer_name", PATH),
    "producer version": lambda model: setattr(model, "producer_version", PATH),
    "domain": lambda model: setattr(model, "domain", PATH),
    "doc string": lambda model: setattr(model, "doc_string", PATH),
    "metadata value": lambda model: model.metadata_props.add(key="k", value=f"made by {PATH}"),
    "metadata key": lambda model: model.metadata_props.add(key=PATH, value="v"),
    "operator set": lambda model: model.opset_import.append(helper.make_opsetid(PATH, 1)),
    "graph name": lambda model: setattr(model.graph, "name", PATH),
    "graph doc string": lambda model: setattr(model.graph, "doc_string", PATH),
    "graph metadata": lambda model: model.graph.metadata_props.add(key="k", value=PATH),
    "node name": lambda model: setattr(model.graph.node[0], "name", PATH),
    "node doc string": lambda model: setattr(model.graph.node[0], "doc_string", PATH),
    "node metadata": lambda model: model.graph.node[0].metadata_props.add(key="k", value=PATH),
    "node domain": lambda model: setattr(model.graph.node[0], "domain", PATH),
    "node input": lambda model: model.graph.node[0].input.append(PATH),
    "node output": lambda model: model.graph.node[0].output.append(PATH),
    "attribute name": lambda model: setattr(model.graph.node[1].attribute.add(i=1, type=2), "name", PATH),
    "attribute doc string": lambda model: model.graph.node[1].attribute.add(name="a", i=1, type=2, doc_string=PATH),
    "text attribute": _attribute(PATH),
    "texts attribute": _attribute(["x", PATH]),
    "tensor attribute": _attribute(_text_tensor()),
    "constant's name": lambda model: setattr(model.graph.initializer[0], "name", PATH),
    "constant's doc string": lambda model: setattr(model.graph.initializer[0], "doc_string", PATH),
    "tensor of texts": lambda model: model.graph.initializer.append(_text_tensor()),
    "external data": lambda model: model.graph.initializer[0].external_data.add(key="location", value=PATH),
    "input name": lambda model: setattr(model.graph.input[0], "name", PATH),
    "axis name": lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", PATH),
    "denotation": lambda model: setattr(model.graph.output[0].type, "denotation", PATH),
    "inner shape": lambda model: model.graph.value_info.add(name=PATH),
    "function": lambda model: model.functions.append(helper.make_function("", PATH, [], [], [], [])),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_path_in_any_place_of_text_is_refused(place: str) -> None:
    model = onnx.load_model_from_string(exported())
    assert PATH not in "\n".join(texts(model))
    PLACES[place](model)
    with pytest.raises(AuditError) as refused:
        audit(model.SerializeToString(), name="model.onnx")
    assert any("/home/someone" in finding and finding.startswith("path") for finding in refused.value.findings)


@pytest.mark.parametrize(
    "text",
    [
        "/home/a/b.py", "see /root/x/y", "C:\\Users\\a", "d:\\data\\set", "D:/data/set", "\\\\server\\share\\x",
        "file:///srv/x/y", "(/scratch/u/run)", '{"initial": "/work/runs/best"}', "made in /Volumes/disk/a",
    ],
)  # fmt: skip
def test_absolute_paths_are_found(text: str) -> None:
    assert machine_paths(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/data/set", "http://x.org/opt/abc/def see it", "a/b", "pre/post", "/conv/Conv_1",
        "network.stem.0.weight", "ratio 1:2/3", "CC-BY-4.0", "10:30/11:30", "../data/home/x", "doi:10.1000/182",
    ],
)  # fmt: skip
def test_other_texts_are_left_alone(text: str) -> None:
    assert machine_paths(text) == []


def test_an_address_hides_no_path_after_it() -> None:
    assert machine_paths("https://example.org/x /home/someone/model.py") == ["/home/someone/model.py"]
