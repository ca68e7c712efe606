"""Static quantisation: the network in integers, its surroundings in float, limits by three rules."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from brainseg_export.errors import QuantizationError
from brainseg_export.evidence.predictors import predictor
from brainseg_export.graphs import quantize
from brainseg_export.graphs.convert import Graph
from brainseg_export.graphs.quantize import BINS, Observation, clip
from brainseg_train import models
from brainseg_train.phantom.patients import make_patient
from tests.export.conftest import tiny_graph

INTEGER = {"Conv", "MaxPool", "Concat", "Resize", "Add"}


def heads(count: int = 6) -> NDArray[np.uint8]:
    return make_patient(0, 0, slices=(count, count), side=128).images


@pytest.fixture(scope="module", params=models.NAMES)
def graphs(request: pytest.FixtureRequest) -> tuple[Graph, Graph]:
    fp32 = tiny_graph(request.param)
    observations = quantize.observe(fp32, [heads()])
    return fp32, quantize.quantize(fp32, observations, "minmax", name="model.int8.onnx")


def around(model: onnx.ModelProto, node: onnx.NodeProto) -> tuple[list[str], list[str]]:
    """What makes a node's inputs and what takes its first output."""
    makers = {output: other.op_type for other in model.graph.node for output in other.output}
    takers = [other.op_type for other in model.graph.node if node.output[0] in other.input]
    return [makers.get(name, "initializer") for name in node.input], takers


def test_every_convolution_multiplies_unsigned_activations_with_signed_weights(graphs: tuple[Graph, Graph]) -> None:
    model = onnx.load_model_from_string(graphs[1].data)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    for node in convolutions:
        activation, weight = (makers[name] for name in node.input[:2])
        assert activation.op_type == weight.op_type == "DequantizeLinear"
        assert constants[activation.input[2]].dtype == np.uint8
        values, scales, zeros = (constants[name] for name in weight.input)
        assert values.dtype == np.int8
        assert np.abs(values.astype(int)).max() <= 64, "7 bits, so that no processor saturates"
        assert scales.shape == (values.shape[0],), "one scale an output channel"
        assert not zeros.any()


def test_the_network_is_in_integers_and_only_the_logits_leave_it_in_float(graphs: tuple[Graph, Graph]) -> None:
    model = onnx.load_model_from_string(graphs[1].data)
    inside = quantize.network_nodes(model)
    computing = [node for node in inside if node.op_type in INTEGER]
    for node in computing[:-1]:
        made_by, taken_by = around(model, node)
        data = [kind for kind in made_by if kind != "initializer"]
        assert set(data) == {"DequantizeLinear"}, node.name
        # An addition may hand its sum to the rectifier before it is rounded: engines fuse the two.
        assert set(taken_by) <= {"QuantizeLinear", "Relu"}, node.name
    assert computing[-1].op_type == "Conv"
    assert around(model, computing[-1])[1] == ["DepthToSpace"]


def test_pixels_before_the_network_and_probabilities_after_it_stay_float(graphs: tuple[Graph, Graph]) -> None:
    model = onnx.load_model_from_string(graphs[1].data)
    inside = {node.name for node in quantize.network_nodes(model)}
    outside = [node.op_type for node in model.graph.node if node.name not in inside]
    assert outside.count("MatMul") == 4
    for node in model.graph.node:
        if node.op_type in {"MatMul", "Sigmoid"}:
            assert "DequantizeLinear" not in around(model, node)[0]


@pytest.mark.parametrize("method", quantize.METHODS)
def test_no_pixel_that_was_seen_is_cut_whatever_the_method(method: quantize.Method) -> None:
    fp32 = tiny_graph("unet")
    observations = quantize.observe(fp32, [heads()])
    model = onnx.load_model_from_string(quantize.quantize(fp32, observations, method, name="model.int8.onnx").data)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    scale, zero = (float(constants[name]) for name in first.input[1:])
    pixels = observations[first.input[0]]
    assert pixels.low < -0.5 < 1.0 < pixels.high, "standardised slices"
    assert scale * (0 - zero) - scale / 2 <= pixels.low
    assert pixels.high <= scale * (255 - zero) + scale / 2


def test_the_integer_network_is_close_to_the_float_one(graphs: tuple[Graph, Graph]) -> None:
    images = heads()
    right = predictor(graphs[0], "cpu")(images)[1]
    got = predictor(graphs[1], "cpu")(images)[1]
    assert np.abs(right - got).max() < 0.05


def test_quantised_graphs_are_smaller_labelled_and_reproducible(graphs: tuple[Graph, Graph]) -> None:
    fp32, int8 = graphs
    assert quantize.quantize(fp32, quantize.observe(fp32, [heads()]), "minmax", name=int8.name).data == int8.data
    told = {entry.key: entry.value for entry in onnx.load_model_from_string(int8.data).metadata_props}
    assert (told["brainseg.precision"], told["brainseg.calibration"], told["brainseg.a"]) == ("int8", "minmax", "b")
    assert len(int8.data) < len(fp32.data)


def test_without_slices_there_is_nothing_to_observe(graphs: tuple[Graph, Graph]) -> None:
    with pytest.raises(QuantizationError, match="no slices to observe"):
        quantize.observe(graphs[0], [])


def observed(values: NDArray[np.float64]) -> Observation:
    counts, _ = np.histogram(values, BINS, (values.min(), values.max()))
    return Observation(low=float(values.min()), high=float(values.max()), counts=counts.astype(np.int64))


@given(
    st.floats(-100, 100), st.floats(0.001, 100), st.integers(0, 2**32 - 1), st.sampled_from(quantize.METHODS)
)  # fmt: skip
def test_limits_hold_zero_and_stay_within_what_was_seen(
    centre: float, spread: float, seed: int, method: quantize.Method
) -> None:
    seen = observed(np.random.default_rng(seed).normal(centre, spread, 4000))
    low, high = clip(seen, method)
    assert min(seen.low, 0.0) <= low <= 0.0 <= high <= max(seen.high, 0.0)
    assert low < high


def test_min_max_keeps_everything_and_percentile_leaves_the_outermost() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.abs(rng.normal(0, 1, 1_000_000)), [60.0]])
    seen = observed(values)
    assert clip(seen, "minmax") == (0.0, 60.0)
    high = clip(seen, "percentile")[1]
    # Within a bin of the true percentile.
    assert np.quantile(values, 1 - quantize.TAIL) <= high <= np.quantile(values, 1 - quantize.TAIL) + 2 * 60 / BINS


def test_entropy_cuts_a_single_outlier_and_keeps_a_flat_distribution() -> None:
    rng = np.random.default_rng(0)
    assert clip(observed(np.concatenate([np.abs(rng.normal(0, 1, 100_000)), [40.0]])), "entropy")[1] < 20
    assert clip(observed(rng.uniform(0, 1, 100_000)), "entropy")[1] > 0.9


def test_an_activation_of_one_value_has_limits() -> None:
    low, high = clip(Observation(low=0.0, high=0.0, counts=np.zeros(BINS, np.int64)), "entropy")
    assert low <= 0.0 <= high
