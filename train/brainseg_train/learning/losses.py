"""Binary cross-entropy and soft Dice on logits, and their weighted sum, the loss that every network is trained with.

Legend: N batch, H rows, W columns; target is 0 or 1.
Sources: Milletari et al., V-Net, 2016, eq. 3, with the squared terms left linear and sums over the whole batch, so that
empty slices count as pixels, not as slices that are all or nothing; Lin et al., Focal Loss, 2017, eq. 4, without alpha;
Salehi et al., Tversky loss, 2017, eq. 3, of which Dice is the case of equal weights.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from brainseg_train.config import LossConfig
from brainseg_train.errors import ShapeError

AllReduce = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes and passes gradients to this one's part; the identity in one process."""


def segmentation_loss(
    logits: Tensor, target: Tensor, config: LossConfig | None = None, *, all_reduce: AllReduce | None = None
) -> Tensor:
    """Weighted sum of cross-entropy and soft Dice over a batch.

    Args:
        logits: (N, 1, H, W) float, any range; computed in float32 where it is stored in less.
        target: (N, 1, H, W), 0 or 1.
        config: Weights; the plain sum of both terms if not given.
        all_reduce: Sums each term's sums over all processes, so that the loss is the global batch's.

    Returns:
        Scalar float32, or float64 where the logits are, at least 0.

    Raises:
        ShapeError: The two shapes differ.
    """
    config = config or LossConfig()
    _check(logits, target)
    wide = logits.dtype if logits.dtype == torch.float64 else torch.float32
    logits, target = logits.to(wide), target.to(wide)
    loss = logits.new_zeros(())
    if config.bce:
        loss = loss + config.bce * cross_entropy(logits, target, focal_gamma=config.focal_gamma, all_reduce=all_reduce)
    if config.dice:
        loss = loss + config.dice * dice_loss(logits, target, miss_weight=config.miss_weight, all_reduce=all_reduce)
    if config.boundary:
        loss = loss + config.boundary * boundary_loss(logits, target, all_reduce=all_reduce)
    return loss


def cross_entropy(
    logits: Tensor, target: Tensor, *, focal_gamma: float = 0.0, all_reduce: AllReduce | None = None
) -> Tensor:
    """Mean binary cross-entropy over all pixels, weighted by (1 - p_true)^gamma when gamma is above 0.

    Args:
        logits: Float tensor of any shape and range.
        target: Float tensor of the same shape, 0 or 1.
        focal_gamma: Exponent, at least 0.
        all_reduce: Sums over all processes.

    Returns:
        Scalar, at least 0.
    """
    per_pixel = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if focal_gamma:
        wrong = torch.sigmoid(torch.where(target > 0.5, -logits, logits))
        per_pixel = per_pixel * wrong**focal_gamma
    if all_reduce is None:
        return per_pixel.mean()
    total, pixels = all_reduce(torch.stack([per_pixel.sum(), per_pixel.new_tensor(per_pixel.numel())]))
    mean: Tensor = total / pixels
    return mean


def dice_loss(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 1.0,
    miss_weight: float = 0.5,
    all_reduce: AllReduce | None = None,
) -> Tensor:
    """One minus the soft Dice of the whole batch; not the Dice of the metrics, since it must have a gradient.

    Args:
        logits: Float tensor of any shape and range.
        target: Float tensor of the same shape, 0 or 1.
        smooth: Pixels added to both sums, so that an empty pair scores 1 and has a gradient.
        miss_weight: Weight of missed against false pixels, in (0, 1); 0.5 is Dice.
        all_reduce: Sums over all processes.

    Returns:
        Scalar in [0, 1].

    Examples:
        >>> certain = torch.tensor([[[[20.0, -20.0]]]])
        >>> round(dice_loss(certain, torch.tensor([[[[1.0, 0.0]]]])).item(), 3)
        0.0
    """
    probability = torch.sigmoid(logits)
    sums = torch.stack([(probability * target).sum(), probability.sum(), target.sum()])
    hit, predicted, true = all_reduce(sums) if all_reduce else sums
    denominator = hit + miss_weight * (true - hit) + (1 - miss_weight) * (predicted - hit)
    loss: Tensor = 1 - (2 * hit + smooth) / (2 * denominator + smooth)
    return loss


def boundary_loss(logits: Tensor, target: Tensor, *, reach: int = 2, all_reduce: AllReduce | None = None) -> Tensor:
    """Mean binary cross-entropy over the pixels along the tumour's outline.

    Args:
        logits: (N, 1, H, W) float of any range.
        target: (N, 1, H, W) float, 0 or 1.
        reach: How far the outline's band goes to either side, pixels: those that see both tumour and none within it.
        all_reduce: Sums over all processes, whose slices have outlines of different lengths.

    Returns:
        Scalar, at least 0; 0 where there is no outline.
    """
    window = 2 * reach + 1
    grown = functional.max_pool2d(target, window, stride=1, padding=reach)
    shrunk = -functional.max_pool2d(-target, window, stride=1, padding=reach)
    band = grown - shrunk
    per_pixel = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    sums = torch.stack([(per_pixel * band).sum(), band.sum()])
    wrong, pixels = all_reduce(sums) if all_reduce else sums
    loss: Tensor = wrong / pixels.clamp(min=1.0)
    return loss


def _check(logits: Tensor, target: Tensor) -> None:
    if logits.shape != target.shape:
        raise ShapeError(
            "logits and target differ in shape", expected=str(tuple(logits.shape)), got=str(tuple(target.shape))
        )
