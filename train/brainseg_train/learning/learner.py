"""Network, optimiser and running mean as one object that takes steps, and whose state can be saved and restored.

Source of the optimiser: Kingma and Ba, Adam, 2015, with the paper's moments.

Legend: B slices of a batch that this process takes, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainseg_train import checkpoint, models
from brainseg_train.config import TrainConfig
from brainseg_train.errors import CheckpointError, DivergedError
from brainseg_train.learning.device import Placement
from brainseg_train.learning.distributed import Group
from brainseg_train.learning.ema import RunningMean
from brainseg_train.learning.losses import segmentation_loss
from brainseg_train.learning.normalisation import normalise_together
from brainseg_train.learning.randomness import seeded

_MOMENTS = {"adam/mean/": "exp_avg", "adam/square/": "exp_avg_sq"}


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of one optimisation step."""

    loss: float
    """Loss of the global batch, before the step."""
    gradient_norm: float
    """Norm of the whole gradient, before clipping."""


class Learner:
    """A network in training.

    Args:
        config: Network, loss, optimiser and seed.
        placement: Device, arithmetic and layout.
        group: The processes that train together; all start from the same weights.

    Raises:
        CheckpointError: The initial weights are missing, damaged or of another network.
    """

    def __init__(self, config: TrainConfig, placement: Placement, group: Group | None = None) -> None:
        self.config = config
        self.placement = placement
        self.group = group or Group()
        self.initial: dict[str, Any] | None = None
        self.initial_split: tuple[str, str] | None = None
        """Digests of the data and of the split that the initial weights were trained on."""
        network = self._fresh_network()
        # PyTorch's annotations leave this form of `to` out.
        self.network = network.to(placement.device, memory_format=placement.memory_format)  # type: ignore[call-overload]
        normalise_together(self.network, self.group)
        self._fused = placement.device.type in {"cpu", "cuda"}
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.rate, fused=self._fused)
        self._mean = RunningMean(self.network, config.ema_decay) if config.ema_decay > 0 else None
        self.steps = 0

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and kept: the running mean where there is one."""
        return self._mean.network if self._mean else self.network

    @property
    def parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def step(self, images: Tensor, masks: Tensor, learning_rate: float) -> StepResult:
        """Learn from a batch.

        Args:
            images: (B, 3, H, W) float32 in [0, 1].
            masks: (B, 1, H, W) float32, 0 or 1.
            learning_rate: Adam's learning rate for this step.

        Raises:
            DivergedError: The loss or the gradient is not finite; the weights are those before the step.
        """
        self.network.train()
        loss = self.backward(images, masks)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip).item()
        self._require_finite("gradient", norm)
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = learning_rate
        self._optimizer.step()
        self.steps += 1
        if self._mean:
            self._mean.update(self.network, self.steps)
        return StepResult(loss, norm)

    def backward(self, images: Tensor, masks: Tensor) -> float:
        """Loss of the global batch, and its gradient into the network's parameters, in every process.

        Args:
            images: (B, 3, H, W) float32 in [0, 1].
            masks: (B, 1, H, W) float32, 0 or 1.

        Raises:
            DivergedError: The loss is not finite.
        """
        with self.placement.autocast():
            logits = self.network(images.contiguous(memory_format=self.placement.memory_format))
        all_reduce = self.group.sum if self.group.size > 1 else None
        loss = segmentation_loss(logits, masks, self.config.loss, all_reduce=all_reduce)
        value = loss.item()
        self._require_finite("loss", value)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.group.sum_gradients(self.network)
        return value

    def share(self) -> None:
        """Give every process rank 0's network and running mean, before they are validated."""
        self.group.share(self.network)
        if self._mean:
            self.group.share(self._mean.network)

    def weights(self) -> dict[str, Tensor]:
        """A copy on the CPU of the state of the network that is validated, by name."""
        return _copied(self.evaluated)

    def tensors(self) -> dict[str, Tensor]:
        """A copy on the CPU of everything that a step changes, by prefix and name; only after the first step."""
        found = _prefixed("network/", _copied(self.network))
        if self._mean:
            found |= _prefixed("averaged/", _copied(self._mean.network))
        for name, parameter in self.network.named_parameters():
            state = self._optimizer.state[parameter]
            found |= {prefix + name: _copy(state[key]) for prefix, key in _MOMENTS.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor], steps: int, where: str) -> None:
        """Restore what `tensors` returned.

        Args:
            tensors: By prefix and name; other prefixes are ignored.
            steps: Steps that the state was saved after.
            where: What the state is called in errors.

        Raises:
            CheckpointError: Something is missing or of another network.
        """
        checkpoint.fill(self.network, under("network/", tensors), where)
        if self._mean:
            checkpoint.fill(self._mean.network, under("averaged/", tensors), where)
        for name, parameter in self.network.named_parameters():
            state = {"step": torch.tensor(float(steps), device=parameter.device if self._fused else "cpu")}
            for prefix, key in _MOMENTS.items():
                moment = tensors.get(prefix + name)
                if moment is None or moment.shape != parameter.shape:
                    raise CheckpointError(f"{where} lacks {prefix}{name}", expected=f"shape {tuple(parameter.shape)}")
                # The fused step goes through memory in order, so a moment needs the same layout as its parameter.
                state[key] = torch.empty_like(parameter).copy_(moment)
            self._optimizer.state[parameter] = state
        self.steps = steps

    def _fresh_network(self) -> nn.Module:
        """The network with weights drawn from the seed, or those that the configuration names."""
        with seeded(self.config.seed, "weights"):
            network = models.build(self.config.model, width=self.config.width)
        if self.config.initial is not None:
            weights, info = checkpoint.load_weights(Path(self.config.initial))
            _require_same_network(info, self.config)
            checkpoint.fill(network, weights, self.config.initial)
            self.initial = {"run": info.run, "epoch": info.epoch, "sha256": info.sha256}
            self.initial_split = (info.data_digest, info.split_digest)
        return network

    def _require_finite(self, what: str, value: float) -> None:
        """Raise before infinities or NaN reach the weights."""
        if not math.isfinite(value):
            raise DivergedError(
                f"the {what} of step {self.steps + 1} is not finite",
                expected="a finite number",
                got=value,
                remedy="lower the learning rate, or use fp32; the last checkpoint and the best weights are kept",
            )


def _require_same_network(info: checkpoint.WeightsInfo, config: TrainConfig) -> None:
    """Refuse initial weights of another network or width, and say which options would fit them."""
    if (info.model, info.width) != (config.model, config.width):
        raise CheckpointError(
            f"{config.initial} does not fit the network",
            expected=f"weights of {config.model}, width {config.width}",
            got=f"weights of {info.model}, width {info.width}",
            remedy=f"train {info.model} with --width {info.width}, or start from other weights",
        )


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name starts with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """A network's state, copied."""
    return {name: _copy(tensor) for name, tensor in network.state_dict().items()}


def _copy(tensor: Tensor) -> Tensor:
    """A copy on the CPU, laid out plainly, so that its bytes do not depend on the layout in training."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
