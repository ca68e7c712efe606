"""What each of two processes does in the test of `brainseg_train.learning.distributed`; torchrun starts it.

Writes to the folder named: the loss and gradient of a global batch, or a run that both train together.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from brainseg_train.config import LossConfig, TrainConfig
from brainseg_train.learning.batches import Batches
from brainseg_train.learning.device import place
from brainseg_train.learning.distributed import Group, join
from brainseg_train.learning.learner import Learner
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


def loss_and_gradient(group: Group) -> dict[str, Tensor]:
    """`loss` and each parameter's gradient, for this process's share of the batch; normalisation in evaluation mode."""
    learner = Learner(CONFIG, place(CONFIG), group)
    learner.network.eval()
    images, masks = global_batch()
    loss = learner.backward(group.local(images), group.local(masks))
    gradients = {name: parameter.grad for name, parameter in learner.network.named_parameters()}
    return {"loss": torch.tensor(loss)} | {
        name: grad.contiguous() for name, grad in gradients.items() if grad is not None
    }


def main(part: str, folder: Path) -> None:
    """One part of the test; each is a launch of its own, as processes can only join once."""
    torch.set_num_threads(1)
    if part == "fit":
        dataset = make_dataset()
        record = fit(CONFIG, dataset, make_split(dataset), folder / "run", threads=1)
        (folder / f"record-{os.environ['RANK']}.txt").write_text(f"{record.status} {record.best}", encoding="utf-8")
        return
    with join(torch.device("cpu")) as group:
        found = loss_and_gradient(group)
        if group.writes:
            (folder / "gradient.safetensors").write_bytes(safetensors.torch.save(found))
        group.wait()  # so that neither leaves while the other still works


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
