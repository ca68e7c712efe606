"""A learner takes the steps that a plain loop takes, and its whole state can be taken out and put back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from brainseg_train import models
from brainseg_train.config import TrainConfig
from brainseg_train.errors import CheckpointError, DivergedError
from brainseg_train.learning.device import place
from brainseg_train.learning.learner import Learner
from brainseg_train.learning.losses import segmentation_loss
from brainseg_train.learning.randomness import derive_seed

CONFIG = TrainConfig(model="resunet", width=2, device="cpu", precision="fp32", ema_decay=0.5, seed=3)


def _batch(number: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(number)
    images = torch.rand(4, 3, 32, 32, generator=source)
    return images, (images[:, :1] > 0.7).float()


def _learner(config: TrainConfig = CONFIG) -> Learner:
    return Learner(config, place(config))


def test_steps_are_those_of_a_plain_loop_with_adam() -> None:
    learner = _learner(replace(CONFIG, channels_last=False, ema_decay=0.0))
    torch.manual_seed(derive_seed(3, "weights"))
    network = models.build("resunet", width=2).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=False, foreach=False)
    for number in range(3):
        images, masks = _batch(number)
        told = learner.step(images, masks, learning_rate=1e-3)
        loss = segmentation_loss(network(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert told.loss == pytest.approx(loss.item(), rel=1e-4)
    for ours, plain in zip(learner.network.parameters(), network.parameters(), strict=True):
        # Adam's first steps have the rate's size whatever the gradient's, so rounding shows where it is about zero.
        assert torch.allclose(ours, plain, atol=1e-4)


def test_state_put_back_goes_on_bit_for_bit() -> None:
    first, second = _learner(), _learner(replace(CONFIG, seed=4))
    for number in range(2):
        first.step(*_batch(number), learning_rate=1e-2)
    second.restore(first.tensors(), first.steps, "the state")
    for learner in (first, second):
        for number in range(2, 4):
            learner.step(*_batch(number), learning_rate=1e-2)
    one, two = first.tensors(), second.tensors()
    assert one.keys() == two.keys()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_the_running_mean_is_what_is_evaluated() -> None:
    learner = _learner()
    learner.step(*_batch(0), learning_rate=1e-1)
    mean, network = learner.weights(), learner.network.state_dict()
    assert any(not torch.equal(tensor, network[name]) for name, tensor in mean.items())
    plain = _learner(replace(CONFIG, ema_decay=0.0))
    assert plain.evaluated is plain.network


def test_a_gradient_is_clipped_to_the_norm_asked_for() -> None:
    learner = _learner(replace(CONFIG, gradient_clip=1e-3))
    told = learner.step(*_batch(0), learning_rate=1e-3)
    left = torch.stack([p.grad.norm() for p in learner.network.parameters() if p.grad is not None]).norm()
    assert told.gradient_norm > 1e-2
    assert left.item() == pytest.approx(1e-3, rel=1e-2)


def test_a_loss_that_is_no_number_leaves_the_weights_as_they_were() -> None:
    learner = _learner()
    learner.step(*_batch(0), learning_rate=1e-3)
    before = {name: p.detach().clone() for name, p in learner.network.named_parameters()}
    images, masks = _batch(1)
    with pytest.raises(DivergedError, match="step 2"):
        learner.step(images * float("nan"), masks, learning_rate=1e-3)
    assert all(torch.equal(p, before[name]) for name, p in learner.network.named_parameters())


def test_a_state_of_another_network_or_without_moments_is_refused() -> None:
    learner = _learner()
    learner.step(*_batch(0), learning_rate=1e-3)
    state = learner.tensors()
    with pytest.raises(CheckpointError, match="does not fit"):
        _learner(replace(CONFIG, width=3)).restore(state, 1, "the state")
    without = {name: tensor for name, tensor in state.items() if not name.startswith("adam/square/head")}
    with pytest.raises(CheckpointError, match="adam/square/head"):
        _learner().restore(without, 1, "the state")


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = _learner().weights()
    torch.manual_seed(2)
    second, other = _learner().weights(), _learner(replace(CONFIG, seed=9)).weights()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


@pytest.mark.skipif(place(TrainConfig(device="cpu")).precision != "bf16", reason="this processor has no bf16")
def test_bf16_learns_what_fp32_learns() -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        learner = _learner(TrainConfig.from_json({**CONFIG.to_json(), "precision": precision, "width": 4}))
        losses[precision] = [learner.step(*_batch(0), learning_rate=3e-3).loss for _ in range(12)]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.03)
    assert all(later < earlier for earlier, later in pairwise(losses["fp32"][::3]))
