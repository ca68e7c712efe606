"""Augmentation of whole batches on the device: geometry, intensity, pasted squares, and sequences that go missing.

Every draw comes from the generator that is handed in; the same generator state gives the same batch. Geometry moves
images and masks together in one sampling step; masks are binary again afterwards.

Legend: N batch, C channels (pre-contrast, FLAIR, post-contrast), H rows, W columns.
Sources: Simard et al., 2003 (elastic); Buda et al., 2019 (rotation, scale and flip for this set); Isensee et al.,
nnU-Net, 2021 (gamma, brightness, contrast and noise); Yun et al., CutMix, 2019 (pasted squares). The ranges are those
that did best on held-out patients: wide in geometry, narrow in intensity (`docs/experiments.md`).
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.appearance import change_curves, change_detail, change_scaling
from brainseg_train.learning.draws import chosen, normal, symmetric, uniform
from brainseg_train.learning.head_maps import HeadMaps
from brainseg_train.learning.healthy import make_healthy
from brainseg_train.learning.scalp import vary_scalp

FLAIR = 1
"""Channel that replaces a missing sequence, as in the data set itself."""

BLURRED_BELOW = 0.7
"""Size below which a slice is averaged over three pixels before it is sampled, as a resize with antialiasing would."""


def augment(
    images_nchw: Tensor,
    masks_n1hw: Tensor,
    config: AugmentConfig,
    generator: Generator,
    maps: HeadMaps | None = None,
) -> tuple[Tensor, Tensor]:
    """Augment a batch; the inputs are left as they are.

    Args:
        images_nchw: (N, 3, H, W) float32 in [0, 1].
        masks_n1hw: (N, 1, H, W) float32, 0 or 1.
        config: Ranges.
        generator: Source of every draw, on the tensors' device.
        maps: Of the slices' heads; without them no scalp is changed and no healthy slice made.

    Returns:
        Images and masks of the same shapes, dtypes and ranges.
    """
    images, masks = images_nchw, masks_n1hw
    if maps is not None:
        images = vary_scalp(images, masks, maps.brain, maps.depth, config, generator)
        images, masks = make_healthy(images, masks, maps.midlines, config, generator)
    images = change_curves(images, config, generator)
    images = change_detail(images, config, generator)
    images = change_scaling(images, config, generator)
    images, masks = move(images, masks, config, generator)
    images = change_intensity(images, config, generator)
    images, masks = paste_squares(images, masks, config, generator)
    images = swap_t1(images, config, generator)
    return drop_sequences(images, config, generator), masks


def move(images: Tensor, masks: Tensor, config: AugmentConfig, generator: Generator) -> tuple[Tensor, Tensor]:
    """Flip, affine and elastic motion of images and masks in one bilinear sampling; outside is black and no tumour.

    Args:
        images: (N, C, H, W) float32.
        masks: (N, 1, H, W) float32, 0 or 1.
        config: Ranges.
        generator: Source of every draw.

    Returns:
        Moved images, and masks cut at one half, so that they stay 0 or 1.
    """
    batch, channels, height, width = images.shape
    matrices = affine_matrices(batch, config, generator)
    together = torch.cat([images, masks], dim=1)
    if config.zoom_out:
        together, matrices = _zoom_out(together, matrices, config, generator)
    grid = functional.affine_grid(matrices, [batch, 1, height, width], align_corners=False)
    if config.elastic:
        grid = grid + _smooth_field(batch, 2, height, width, 2 * config.elastic, generator)
    moved = functional.grid_sample(together, grid, mode="bilinear", align_corners=False)
    return moved[:, :channels], (moved[:, channels:] >= 0.5).to(masks.dtype)


def _zoom_out(maps: Tensor, matrices: Tensor, config: AugmentConfig, generator: Generator) -> tuple[Tensor, Tensor]:
    """Make the head smaller in some slices: maps blurred where sampling would skip pixels, and changed matrices."""
    batch = maps.shape[0]
    smaller = uniform((batch,), generator) < config.zoom_out
    size = 1.0 - smaller * uniform((batch,), generator, 0.0, 1.0 - config.zoom_least)
    blurred = functional.avg_pool2d(maps, 3, stride=1, padding=1)
    maps = torch.where(size.view(-1, 1, 1, 1) < BLURRED_BELOW, blurred, maps)
    return maps, matrices / size.view(-1, 1, 1)


def affine_matrices(batch: int, config: AugmentConfig, generator: Generator) -> Tensor:
    """(N, 2, 3) float32 maps from the result's coordinates to the source's, both in [-1, 1], x before y."""
    angle = symmetric((batch,), math.radians(config.rotation), generator)
    size = torch.exp(symmetric((batch,), config.scale, generator))
    shear = symmetric((batch,), config.shear, generator)
    mirror = 1.0 - 2.0 * (uniform((batch,), generator) < config.flip)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    shift = [symmetric((batch,), 2 * config.translation, generator) for _ in range(2)]
    rows = [mirror * cosine / size, (shear * cosine - sine) / size, shift[0]]
    columns = [mirror * sine / size, (shear * sine + cosine) / size, shift[1]]
    return torch.stack([torch.stack(rows, dim=1), torch.stack(columns, dim=1)], dim=1)


def change_intensity(images: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Gamma, contrast, brightness, bias field and noise; the result is cut to [0, 1].

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        config: Ranges.
        generator: Source of every draw.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    batch, channels, height, width = images.shape
    each = (batch, channels, 1, 1)
    if config.gamma:
        images = images.clamp(min=1e-6).pow_(torch.exp(symmetric(each, config.gamma, generator)))
    if config.contrast or config.brightness:
        mean = images.mean(dim=(2, 3), keepdim=True)
        gain = torch.exp(symmetric(each, config.contrast, generator))
        offset = mean * (1 - gain) + symmetric(each, config.brightness, generator)
        images = torch.addcmul(offset, images, gain)
    if config.bias_field:
        field = _smooth_field(batch, 1, height, width, config.bias_field, generator)
        images = images * torch.exp(field).permute(0, 3, 1, 2)
    if config.noise:
        deviation = config.noise * uniform((batch, 1, 1, 1), generator)
        images = torch.addcmul(images, deviation, normal((batch, channels, height, width), generator))
    return images.clamp(0.0, 1.0)


def paste_squares(images: Tensor, masks: Tensor, config: AugmentConfig, generator: Generator) -> tuple[Tensor, Tensor]:
    """Replace a square of some slices by the same square of another slice of the batch, mask and all.

    Args:
        images: (N, C, H, W) float32.
        masks: (N, 1, H, W) float32, 0 or 1.
        config: `paste` is the chance of each slice; a square's side is 30 to 70 % of the slice's height, and what
            would reach over its edge is cut off.
        generator: Source of every draw.

    Returns:
        Images and masks of the same shapes.
    """
    if not config.paste:
        return images, masks
    batch, _, height, width = images.shape
    device = generator.device
    source = uniform((batch,), generator).argsort()
    centre = uniform((batch, 2), generator)
    half = (0.15 + 0.2 * uniform((batch, 1), generator)) * height
    down = (torch.arange(height, device=device) - centre[:, :1] * height).abs() < half
    across = (torch.arange(width, device=device) - centre[:, 1:] * width).abs() < half
    chosen = uniform((batch, 1, 1), generator) < config.paste
    square = (down[:, :, None] & across[:, None, :] & chosen).unsqueeze(1)
    return torch.where(square, images[source], images), torch.where(square, masks[source], masks)


def swap_t1(images: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Exchange pre- and post-contrast in some slices.

    Args:
        images: (N, 3, H, W) float32.
        config: `swap` is the chance of each slice.
        generator: Source of every draw.

    Returns:
        (N, 3, H, W) float32.
    """
    if not config.swap:
        return images
    return torch.where(chosen(images.shape[0], config.swap, generator), images.flip(1), images)


