"""Drawn heads for tests of perturbations: scalp, bone, brain, ventricles and a tumour, of known places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.perturbations.slices import TrueSlice

SCALP, BONE, BRAIN, CSF, TUMOUR = (200, 150, 205), (6, 5, 6), (90, 80, 95), (30, 12, 30), (70, 170, 75)


@dataclass(frozen=True)
class DrawnHead:
    """A slice with its true mask, and where head and brain are."""

    slice: TrueSlice
    head: NDArray[np.bool_]
    brain: NDArray[np.bool_]


def drawn_head(
    height: int = 256, width: int = 256, *, size: float = 1.0, seed: int = 0, scalp: bool = True
) -> DrawnHead:
    """An ellipse in the middle; the tumour lies on the left side, towards the front.

    Args:
        height: Of the picture.
        width: Of the picture.
        size: Of the head: 1 fills nine tenths of the shorter side.
        seed: Of the noise.
        scalp: Whether there are scalp and bone; without them the slice is skull-stripped.
    """
    rows, columns = np.mgrid[:height, :width]
    unit = 0.45 * size * min(height, width)
    y, x = (rows - (height - 1) / 2) / unit, (columns - (width - 1) / 2) / (0.8 * unit)
    radius = np.hypot(y, x)
    head, bone, brain = radius < 1, radius < 0.93, radius < 0.84
    csf = np.hypot(y * 2.5, (np.abs(x) - 0.12) * 9) < 1
    tumour = np.hypot(y + 0.35, x + 0.4) < 0.2
    image = np.zeros((height, width, 3))
    for where, levels in ((head, SCALP), (bone, BONE), (brain, BRAIN), (csf, CSF), (tumour, TUMOUR)):
        image[where] = levels
    image += np.random.default_rng(seed).normal(0, 2, image.shape)
    if not scalp:
        image[~brain] = 0
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return DrawnHead(TrueSlice(pixels, tumour.astype(np.uint8)), head if scalp else brain, brain)
