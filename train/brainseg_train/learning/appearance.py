"""What other scanners, sequences and conversions to 8 bits do to the grey values: curves, detail, scaling.

Each change strikes some slices alone and leaves the others as they are, since strong changes of every slice cost Dice
(`docs/experiments.md`).

Legend: N batch, C channels (pre-contrast, FLAIR, post-contrast), H rows, W columns.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.draws import chosen, symmetric, uniform

GAMMA = 0.45
"""Largest change of a curve's gamma either way, as a natural logarithm: 0.64 to 1.57."""

BEND = 0.7
"""Largest slope that a curve's S adds or takes in the middle; below 1, so that the curve stays monotone."""


def change_curves(images: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Send each channel of some slices through a random monotone curve, between black and the channel's peak.

    The contrast of grey to white matter differs between FLAIR sequences more than by any change of brightness.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        config: `curve` is the chance of each channel of each slice.
        generator: Source of every draw.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    if not config.curve:
        return images
    each = (*images.shape[:2], 1, 1)
    peak = images.amax(dim=(2, 3), keepdim=True).clamp(min=1e-3)
    share = (images / peak).clamp(min=1e-6)
    bent = share.pow(torch.exp(symmetric(each, GAMMA, generator)))
    bent = bent + symmetric(each, BEND, generator) * torch.sin(2 * math.pi * bent) / (2 * math.pi)
    return torch.where(uniform(each, generator) < config.curve, (bent * peak).clamp(0.0, 1.0), images)


def change_detail(images: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Sharpen or blur some slices, finely and coarsely: three-dimensional FLAIR is sharper than two-dimensional.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        config: `detail` is the chance of each slice.
        generator: Source of every draw.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    if not config.detail:
        return images
    each = (*images.shape[:2], 1, 1)
    fine = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    coarse = functional.avg_pool2d(fine, 9, stride=1, padding=4, count_include_pad=False)
    changed = images + uniform(each, generator, -0.8, 1.2) * (images - fine)
    changed = changed + uniform(each, generator, -0.2, 0.6) * (fine - coarse)
    return torch.where(chosen(images.shape[0], config.detail, generator), changed.clamp(0.0, 1.0), images)


def change_scaling(images: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Scale channels of some slices as conversions to 8 bits do: by the maximum or a percentile, with clipping.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        config: `scaling` is the chance of each channel of each slice.
        generator: Source of every draw.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    if not config.scaling:
        return images
    each = (*images.shape[:2], 1, 1)
    smooth = functional.avg_pool2d(images, 5, stride=1, padding=2)
    peak = smooth.amax(dim=(2, 3), keepdim=True).clamp(min=0.02)
    scaled = (images * uniform(each, generator, 0.5, 1.2) / peak).clamp(0.0, 1.0)
    return torch.where(uniform(each, generator) < config.scaling, scaled, images)
