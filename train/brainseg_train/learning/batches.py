"""Batches of slices straight from arrays in memory: no worker processes and no Python for a single slice.

Legend: N slices in all, B in a batch, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brainseg_train.learning.randomness import generator

MEMORY_LIMIT = 4 << 30
"""Bytes of pixels up to which a subset is copied to the device; the whole set of 3,929 slices takes 250 MB."""


class Batches:
    """Some rows of the data set's arrays, gathered a batch at a time onto a device.

    Args:
        images_nhwc: (N, H, W, 3) uint8, in memory or mapped.
        masks_nhw: (N, H, W) uint8, 0 or 1.
        rows: (M,) which of them the batches are drawn from; a position below M means a place in this list.
        device: Where batches are wanted.
        memory_limit: Bytes above which the arrays stay where they are and each batch is read from there.
    """

    def __init__(
        self,
        images_nhwc: NDArray[np.uint8],
        masks_nhw: NDArray[np.uint8],
        rows: NDArray[np.intp],
        device: torch.device,
        *,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self.rows = rows
        self.device = device
        self._mapped = (images_nhwc, masks_nhw)
        slice_bytes = 0 if len(images_nhwc) == 0 else images_nhwc[0].nbytes + masks_nhw[0].nbytes
        self.in_memory = slice_bytes * len(rows) <= memory_limit
        if self.in_memory:
            self._held = (_to_device(images_nhwc[rows], device), _to_device(masks_nhw[rows], device))

    def __len__(self) -> int:
        """M, the number of slices."""
        return len(self.rows)

    def has_tumour(self) -> NDArray[np.bool_]:
        """(M,) whether each slice has any tumour pixel."""
        masks = self._mapped[1]
        return np.fromiter((masks[row].any() for row in self.rows), dtype=np.bool_, count=len(self.rows))

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Gather a batch.

        Args:
            positions: (B,) int64 on the CPU, each below M.

        Returns:
            Images (B, 3, H, W) float32 in [0, 1], channels last in memory, and masks (B, 1, H, W) float32, 0 or 1.
        """
        images, masks = self._gather(positions)
        return images.permute(0, 3, 1, 2).to(torch.float32) / 255.0, masks.unsqueeze(1).to(torch.float32)

    def _gather(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """The uint8 pixels of a batch on the device."""
        if self.in_memory:
            here = positions.to(self.device)
            return self._held[0][here], self._held[1][here]
        rows = self.rows[positions.numpy()]
        return _to_device(self._mapped[0][rows], self.device), _to_device(self._mapped[1][rows], self.device)


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """Which slices an epoch takes, in which batches; the same for every process.

    Attributes:
        has_tumour: (M,) bool, for each slice.
        batch: Slices a step.
        empty_fraction: Fraction of the slices without tumour that an epoch draws, in [0, 1].
        seed: The run's seed.
    """

    has_tumour: NDArray[np.bool_]
    batch: int
    empty_fraction: float
    seed: int

    @property
    def slices(self) -> int:
        """Slices that an epoch draws, before the last incomplete batch is left out."""
        tumour = int(self.has_tumour.sum())
        return tumour + round(self.empty_fraction * (len(self.has_tumour) - tumour))

    @property
    def steps(self) -> int:
        """Steps an epoch. An incomplete last batch is left out (the next epoch has another order), unless it is all."""
        return max(1, self.slices // self.batch)

    def batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Positions of each step's slices: (batch,) int64 each, or fewer where there are no more.

        Args:
            epoch: Number of the epoch, from 1.
        """
        source = generator(self.seed, "order", epoch)
        tumour, empty = (torch.from_numpy(np.flatnonzero(self.has_tumour == wanted)) for wanted in (True, False))
        drawn = empty[torch.randperm(len(empty), generator=source)[: self.slices - len(tumour)]]
        everything = torch.cat([tumour, drawn])
        order = everything[torch.randperm(len(everything), generator=source)]
        return tuple(order[start : start + self.batch] for start in range(0, self.steps * self.batch, self.batch))


def _to_device(array: NDArray[np.uint8], device: torch.device) -> Tensor:
    """A copy of an array on a device; the array may be mapped read-only, which a tensor must not share."""
    return torch.from_numpy(np.array(array)).to(device)
