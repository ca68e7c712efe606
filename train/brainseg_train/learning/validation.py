"""Validation between epochs: volume Dice of each patient, at the network's size, from the cached arrays.

It chooses among epochs and configurations and is never reported as a result: results are measured on the raw slices, at
their own size, by `brainseg_runtime.evaluation.evaluate`.

Legend: B slices in a batch, H rows, W columns, P patients.
"""

from __future__ import annotations

import statistics

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brainseg_runtime.metrics.counts import dice_of_sizes
from brainseg_train.config import LossConfig
from brainseg_train.learning.batches import Batches
from brainseg_train.learning.device import Placement
from brainseg_train.learning.distributed import Group
from brainseg_train.learning.losses import segmentation_loss

BATCH = 64
"""Slices at once: enough to fill a processor, and 200 MB at most in a network of the shipped width."""


@torch.inference_mode()
def validate(
    network: nn.Module,
    batches: Batches,
    patients: NDArray[np.intp],
    placement: Placement,
    loss: LossConfig,
    group: Group,
) -> dict[str, float]:
    """Run a network over the validation slices.

    Args:
        network: Put into evaluation mode meanwhile.
        batches: The slices.
        patients: (M,) the patient of each of them.
        placement: Device, arithmetic and layout.
        loss: The training loss's weights.
        group: Processes that share the work; all get the result.

    Returns:
        `loss`, the mean over batches; `dice`, the mean over patients of the volume's Dice; `dice_median`, `dice_min`;
        `dice_pooled`, over all pixels. A pixel is tumour from a probability of 0.5 on; a patient without tumour in
        whom none is found scores 1.
    """
    was_training = network.training
    network.eval()
    whose = torch.from_numpy(np.unique(patients, return_inverse=True)[1]).to(placement.device)
    # Rows: hit, predicted and true pixels of each patient; sums of whole numbers, so their order does not matter.
    counts = torch.zeros(3, int(whose.max()) + 1, dtype=torch.int64, device=placement.device)
    total = torch.zeros(2, dtype=torch.float64, device=placement.device if placement.device.type != "mps" else "cpu")
    for start in range(group.rank * BATCH, len(batches), BATCH * group.size):
        positions = torch.arange(start, min(start + BATCH, len(batches)))
        images, masks = batches.batch(positions)
        with placement.autocast():
            logits = network(images.contiguous(memory_format=placement.memory_format))
        counts.index_add_(1, whose[positions.to(whose.device)], _count(logits, masks))
        value = segmentation_loss(logits, masks, loss).to(total)
        total += torch.stack([value * len(positions), torch.full_like(value, len(positions))])
    network.train(was_training)
    counts, total = group.sum(counts).cpu(), group.sum(total).cpu()
    return {"loss": float(total[0] / total[1]), **_scores(counts)}


def _count(logits: Tensor, masks: Tensor) -> Tensor:
    """(3, B) int64: pixels hit, predicted and true of each slice, from (B, 1, H, W) logits and masks."""
    predicted, true = logits >= 0, masks > 0
    return torch.stack([(predicted & true).sum((1, 2, 3)), predicted.sum((1, 2, 3)), true.sum((1, 2, 3))])


def _scores(counts: Tensor) -> dict[str, float]:
    """Statistics of the patients' Dice, and Dice over all pixels, from (3, P) counts."""
    dice = dice_of_sizes(*counts.numpy()).tolist()
    return {
        "dice": statistics.fmean(dice),
        "dice_median": statistics.median(dice),
        "dice_min": min(dice),
        "dice_pooled": float(dice_of_sizes(*counts.sum(dim=1).numpy())),
    }
