"""Healthy slices made from slices with a tumour: the tumour's half replaced by the other half's mirror image.

Slices without tumour are mostly those above and below one, so that a network comes to expect a tumour at mid-height.
The slices made here are at that height and hold none.

Legend: N batch, C channels, H rows, W columns; coordinates are in [-1, 1], x before y, as `grid_sample` takes them.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.draws import uniform

SEAM = 1.0
"""Pixels over which one half passes into the other."""


def make_healthy(
    images: Tensor, masks: Tensor, midlines: Tensor, config: AugmentConfig, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Replace the tumour's half in some of the slices that allow it.

    Args:
        images: (N, C, H, W) float32.
        masks: (N, 1, H, W) float32.
        midlines: (N, 4) float32: cosine and sine of the midline's angle, its offset in [-1, 1], and the side of the
            tumour, -1 or 1; 0 where the tumour crosses the midline or there is none.
        config: `healthy` is the chance of each slice that allows it.
        generator: Source of every draw.

    Returns:
        Images and masks of the same shapes.
    """
    if not config.healthy:
        return images, masks
    take = (uniform((images.shape[0],), generator) < config.healthy) & (midlines[:, 3] != 0)
    take = take.view(-1, 1, 1, 1)
    return torch.where(take, replace_half(images, midlines), images), masks * ~take


def replace_half(images: Tensor, midlines: Tensor) -> Tensor:
    """Every slice with the half on its tumour's side replaced by the mirror image of the other.

    Args:
        images: (N, C, H, W) float32.
        midlines: (N, 4) float32, as `make_healthy` takes them.

    Returns:
        (N, C, H, W) float32; where the side is 0, half of the slice is mixed with its mirror image and has no use.
    """
    height, width = images.shape[2:]
    cosine, sine, offset, side = (column.view(-1, 1, 1) for column in midlines.unbind(dim=1))
    y, x = torch.meshgrid(_centres(height, images), _centres(width, images), indexing="ij")
    across, along = cosine * x + sine * y, cosine * y - sine * x
    mirrored = 2 * offset - across
    grid = torch.stack([cosine * mirrored - sine * along, sine * mirrored + cosine * along], dim=3)
    other = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    weight = torch.sigmoid(side * (across - offset) * width / (2 * SEAM)).unsqueeze(1)
    return torch.lerp(images, other, weight)


def _centres(count: int, like: Tensor) -> Tensor:
    """(count,) coordinates of the pixels' centres along an axis."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1
