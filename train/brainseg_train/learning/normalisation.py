"""Batch normalisation over a batch that several processes share: the statistics of all of its slices.

Every process normalises its own slices with the mean and the variance of the whole batch, so that N processes train the
network that one process would train, whatever N is. PyTorch's own `SyncBatchNorm` computes on GPUs only.

Legend: B slices of the batch that this process takes, C channels, H rows, W columns, N processes.
Source: Ioffe and Szegedy, Batch Normalization, 2015, algorithm 1 and the gradients after it; Chan, Golub and LeVeque,
Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979, eq. 2.1, for variances of parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from brainseg_train.learning.distributed import Group


class GroupBatchNorm(nn.BatchNorm2d):
    """`BatchNorm2d` whose statistics in training are those of the slices of all processes.

    Its parameters and buffers are those of the layer that it takes the place of, under the same names.

    Args:
        layer: The layer, with weights, running statistics and a momentum.
        group: The processes that share each batch.
    """

    def __init__(self, layer: nn.BatchNorm2d, group: Group) -> None:
        super().__init__(layer.num_features, eps=layer.eps, momentum=layer.momentum)
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked
        self._group = group

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) float to the same shape and type."""
        if not self.training:
            return super().forward(x)
        mean, variance, count = _statistics(x.detach(), self._group)
        with torch.no_grad():
            self._follow(mean, variance * (count / max(count - 1.0, 1.0)))
        normalised = _Normalise.apply(x, self.weight, self.bias, mean, variance, count, self.eps, self._group)  # type: ignore[no-untyped-call]
        return cast("Tensor", normalised)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch, as `BatchNorm2d` does."""
        momentum = 0.1 if self.momentum is None else self.momentum
        for running, now in ((self.running_mean, mean), (self.running_var, variance)):
            if running is not None:
                running.mul_(1 - momentum).add_(now, alpha=momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def normalise_together(network: nn.Module, group: Group) -> None:
    """Let every batch normalisation of a network take the statistics of all processes; one process changes nothing.

    Args:
        network: Changed in place; the names of its weights stay.
        group: The processes that share each batch.
    """
    if group.size == 1:
        return
    for name, layer in network.named_children():
        if isinstance(layer, nn.BatchNorm2d):
            setattr(network, name, GroupBatchNorm(layer, group))
        else:
            normalise_together(layer, group)


def _statistics(x: Tensor, group: Group) -> tuple[Tensor, Tensor, float]:
    """(C,) mean and variance of the whole batch, not corrected, float32 or float64; and how many pixels it has."""
    x = x if x.dtype == torch.float64 else x.float()
    variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
    pixels = torch.full_like(mean[:1], x.numel() // x.shape[1])
    means, variances, counts = group.gather(torch.cat([mean, variance, pixels])).split([len(mean), len(mean), 1], dim=1)
    shares = counts / counts.sum()
    whole = (shares * means).sum(dim=0)
    return whole, (shares * (variances + (means - whole).square())).sum(dim=0), float(counts.sum())


class _Normalise(torch.autograd.Function):
    """Normalisation with given statistics; the gradient knows that they are those of the slices themselves."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - `apply` takes them by position, and the layer consists of them
        context: Any,  # noqa: ANN401 - PyTorch's own context
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: float,
        eps: float,
        group: Group,
    ) -> Tensor:
        context.save_for_backward(x, weight, mean, variance)
        context.count, context.eps, context.group = count, eps, group
        return functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight, mean, variance = context.saved_tensors
        scale = torch.rsqrt(variance + context.eps)
        # PyTorch's kernel for fixed statistics gives the first term of the input's gradient and both sums over it.
        direct, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient,
            x,
            weight,
            mean,
            variance,
            None,
            None,
            False,
            context.eps,
            [True, True, True],
        )
        sums = context.group.sum(torch.cat([of_weight, of_bias])) / context.count
        slope = weight * scale.square() * sums[: len(mean)]
        offset = weight * scale * sums[len(mean) :] - slope * mean
        through_statistics = torch.addcmul(_by_channel(offset), _by_channel(slope), x.to(slope.dtype))
        return (direct - through_statistics).to(x.dtype), of_weight, of_bias, None, None, None, None, None


def _by_channel(values: Tensor) -> Tensor:
    """(1, C, 1, 1) of (C,)."""
    return values.view(1, -1, 1, 1)
