"""From network to graph: the same function, the same bytes, nothing about the machine."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from brainseg_export.errors import ConversionError
from brainseg_export.graphs.convert import Graph, convert, folded
from brainseg_export.machine_paths import texts
from brainseg_runtime.contract import CONTRACT
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_train import models
from brainseg_train.models.pipeline import InferencePipeline
from tests.export.conftest import tiny_network

ROOT = Path(__file__).resolve().parents[3]

_EXPORT = """
import hashlib, sys
from tests.export.conftest import tiny_network
from brainseg_export.graphs.convert import convert
from brainseg_train.models.pipeline import InferencePipeline
graph = convert(InferencePipeline(tiny_network()).eval(), name="model.onnx", metadata={"run": "r"})
sys.stdout.write(hashlib.sha256(graph.data).hexdigest())
"""


@pytest.fixture(scope="module", params=models.NAMES)
def made(request: pytest.FixtureRequest) -> tuple[InferencePipeline, Graph]:
    pipeline = InferencePipeline(tiny_network(request.param), threshold=0.4, temperature=1.25).eval()
    return pipeline, convert(pipeline, name="model.onnx", metadata={"run": "r", "licence": "none"})


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (3, 97, 131, 3), (2, 16, 200, 3), (1, 256, 128, 3), (1, 17, 16, 3)])
def test_the_graph_computes_what_the_network_computes(
    made: tuple[InferencePipeline, Graph], shape: tuple[int, ...]
) -> None:
    pipeline, graph = made
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    session = onnxruntime.InferenceSession(graph.data, providers=["CPUExecutionProvider"])
    mask, probability = session.run(None, {"image": image})
    with torch.inference_mode():
        right_mask, right_probability = pipeline(torch.from_numpy(image))
    assert np.abs(probability - right_probability.numpy()).max() <= 1e-5
    assert mask.dtype == np.uint8
    assert mask.shape == probability.shape == shape[:3]
    far = np.abs(right_probability.numpy() - 0.4) > 1e-5
    assert np.array_equal(mask[far], right_mask.numpy()[far])


@pytest.mark.parametrize(("height", "width"), [(256, 128), (97, 131), (16, 200), (129, 128)])
def test_an_image_that_is_not_square_gives_what_it_gives_with_zeros_around_it(
    made: tuple[InferencePipeline, Graph], height: int, width: int
) -> None:
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((1, side, side, 3), np.uint8)
    inside = np.s_[:, top : top + height, left : left + width]
    square[inside] = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(made[1].data, providers=["CPUExecutionProvider"])
    mask, probability = session.run(None, {"image": np.ascontiguousarray(square[inside])})
    whole_mask, whole_probability = session.run(None, {"image": square})
    assert np.abs(probability - whole_probability[inside]).max() <= 1e-6
    far = np.abs(probability - 0.4) > 1e-6
    assert np.array_equal(mask[far], whole_mask[inside][far])


def test_no_batch_normalisation_is_left_and_the_audit_lists_what_is(made: tuple[InferencePipeline, Graph]) -> None:
    _, graph = made
    assert "BatchNormalization" not in graph.audit.operators
    assert graph.audit.operators["Conv"] >= 18
    assert graph.audit.bytes == len(graph.data)


def test_the_file_explains_itself(made: tuple[InferencePipeline, Graph]) -> None:
    model = onnx.load_model_from_string(made[1].data)
    assert model.ir_version == 8  # what onnxruntime 1.15 reads
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["brainseg.contract"]) == to_json(CONTRACT)
    assert (told["brainseg.threshold"], told["brainseg.temperature"]) == ("0.4", "1.25")
    assert (told["brainseg.run"], told["brainseg.licence"]) == ("r", "none")
    axes = [[axis.dim_param or axis.dim_value for axis in v.type.tensor_type.shape.dim] for v in model.graph.output]
    assert axes == [["N", "H", "W"], ["N", "H", "W"]]


def test_nothing_in_the_file_speaks_of_the_machine(made: tuple[InferencePipeline, Graph]) -> None:
    data = made[1].data
    for path in (Path.cwd(), Path.home(), Path(sys.prefix), Path(torch.__file__).parent, ROOT):
        assert str(path).encode() not in data
    model = onnx.load_model_from_string(data)
    told = "\n".join(texts(model))  # numbers may read as anything
    assert not re.search(r"site-packages|torch|pkg\.|\w\.pyc?\b", told)
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_the_same_network_gives_the_same_bytes_from_any_folder(tmp_path: Path) -> None:
    here = convert(InferencePipeline(tiny_network()).eval(), name="model.onnx", metadata={"run": "r"})
    path = [str(ROOT / part) for part in (".", "runtime", "train", "export")]
    there = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{_EXPORT}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert there.stdout == hashlib.sha256(here.data).hexdigest()


def test_folding_leaves_the_network_that_was_given_alone() -> None:
    pipeline = InferencePipeline(tiny_network("resunet")).eval()
    before = {name: tensor.clone() for name, tensor in pipeline.state_dict().items()}
    once = folded(pipeline)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in once.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in pipeline.state_dict().items())


def test_a_network_in_training_mode_is_refused() -> None:
    with pytest.raises(ConversionError, match="training mode"):
        folded(InferencePipeline(tiny_network().train()))


def test_normalisation_that_follows_no_convolution_is_refused() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)).eval()
    with pytest.raises(ConversionError, match="cannot be folded"):
        folded(InferencePipeline(network).eval())
