"""Make ``tests/bundles/tiny``: a whole bundle with two variants, small enough to be committed.

Needs the export stage (torch, onnx); the tests that read the bundle need neither. Run from the repository's root:

    python -m tests.bundles.make
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.graphs.quantize import observe, quantize
from brainseg_export.sealing.sbom import bill_of_materials
from brainseg_export.sealing.seal import GOLDEN_NAME, bundle_files, entries, seal
from brainseg_runtime.bundles.golden import Answer, GoldenCase
from brainseg_runtime.bundles.manifest import Licence, Manifest, Tolerance, Variant
from brainseg_runtime.contract import MODEL_SIDE
from brainseg_runtime.inference.engine import Engine
from brainseg_runtime.segmentation.input_guard import take_fingerprint
from brainseg_train.models.pipeline import InferencePipeline

TARGET = Path(__file__).parent / "tiny"
SIDES = ((32, 32), (24, 40))


class TinyNetwork(nn.Module):
    """Two strided convolutions with batch normalisation and a sub-pixel head: the shipped networks' shape, 1 kB."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 1),
            nn.PixelShuffle(4),
        )

    def forward(self, x_nchw: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 1, H, W) logits."""
        logits: Tensor = self.body(x_nchw)
        return logits


def slices(count: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """(count, H, W, 3) smooth made-up slices: a bright disk on a grey head."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    made = np.empty((count, height, width, 3))
    for n in range(count):
        head = np.hypot((rows - height / 2) / height, (columns - width / 2) / width) < 0.42
        y, x = rng.uniform(0.35, 0.65, 2) * (height, width)
        disk = np.hypot(rows - y, columns - x) < 0.15 * min(height, width)
        levels = rng.uniform((60, 70, 65), (80, 90, 85))
        made[n] = head[..., None] * (levels + disk[..., None] * np.array([20, 110, 60]))
    return (made + rng.uniform(0, 12, made.shape)).clip(0, 255).astype(np.uint8)


def train(network: nn.Module) -> None:
    """Teach the network to find the disk by its FLAIR level; a few steps suffice."""
    images = torch.from_numpy(slices(16, MODEL_SIDE, MODEL_SIDE, seed=1)).permute(0, 3, 1, 2).float() / 255
    truth = (images[:, 1:2] > 0.5).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-2)
    for _ in range(150):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(images), truth)
        torch.autograd.backward(loss)
        optimiser.step()


def graphs() -> Mapping[str, Graph]:
    """The fp32 graph and the int8 one made from it."""
    torch.manual_seed(0)
    network = TinyNetwork()
    train(network)
    fp32 = convert(InferencePipeline(network).eval(), name="model.onnx", metadata={})
    images = list(slices(4, MODEL_SIDE, MODEL_SIDE, seed=2)[:, None])
    int8 = quantize(fp32, observe(fp32, images), "minmax", name="model.int8.onnx")
    return {"fp32": fp32, "int8": int8}


def golden(made: Mapping[str, Graph]) -> list[GoldenCase]:
    """Two cases with every variant's answer on the provider that is always there."""
    engines = {name: Engine(graph.data, provider="cpu", threads=1) for name, graph in made.items()}
    cases = []
    for seed, (height, width) in enumerate(SIDES, 10):
        image = slices(1, height, width, seed)
        answers = {name: _answer(engine, image) for name, engine in engines.items()}
        cases.append(GoldenCase(image=image, answers=answers))
    return cases


def _answer(engine: Engine, image: NDArray[np.uint8]) -> Answer:
    """One variant's answer."""
    mask, probability = engine.run(image)
    return Answer(mask=mask, probability=probability)


def main() -> None:
    """Write the bundle."""
    made = graphs()
    models = {graph.name: graph.data for graph in made.values()}
    card = "# Tiny\n\nFor tests alone: it finds a bright disk, and knows nothing of brains.\n"
    files = bundle_files(models, golden(made), card, bill_of_materials("tiny", "1.0.0", models))
    manifest = Manifest(
        name="tiny",
        version="1.0.0",
        threshold=0.5,
        temperature=1.0,
        variants={
            name: Variant(
                file=graph.name,
                precision=name,
                parity={"note": "made for tests"},
                accuracy={},
                same_bits={"cpu": True, "openvino": True},
                tolerances={"default": Tolerance(probability=0.05 if name == "int8" else 1e-4, mask=0.005)},
            )
            for name, graph in made.items()
        },
        files=entries(files),
        golden=GOLDEN_NAME,
        licence=Licence(id="MIT", note="Made for tests from nothing."),
        fingerprint=take_fingerprint(slices(32, MODEL_SIDE, MODEL_SIDE, seed=3)),
        training={"data": "made-up disks"},
    )
    seal(TARGET, manifest, files)


if __name__ == "__main__":
    main()
