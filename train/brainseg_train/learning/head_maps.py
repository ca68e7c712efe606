"""The maps of heads that some augmentations need, gathered a batch at a time as the slices themselves are.

Legend: N slices in all, M of them drawn from, B in a batch, H rows, W columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brainseg_train.config import AugmentConfig
from brainseg_train.data.dataset import DataSet
from brainseg_train.data.head_maps import StoredMaps, open_or_make


class HeadMaps(NamedTuple):
    """What some augmentations need to know of the heads of a batch."""

    brain: Tensor
    """(B, 1, H, W) float32 in [0, 1]."""
    depth: Tensor
    """(B, 1, H, W) float32: distance of each pixel of the head from its outline, pixels; 0 outside."""
    midlines: Tensor
    """(B, 4) float32, as `healthy.make_healthy` takes them."""


class HeadMapFeed:
    """Maps of some rows of a data set, held on a device: 32 KiB a slice.

    Args:
        maps: Of all slices.
        rows: (M,) which of them the batches are drawn from; a position below M means a place in this list.
        device: Where batches are wanted.
    """

    def __init__(self, maps: StoredMaps, rows: NDArray[np.intp], device: torch.device) -> None:
        chosen = torch.from_numpy(rows.astype(np.int64))
        self._brain, self._depth, self._midlines = (
            each[chosen].to(device) for each in (maps.brain, maps.depth, maps.midlines)
        )

    def batch(self, positions: Tensor) -> HeadMaps:
        """Gather the maps of a batch.

        Args:
            positions: (B,) int64 on the CPU, each below M.
        """
        here = positions.to(self._brain.device)
        brain, depth = (each[here].unsqueeze(1).to(torch.float32) for each in (self._brain, self._depth))
        return HeadMaps(brain / 255.0, depth, self._midlines[here])


def feed_for(
    config: AugmentConfig, dataset: DataSet, rows: NDArray[np.intp], device: torch.device
) -> HeadMapFeed | None:
    """The maps that an augmentation needs, made in the cache if they are not there yet; None if it needs none.

    Raises:
        CacheError: They cannot be written into the cache.
    """
    if not (config.scalp or config.healthy):
        return None
    return HeadMapFeed(open_or_make(dataset), rows, device)
