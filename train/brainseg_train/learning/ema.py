"""A network whose weights are the running mean of another's.

Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; the decay that starts low, so
that the mean forgets the fresh weights, is that of TensorFlow's `ExponentialMovingAverage(num_updates)`.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class RunningMean:
    """A copy of a network, in evaluation mode, that follows it with exponentially fading memory.

    Normalisation's running statistics are averaged like the weights, so that they belong to the averaged weights.

    Args:
        network: The network to follow; its present state is the mean's first value.
        decay: Fraction of the mean that a step keeps, in (0, 1), once enough steps were taken.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the mean towards the network's state after a step.

        Args:
            network: The network that the mean follows.
            step: Steps taken so far, this one included.
        """
        fraction = 1.0 - min(self._decay, step / (9.0 + step))
        mean, current = _split(self.network), _split(network)
        torch._foreach_lerp_(mean[0], current[0], fraction)
        for old, new in zip(mean[1], current[1], strict=True):
            old.copy_(new)


def _split(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """A network's floating-point tensors, and its counters."""
    tensors = [*network.parameters(), *network.buffers()]
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]
