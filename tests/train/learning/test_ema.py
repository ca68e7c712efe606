"""The running mean follows a network as the formula says."""

from __future__ import annotations

import torch
from torch import nn

from brainseg_train.learning.ema import RunningMean


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def test_the_mean_fades_with_its_decay_once_warm() -> None:
    network = _network()
    mean = RunningMean(network, decay=0.9)
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for step in range(1, 200):
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.add_(1)
        decay = min(0.9, step / (9 + step))
        for name, tensor in network.state_dict().items():
            old = expected[name]
            expected[name] = decay * old + (1 - decay) * tensor if tensor.is_floating_point() else tensor.clone()
        mean.update(network, step)
    state = mean.network.state_dict()
    assert all(torch.allclose(state[name], tensor, atol=1e-4) for name, tensor in expected.items())
    assert state["1.num_batches_tracked"] == 199


def test_the_mean_is_for_evaluation_and_keeps_its_hands_off_the_network() -> None:
    network = _network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mean = RunningMean(network, decay=0.5)
    mean.update(network, 1)
    assert not mean.network.training
    assert not any(parameter.requires_grad for parameter in mean.network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
