"""Perturbations of what surrounds the brain: the scalp dimmed, brightened or removed. The mask stays.

Which pixels are brain comes from the pixels alone, never from the truth: where the brain mask cuts off a part of a
tumour, that part is dimmed like scalp, and the score says so.

Legend: H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.morphology import smoothed
from brainseg_runtime.perturbations.slices import TrueSlice


def scale_scalp(one: TrueSlice, factor: ArrayLike, brain: NDArray[np.bool_]) -> TrueSlice:
    """Everything but the brain times a factor: below 1 as by fat suppression on FLAIR, above 1 as by a surface coil.

    The factor changes over about two pixels at the brain's outline, so that no edge is drawn there.

    Args:
        one: The slice.
        factor: 0 or more; one number, or one for each channel.
        brain: (H, W) bool.

    Raises:
        ArgumentError: The factor is negative, or the brain has another size.
    """
    factors = np.broadcast_to(np.asarray(factor, np.float64), 3)
    if (factors < 0).any():
        raise ArgumentError("factor is out of range", expected="0 or more", got=factors.tolist())
    inside = smoothed(_covering(brain, one), 0.8)[..., None]
    return one.with_image(one.image * (inside + (1 - inside) * factors))


def strip(one: TrueSlice, brain: NDArray[np.bool_]) -> TrueSlice:
    """Everything but the brain set to 0, as skull-stripping leaves it.

    Args:
        one: The slice.
        brain: (H, W) bool.

    Raises:
        ArgumentError: The brain has another size.
    """
    return one.with_image(one.image * _covering(brain, one)[..., None].astype(np.uint8))


def _covering(brain: NDArray[np.bool_], one: TrueSlice) -> NDArray[np.bool_]:
    """The brain, if it has the slice's size."""
    if brain.shape != one.mask.shape:
        raise ArgumentError("the brain does not cover the slice", expected=one.mask.shape, got=brain.shape)
    return brain
