"""Quantisation-aware fine-tuning: weights are trained to compensate for the rounding in an integer graph.

The quantised graph itself is run in PyTorch, node by node, so that values are rounded where the engines round them:
what is trained is what ships. Scales and zero points stay those of the calibration; only weights and biases change, and
are then written back into the same graph. The teacher is the fp32 network, as the gate asks for the same answers, not
for better ones.

Legend: N batch, C channels, H rows, W columns.
Sources: Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons, 2013 (the straight-through
estimator); Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
2018, sec. 3; Mishra and Marr, Apprentice, 2018 (a network's own full-precision answers as targets).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from brainseg_export.errors import QuantizationError
from brainseg_export.graphs.convert import Graph, write
from brainseg_train.config import TrainConfig
from brainseg_train.data.dataset import DataSet
from brainseg_train.data.split import Split
from brainseg_train.learning.augment import augment
from brainseg_train.learning.batches import Batches, EpochPlan
from brainseg_train.learning.head_maps import feed_for
from brainseg_train.learning.losses import cross_entropy
from brainseg_train.learning.randomness import generator

WEIGHT_LEVELS: Final = 64
"""Weights are rounded to integers from minus this to this, as in `quantize`: 7 bits."""

_ACTIVATION: Final = (0, 255)
_BIAS_LEVELS: Final = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """How weights are fine-tuned."""

    steps: int = 200
    """Optimisation steps; these take a minute or two for a shipped network."""
    batch: int = 8
    """Slices in one step."""
    learning_rate: float = 1e-4
    """Adam's learning rate at the first step; it falls to zero along a cosine."""
    gradient_clip: float = 1.0
    """Largest norm of a step's gradient."""


class IntegerNetwork:
    """The network of a quantised graph, from scaled pixels to logits, with weights that can be trained.

    Args:
        fp32: The graph in fp32, for its weights before rounding.
        int8: The same graph, quantised.
    """

    def __init__(self, fp32: Graph, int8: Graph) -> None:
        model = onnx.load_model_from_string(int8.data)
        exact = _tensors(onnx.load_model_from_string(fp32.data))
        self._constants = _tensors(model)
        self._pixels, self._nodes = _network(model)
        restoring = [node for node in self._nodes if node.op_type == "DequantizeLinear"]
        weights = [node.input[0] for node in restoring if node.input[0] in self._constants]
        self.weights = {name: exact[name.removesuffix("_quantized")].clone().requires_grad_() for name in weights}
        """The weights before rounding, by the name of their integers in the graph."""

    def __call__(self, pixels_nchw: Tensor) -> Tensor:
        """(N, 3, H, W) float32 in [0, 1] to (N, 1, H, W) logits."""
        values = {**self._constants, self._pixels: pixels_nchw}
        for node in self._nodes:
            values[node.output[0]] = self._compute(node, values)
        return values[self._nodes[-1].output[0]]

    def integers(self) -> dict[str, Tensor]:
        """The weights as the graph holds them, by name: int8, and int32 for biases."""
        found = {}
        for node in self._nodes:
            name = node.input[0]
            if name in self.weights:
                rounded = _rounded(self.weights[name].detach(), self._constants[node.input[1]])
                found[name] = rounded.to(self._constants[name].dtype)
        return found

    def _compute(self, node: onnx.NodeProto, values: Mapping[str, Tensor]) -> Tensor:
        """One node's result."""
        if node.input[0] in self.weights:
            scale = values[node.input[1]]
            return _rounded(self.weights[node.input[0]], scale) * _along_first(scale, self.weights[node.input[0]])
        operator = _OPERATORS.get(node.op_type)
        if operator is None:
            raise QuantizationError(
                "a network cannot be fine-tuned", expected="operators that gradients can pass through", got=node.op_type
            )
        settings = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        return operator([values[name] for name in node.input if name], settings)


def fine_tune(
    fp32: Graph,
    int8: Graph,
    teacher: nn.Module,
    batches: Iterable[Tensor],
    *,
    temperature: float,
    label: str,
    config: TuneConfig | None = None,
) -> Graph:
    """Train the integer graph to answer what the fp32 network answers.

    Args:
        fp32: The graph in fp32.
        int8: The same graph, quantised; the starting point.
        teacher: The fp32 network, in evaluation mode.
        batches: Scaled images (N, 3, H, W) of training patients, one batch a step.
        temperature: Divides the logits before they are compared.
        label: How the graph was made, for its metadata.
        config: How.

    Returns:
        The graph with new weights, audited. The same arguments give the same bytes on the same kind of machine with the
        same number of threads.

    Raises:
        QuantizationError: Gradients cannot pass through one of its operators.
        AuditError: The result breaks a rule.
    """
    config = config or TuneConfig()
    network = IntegerNetwork(fp32, int8)
    parameters = list(network.weights.values())
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)
    for step, pixels in enumerate(batches):
        with torch.no_grad():
            target = torch.sigmoid(teacher(pixels) / temperature)
        loss = cross_entropy(network(pixels) / temperature, target)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * (1 + math.cos(math.pi * step / config.steps)) / 2
        optimizer.step()
    return _written(int8, network.integers(), label)