def drop_sequences(images: Tensor, config: AugmentConfig, generator: Generator) -> Tensor:
    """Overwrite pre-contrast, post-contrast, both or neither by FLAIR or by zeros, slice by slice.

    Args:
        images: (N, 3, H, W) float32.
        config: `missing_sequence` is the chance for each of the two, `missing_zero` that zeros take the place.
        generator: Source of every draw.

    Returns:
        (N, 3, H, W) float32; FLAIR is never changed.
    """
    batch, channels = images.shape[:2]
    flair = images[:, FLAIR : FLAIR + 1]
    missing = uniform((batch, channels, 1, 1), generator) < config.missing_sequence
    if not config.missing_zero:
        return torch.where(missing, flair, images)
    place = flair * ~chosen(batch, config.missing_zero, generator)
    dropped = torch.where(missing, place, images)
    return torch.cat([dropped[:, :FLAIR], flair, dropped[:, FLAIR + 1 :]], dim=1)


def _smooth_field(
    batch: int, channels: int, height: int, width: int, deviation: float, generator: Generator, nodes: int = 6
) -> Tensor:
    """(N, H, W, C) smooth random field through nodes × nodes normal draws of the given standard deviation."""
    coarse = deviation * normal((batch, nodes, nodes, channels), generator)
    rows, columns = (_bicubic_weights(nodes, side, coarse.device) for side in (height, width))
    tall = torch.matmul(rows, coarse.reshape(batch, nodes, nodes * channels)).reshape(batch, height, nodes, channels)
    return torch.matmul(columns, tall)


def _bicubic_weights(nodes: int, side: int, device: torch.device) -> Tensor:
    """(side, nodes) matrix that interpolates one axis: bicubic resizing of each node's own peak."""
    peaks = torch.eye(nodes, device=device).reshape(1, nodes, nodes, 1)
    return functional.interpolate(peaks, size=(side, 1), mode="bicubic", align_corners=False)[0, :, :, 0].transpose(
        0, 1
    )
