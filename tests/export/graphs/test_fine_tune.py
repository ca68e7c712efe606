"""Fine-tuning for integers: what is trained rounds as onnxruntime does, and comes closer to the fp32 network."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from brainseg_export.errors import QuantizationError
from brainseg_export.evidence.predictors import predictor
from brainseg_export.graphs import fine_tune, quantize
from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.graphs.fine_tune import IntegerNetwork, TuneConfig
from brainseg_train import models
from brainseg_train.config import AugmentConfig, TrainConfig
from brainseg_train.data.dataset import load_dataset
from brainseg_train.data.splitting import make_split
from brainseg_train.learning.losses import segmentation_loss
from brainseg_train.models.pipeline import InferencePipeline
from brainseg_train.phantom.patients import make_patient
from tests.export.conftest import tiny_network

TEMPERATURE = 0.5

NOTHING = [field.name for field in dataclasses.fields(AugmentConfig) if field.name != "zoom_least"]
"""What augmentation does, all of it switched off: slices come as they are."""


@dataclass(frozen=True)
class Trained:
    """A network that finds lesions, as fp32 graph and as integer graph."""

    network: nn.Module
    fp32: Graph
    int8: Graph


def heads(seed: int, count: int = 4) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    patient = make_patient(0, seed, slices=(count, count), side=128)
    return patient.images, patient.masks


def scaled(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255


def quantized(fp32: Graph, images: NDArray[np.uint8]) -> Graph:
    return quantize.quantize(fp32, quantize.observe(fp32, [images]), "minmax", name="model.int8.onnx")


@functools.cache
def trained(name: str) -> Trained:
    network = tiny_network(name, width=4).train()
    images, masks = heads(1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=True)
    for _ in range(20):
        optimizer.zero_grad()
        torch.autograd.backward(
            segmentation_loss(network(scaled(images)), torch.from_numpy(masks).unsqueeze(1).float())
        )
        optimizer.step()
    network.eval()
    fp32 = convert(InferencePipeline(network, temperature=TEMPERATURE).eval(), name="model.onnx", metadata={"a": "b"})
    return Trained(network=network, fp32=fp32, int8=quantized(fp32, images))


class Rounded(nn.Module):
    """The integer network as a module, for the pipeline around it."""

    def __init__(self, network: IntegerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixels)


@pytest.mark.parametrize("name", models.NAMES)
def test_what_is_trained_answers_what_onnxruntime_answers_in_integers(name: str) -> None:
    made = trained(name)
    images = np.concatenate([heads(seed)[0] for seed in range(2, 10)])
    pipeline = InferencePipeline(Rounded(IntegerNetwork(made.fp32, made.int8)), temperature=TEMPERATURE).eval()
    with torch.inference_mode():
        mask, probability = (part.numpy() for part in pipeline(torch.from_numpy(images)))
    right_mask, right = predictor(made.int8, "cpu")(images)
    assert 0.001 < right_mask.mean() < 0.9, "a network that marks something"
    assert (mask == right_mask).mean() > 0.999
    # Sums are taken in an order that depends on the processor, and where one lands on the other side of a rounding, the
    # pixels around it follow; all other images agree to the last digits.
    floating = predictor(made.fp32, "cpu")(images)[1]
    missed, rounded = (np.abs(each - right).mean(axis=(1, 2)) for each in (probability, floating))
    assert np.median(missed / rounded) < 1e-4
    assert missed.mean() < 0.25 * rounded.mean()


@pytest.mark.parametrize("name", models.NAMES)
def test_weights_that_were_not_trained_round_to_the_integers_of_the_graph(name: str) -> None:
    made = trained(name)
    found = IntegerNetwork(made.fp32, made.int8).integers()
    graph = onnx.load_model_from_string(made.int8.data).graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in found}
    assert sum(array.dtype == np.int8 for array in held.values()) == made.fp32.audit.operators["Conv"]
    for tensor, array in held.items():
        # What lies halfway between two whole numbers may go either way.
        assert np.abs(found[tensor].numpy().astype(int) - array).max() <= 1, tensor
        assert np.mean(found[tensor].numpy() != array) <= 1 / 8, tensor


def test_fine_tuning_brings_a_coarse_graph_closer_to_the_fp32_network() -> None:
    made, (images, _) = trained("unet"), heads(1)
    # Watched on slices whose contrast is far below the network's floor: those of usual contrast are cut.
    coarse = quantized(made.fp32, (images // 16).astype(np.uint8))
    config = TuneConfig(steps=40, learning_rate=3e-4)

    def tune(config: TuneConfig) -> Graph:
        batches = (scaled(images) for _ in range(config.steps))
        return fine_tune.fine_tune(
            made.fp32, coarse, made.network, batches, temperature=TEMPERATURE, label="minmax, tuned", config=config
        )

    def error(graph: Graph) -> float:
        asked = heads(2)[0]
        return float(np.abs(predictor(graph, "cpu")(asked)[1] - predictor(made.fp32, "cpu")(asked)[1]).mean())

    tuned = tune(config)
    assert error(tuned) < 0.7 * error(coarse)
    short = TuneConfig(steps=2)
    assert tune(short).data == tune(short).data
    one, two = (onnx.load_model_from_string(graph.data) for graph in (coarse, tuned))
    assert [node.SerializeToString() for node in one.graph.node] == [
        node.SerializeToString() for node in two.graph.node
    ]
    told = {entry.key: entry.value for entry in two.metadata_props}
    assert (told["brainseg.calibration"], told["brainseg.a"]) == ("minmax, tuned", "b")


def test_an_operator_that_it_does_not_know_is_named() -> None:
    made = trained("unet")
    model = onnx.load_model_from_string(made.int8.data)
    next(node for node in model.graph.node if node.op_type == "MaxPool").op_type = "Tanh"
    strange = dataclasses.replace(made.int8, data=model.SerializeToString())
    with pytest.raises(QuantizationError, match="Tanh"):
        IntegerNetwork(made.fp32, strange)(torch.zeros(1, 3, 128, 128))


def test_fine_tuning_draws_from_training_patients_alone(phantom: Path) -> None:
    dataset = load_dataset(phantom)
    split = make_split(dataset, seed=1)
    config = TuneConfig(steps=3)
    training = TrainConfig(model="unet", augment=AugmentConfig(**dict.fromkeys(NOTHING, 0.0)))
    rows = split.indices(dataset, "train")
    known = {dataset.images[row].tobytes() for row in rows}
    batches = list(fine_tune.training_batches(dataset, split, training, config=config))
    assert [tuple(batch.shape) for batch in batches] == [(config.batch, 3, 128, 128)] * 3
    for image in torch.cat(batches):
        pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        assert pixels.tobytes() in known
