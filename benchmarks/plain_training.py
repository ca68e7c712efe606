"""Training as most would write it: a Dataset that reads a slice at a time, a DataLoader, an fp32 loop with Adam.

The network and the loss are those of `brainseg_train`, so that what differs is the way of feeding and computing alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from brainseg_train.learning.losses import segmentation_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Slices(Dataset[tuple[Tensor, Tensor]]):
    """One slice at a time, scaled and turned on the fly."""

    def __init__(self, images_nhwc: NDArray[np.uint8], masks_nhw: NDArray[np.uint8]) -> None:
        self._images, self._masks = images_nhwc, masks_nhw

    def __len__(self) -> int:
        """Number of slices."""
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) float32 in [0, 1] and mask (1, H, W) float32."""
        image = np.asarray(self._images[index], dtype=np.float32).transpose(2, 0, 1) / 255.0
        mask = np.asarray(self._masks[index], dtype=np.float32)[None]
        return torch.from_numpy(image), torch.from_numpy(mask)


def train_epoch(network: nn.Module, slices: Slices, *, batch: int, rate: float = 3e-4) -> int:
    """One epoch in fp32.

    Returns:
        How many slices the network saw.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    network.train()
    seen = 0
    for images, masks in DataLoader(slices, batch_size=batch, shuffle=True, drop_last=True):
        loss = segmentation_loss(network(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += len(images)
    return seen
