"""What each of several processes does in the test of `brainseg_train.learning.distributed`; torchrun starts it.

Writes to the folder named: the loss and gradient of a global batch, a normalised batch, or a run trained together.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from brainseg_train.config import LossConfig, TrainConfig
from brainseg_train.learning.batches import Batches
from brainseg_train.learning.device import place
from brainseg_train.learning.distributed import Group, join
from brainseg_train.learning.learner import Learner
from brainseg_train.learning.normalisation import normalise_together
from brainseg_train.runs.fit import fit
from tests.train.arrays import make_dataset, make_split

CONFIG = TrainConfig(
    model="unet",
    width=4,
    epochs=2,
    batch=8,
    loss=LossConfig(boundary=0.5),
    device="cpu",
    precision="fp32",
)


def global_batch() -> tuple[Tensor, Tensor]:
    """Eight slices whose first and second halves hold tumours of quite different extent."""
    dataset = make_dataset()
    rows = torch.arange(8)
    images, masks = Batches(dataset.images, dataset.masks, rows.numpy(), torch.device("cpu")).batch(rows)
    masks[1::2] = 0
    masks[0] = 1
    return images, masks


def learned(group: Group) -> dict[str, Tensor]:
    """`loss` and `gradient/` of one batch, then `network/` after six steps of Adam, in float64 and training mode."""
    learner = Learner(CONFIG, place(CONFIG), group)
    learner.network.double().train()
    images, masks = (group.local(each).double() for each in global_batch())
    loss = learner.backward(images, masks)
    gradients = {name: parameter.grad for name, parameter in learner.network.named_parameters()}
    found = {f"gradient/{name}": grad.clone() for name, grad in gradients.items() if grad is not None}
    for _ in range(6):
        learner.step(images, masks, 1e-3)
    after = {f"network/{name}": each.clone() for name, each in learner.network.state_dict().items()}
    return {"loss": torch.tensor(loss, dtype=torch.float64)} | found | after


def normalised(group: Group) -> dict[str, Tensor]:
    """What batch normalisation makes of seven slices: `rows/` of a process's own, and `layer/` of all."""
    source = torch.Generator().manual_seed(0)
    draw = [torch.randn((7, 5, 6, 4), generator=source, dtype=torch.float64) for _ in range(2)]
    normalisation = nn.BatchNorm2d(5)
    nn.init.uniform_(normalisation.weight, 0.5, 2.0, generator=source)
    layer = nn.Sequential(normalisation).double()
    normalise_together(layer, group)
    x = group.local(draw[0] * 3 + 20).requires_grad_()
    y = layer(x)
    (y * group.local(draw[1])).sum().backward()
    group.sum_gradients(layer)
    grads = {name: parameter.grad for name, parameter in layer.named_parameters()} | dict(layer.named_buffers())
    of_layer = {f"layer/{name}": tensor for name, tensor in grads.items() if tensor is not None}
    return of_layer if x.grad is None else of_layer | {"rows/output": y.detach(), "rows/gradient": x.grad}


def main(part: str, folder: Path) -> None:
    """One part of the test; each is a launch of its own, as processes can only join once."""
    torch.set_num_threads(1)
    if part == "fit":
        dataset = make_dataset()
        record = fit(CONFIG, dataset, make_split(dataset), folder / "run", threads=1)
        (folder / f"record-{os.environ['RANK']}.txt").write_text(f"{record.status} {record.best}", encoding="utf-8")
        return
    with join(torch.device("cpu")) as group:
        found = learned(group) | normalised(group)
        (folder / f"{group.rank}.safetensors").write_bytes(safetensors.torch.save(found))
        group.require_agreement({"colour": group.rank}, device=torch.device("cpu"), remedy="paint them")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