def training_batches(
    dataset: DataSet, split: Split, training: TrainConfig, *, config: TuneConfig | None = None
) -> Iterator[Tensor]:
    """Batches of training slices, drawn and augmented as in the network's own run.

    Args:
        dataset: The run's data.
        split: The run's split.
        training: The run's configuration: which slices are drawn, how they are augmented, and the seed.
        config: Number of batches and of slices in each.

    Yields:
        (N, 3, H, W) float32 in [0, 1].
    """
    config = config or TuneConfig()
    rows, cpu = split.indices(dataset, "train"), torch.device("cpu")
    feed = Batches(dataset.images, dataset.masks, rows, cpu)
    maps = feed_for(training.augment, dataset, rows, cpu)
    plan = EpochPlan(
        has_tumour=feed.has_tumour(),
        batch=config.batch,
        empty_fraction=training.empty_fraction,
        seed=training.seed,
    )
    for step in range(config.steps):
        epoch, index = divmod(step, plan.steps)
        positions = plan.batches(epoch + 1)[index]
        images, masks = feed.batch(positions)
        source = generator(training.seed, "fine-tuning", step)
        yield augment(images, masks, training.augment, source, None if maps is None else maps.batch(positions))[0]


def _written(int8: Graph, integers: Mapping[str, Tensor], label: str) -> Graph:
    """The graph with these integers instead of its own."""
    model = onnx.load_model_from_string(int8.data)
    for tensor in model.graph.initializer:
        if tensor.name in integers:
            tensor.CopyFrom(numpy_helper.from_array(integers[tensor.name].numpy(), tensor.name))
    return write(model, name=int8.name, metadata={"calibration": label})


def _network(model: onnx.ModelProto) -> tuple[str, list[onnx.NodeProto]]:
    """The name of the scaled pixels, and the nodes from there to the logits, in order."""
    producer = {output: node for node in model.graph.node for output in node.output}
    pixels = next(node for node in model.graph.node if node.op_type == "QuantizeLinear").input[0]
    while producer[pixels].op_type != "MatMul":  # back over what the network does to its image in float
        pixels = producer[pixels].input[0]
    needed: set[str] = set()
    waiting = [node for node in model.graph.node if node.op_type == "DepthToSpace"]
    while waiting:
        node = waiting.pop()
        if node.name not in needed:
            needed.add(node.name)
            waiting += [producer[name] for name in node.input if name in producer and name != pixels]
    return pixels, [node for node in model.graph.node if node.name in needed]


def _tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    """The constants of a graph by name."""
    return {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer}


def _rounded(values: Tensor, scale: Tensor) -> Tensor:
    """Weights (C, ...) or biases (C,) in whole steps of each channel's scale; the gradient passes through unchanged."""
    limit = WEIGHT_LEVELS if values.ndim > 1 else _BIAS_LEVELS
    steps = (values / _along_first(scale, values)).clamp(-limit, limit)
    return steps + (steps.round() - steps).detach()


def _along_first(scale: Tensor, values: Tensor) -> Tensor:
    """A scale for each channel, shaped to broadcast over values whose first axis is channels."""
    return scale.reshape(-1, *[1] * (values.ndim - 1))


def _quantize(inputs: list[Tensor], _: Mapping[str, Any]) -> Tensor:
    """Round an activation to its 256 levels, in float; the gradient passes where the value is not clipped."""
    values, scale, zero = inputs
    return torch.fake_quantize_per_tensor_affine(values, scale, zero.to(torch.int32), *_ACTIVATION)


def _convolve(inputs: list[Tensor], settings: Mapping[str, Any]) -> Tensor:
    """A convolution with equal padding on both sides, as the exporter writes them."""
    bias = inputs[2] if len(inputs) > 2 else None
    result: Tensor = functional.conv2d(
        inputs[0],
        inputs[1],
        bias,
        stride=settings["strides"],
        padding=settings["pads"][: len(settings["strides"])],
        dilation=settings["dilations"],
        groups=settings["group"],
    )
    return result


_OPERATORS: Final[Mapping[str, Callable[[list[Tensor], Mapping[str, Any]], Tensor]]] = MappingProxyType(
    {
        "QuantizeLinear": _quantize,
        "DequantizeLinear": lambda inputs, _: inputs[0],  # `_quantize` returns floats already
        "Conv": _convolve,
        "Relu": lambda inputs, _: functional.relu(inputs[0]),
        "Add": lambda inputs, _: inputs[0] + inputs[1],
        "Sub": lambda inputs, _: inputs[0] - inputs[1],
        "Div": lambda inputs, _: inputs[0] / inputs[1],
        "Pow": lambda inputs, _: inputs[0] ** inputs[1],
        "Sqrt": lambda inputs, _: inputs[0].sqrt(),
        "Concat": lambda inputs, settings: torch.cat(inputs, dim=settings["axis"]),
        "MaxPool": lambda inputs, settings: functional.max_pool2d(
            inputs[0], settings["kernel_shape"], settings["strides"]
        ),
        "Resize": lambda inputs, _: functional.interpolate(inputs[0], scale_factor=inputs[-1][2:].tolist()),
        "AveragePool": lambda inputs, settings: functional.avg_pool2d(
            inputs[0], settings["kernel_shape"], settings["strides"]
        ),
        "ReduceMean": lambda inputs, _: inputs[0].mean(dim=inputs[1].tolist(), keepdim=True),
        "DepthToSpace": lambda inputs, settings: functional.pixel_shuffle(inputs[0], settings["blocksize"]),
    }
)
