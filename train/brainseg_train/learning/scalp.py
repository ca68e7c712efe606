"""Scalp dimmed, brightened or removed: what fat suppression, other scanners and skull stripping do to a slice.

In the training set fat is bright on every sequence, so that a network learns to lean on a bright rim. Here everything
outside the brain is multiplied by a factor of its own for each sequence; the tumour and two pixels around it are
spared, so that no target is left without its pixels.

Legend: N batch, H rows, W columns; channels are pre-contrast, FLAIR, post-contrast.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.draws import chosen, uniform

SPARED = 2
"""Pixels around the tumour that stay as they are."""

RIM = (4.0, 11.0)
"""Thickness of skull and scalp, pixels of 128, where it is drawn rather than taken from the brain's map."""


def vary_scalp(
    images: Tensor, masks: Tensor, brain: Tensor, depth: Tensor, config: AugmentConfig, generator: Generator
) -> Tensor:
    """Multiply what lies outside the brain, slice by slice.

    In half of the slices the brain is its map, in the other half the head without a rim of random thickness: no map is
    right everywhere, and no other tool's brain has the same edge.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].
        masks: (N, 1, H, W) float32 in [0, 1].
        brain: (N, 1, H, W) float32 in [0, 1].
        depth: (N, 1, H, W) float32, distance of each pixel of the head from its outline, pixels; 0 outside.
        config: `scalp` is the chance of each slice.
        generator: Source of every draw.

    Returns:
        (N, 3, H, W) float32 in [0, 1], scaled down again where a brightened scalp went beyond 1.
    """
    if not config.scalp:
        return images
    count = images.shape[0]
    rim = uniform((count, 1, 1, 1), generator, *RIM)
    inside = torch.where(chosen(count, 0.5, generator), brain, (depth - rim + 0.5).clamp(0.0, 1.0))
    spared = functional.max_pool2d(masks, 2 * SPARED + 1, stride=1, padding=SPARED)
    outside = 1.0 - torch.maximum(inside, spared)
    outside = outside * chosen(count, config.scalp, generator)
    varied = images * (1.0 - outside * (1.0 - _factors(count, generator)))
    return varied / varied.amax(dim=(2, 3), keepdim=True).clamp(min=1.0)


def _factors(count: int, generator: Generator) -> Tensor:
    """(N, 3, 1, 1): in three of ten slices 0, else FLAIR mostly dimmed and each T1 dimmed, left or brightened."""
    each = (count, 1, 1, 1)
    flair = torch.where(
        chosen(count, 0.75, generator), uniform(each, generator, 0.0, 0.8), uniform(each, generator, 1.0, 2.0)
    )
    t1 = [_t1_factor(count, generator) for _ in range(2)]
    factors = torch.cat([t1[0], flair, t1[1]], dim=1)
    return factors * ~chosen(count, 0.3, generator)


def _t1_factor(count: int, generator: Generator) -> Tensor:
    """(N, 1, 1, 1): 1 in four of ten slices, up to 1.2 in four, up to 2 in two."""
    each = (count, 1, 1, 1)
    kind = uniform(each, generator)
    dimmed, brightened = uniform(each, generator, 0.0, 1.2), uniform(each, generator, 1.0, 2.0)
    return torch.where(kind < 0.4, torch.ones_like(kind), torch.where(kind < 0.8, dimmed, brightened))
