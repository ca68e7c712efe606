"""The brain's midline in each slice, and on which side of it the tumour lies.

A slice is compared with its mirror image about many lines; the line of the least squared difference, averaged over
neighbouring slices of the patient, is the midline. Augmentation replaces the tumour's half by the other half's mirror
image (`learning.healthy`), so a slice counts only where the head is symmetric enough and the tumour keeps to one side.

Legend: N slices of one patient, H rows, W columns; coordinates are in [-1, 1], x before y, as `grid_sample` takes them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from brainseg_train.data.head import MAX_DEPTH

ANGLES: Final = tuple(range(-20, 21, 2))
"""Degrees that are tried."""
OFFSETS: Final = tuple(range(-10, 11))
"""Shifts of the mirror image that are tried, pixels of the halved slice."""
NEIGHBOURS: Final = 5
"""Slices over which the differences are averaged."""
MAX_DIFFERENCE: Final = 0.03
"""Squared difference between a slice and its mirror image, relative to the slice, above which no line is trusted."""
_TOLERANCE: Final = 1.5
"""Pixels that a tumour may reach over the line."""
_DARK: Final = 20.0
"""Least grey value that a slice's brightest pixel counts as."""


def find_midlines(
    images_nhwc: NDArray[np.uint8], depths_nhw: NDArray[np.uint8], masks_nhw: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Midlines of one patient's slices.

    Args:
        images_nhwc: (N, H, W, 3) uint8, in order; H and W are equal and even.
        depths_nhw: (N, H, W) uint8, pixels from the head's outline, at most `MAX_DEPTH`.
        masks_nhw: (N, H, W) uint8, 0 or 1.

    Returns:
        (N, 4) float32: cosine and sine of the midline's angle, its offset in [-1, 1], and the side of the tumour, -1 or
        1; 0 where there is no tumour, where it crosses the line, or where the line is not to be trusted.

    Examples:
        >>> images = np.zeros((1, 128, 128, 3), np.uint8)
        >>> images[:, 20:100, 30:90] = 120
        >>> masks = np.zeros((1, 128, 128), np.uint8)
        >>> masks[:, 40:50, 70:80] = 1
        >>> find_midlines(images, images[..., 0] // 8, masks).tolist()
        [[1.0, 0.0, -0.0625, 1.0]]
    """
    features = _features(images_nhwc, depths_nhw)
    differences = _differences(features)
    averaged = ndimage.uniform_filter1d(differences, NEIGHBOURS, axis=0, mode="nearest")
    angle, offset = np.unravel_index(averaged.reshape(len(averaged), -1).argmin(axis=1), averaged.shape[1:])
    energy = features.square().mean(dim=(1, 2, 3)).clamp(min=1e-4).numpy()
    difference = differences[np.arange(len(differences)), angle, offset] / energy
    radians = np.radians(np.array(ANGLES, dtype=np.float64)[angle])
    side = features.shape[-1]
    lines = np.stack([np.cos(radians), np.sin(radians), np.array(OFFSETS)[offset] / side], axis=1)
    sides = [_tumour_side(mask, *line) for mask, line in zip(masks_nhw, lines, strict=True)]
    trusted = np.where(difference > MAX_DIFFERENCE, 0.0, sides)
    return np.concatenate([lines, trusted[:, None]], axis=1).astype(np.float32)


def _features(images_nhwc: NDArray[np.uint8], depths_nhw: NDArray[np.uint8]) -> Tensor:
    """(N, 3, H / 2, W / 2) float64: FLAIR and pre-contrast, each relative to its peak, and depth; smoothed."""
    images = torch.from_numpy(np.array(images_nhwc)).permute(0, 3, 1, 2).double()
    channels = [images[:, c : c + 1] for c in (1, 0)]
    relative = [channel / channel.amax(dim=(2, 3), keepdim=True).clamp(min=_DARK) for channel in channels]
    depth = torch.from_numpy(np.array(depths_nhw))[:, None].double() / MAX_DEPTH
    halved = functional.avg_pool2d(torch.cat([*relative, depth], dim=1), 2)
    return functional.avg_pool2d(halved, 3, stride=1, padding=1)


def _differences(features: Tensor) -> NDArray[np.float64]:
    """(N, angles, offsets): mean squared difference between each slice and its mirror image about each line."""
    count = len(features)
    found = np.empty((count, len(ANGLES), len(OFFSETS)))
    for a, angle in enumerate(math.radians(degrees) for degrees in ANGLES):
        cosine, sine = math.cos(angle), math.sin(angle)
        matrix = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]], dtype=features.dtype)
        grid = functional.affine_grid(matrix.expand(count, -1, -1), list(features.shape), align_corners=False)
        turned = functional.grid_sample(features, grid, align_corners=False)
        found[:, a] = _mirror_differences(turned)[:, list(OFFSETS)].numpy()
    return found


def _mirror_differences(features: Tensor) -> Tensor:
    """(N, W): mean squared difference between each slice and its mirror image, shifted round by 0 to W - 1 pixels.

    The squares of both do not change with the shift, and their product at every shift is one circular correlation.
    """
    width = features.shape[3]
    spectrum, mirrored = torch.fft.rfft(features), torch.fft.rfft(features.flip(3))
    product: Tensor = torch.fft.irfft(spectrum * mirrored.conj(), n=width).sum(dim=(1, 2))
    energy = features.square().sum(dim=(1, 2, 3))
    difference: Tensor = 2 * (energy[:, None] - product) / features[0].numel()
    return difference


def _tumour_side(mask_hw: NDArray[np.uint8], cosine: float, sine: float, offset: float) -> float:
    """1 where the tumour lies on the positive side of a line, -1 on the negative, 0 on both or where there is none."""
    rows, columns = np.nonzero(mask_hw)
    if not len(rows):
        return 0.0
    height, width = mask_hw.shape
    x, y = (2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1
    across = cosine * x + sine * y - offset
    tolerance = 2 * _TOLERANCE / width
    if (across > -tolerance).all():
        return 1.0
    return -1.0 if (across < tolerance).all() else 0.0
