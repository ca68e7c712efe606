"""Masks, probabilities and truths to score, made a slice at a time, so that no way of scoring has to hold them all.

Their shape is that of real ones: most pixels near 0, a blob in every third slice.

Legend: H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE = 256

Scored: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]
"""Mask, probability and truth, of one form."""


def made_volume(count: int) -> Scored:
    """All of them at once, as scikit-learn wants them: each (N, H, W)."""
    mask, probability, truth = (np.empty((count, SIDE, SIDE), kind) for kind in (np.uint8, np.float32, np.uint8))
    for index, made in enumerate(made_slices(count)):
        mask[index], probability[index], truth[index] = made
    return mask, probability, truth


def made_slices(count: int) -> Iterator[Scored]:
    """So many slices, each (H, W), the same ones each time."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    for index in range(count):
        radius = 0.12 if index % 3 == 0 else 0.0
        distance = np.hypot(rows - rng.uniform(-0.2, 0.2), columns - rng.uniform(-0.2, 0.2))
        logits = 40 * (radius - distance) + rng.normal(0, 1.5, distance.shape)
        probability = (1 / (1 + np.exp(-logits))).astype(np.float32)
        yield (probability >= 0.5).astype(np.uint8), probability, (distance < radius).astype(np.uint8)
