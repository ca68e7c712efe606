"""The baseline that every network should beat: the best single brightness threshold on FLAIR.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brainseg_runtime.metrics.counts import count, dice, dice_of_sizes
from brainseg_train.learning.augment import FLAIR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split

LEVELS = 256
"""Of intensity in 8 bits."""


def threshold_dice(dataset: DataSet, split: Split) -> float:
    """Mean volume Dice over the validation patients of the threshold that is best on the training slices.

    At the network's size and from the cache, as the validation Dice that selects among epochs.

    Returns:
        In [0, 1].
    """
    train = split.indices(dataset, "train")
    threshold = best_threshold(dataset.images[train][..., FLAIR], dataset.masks[train])
    rows = split.indices(dataset, "validation")
    patients = dataset.patient_of_slice[rows]
    scores = []
    for patient in np.unique(patients):
        mine = rows[patients == patient]
        scores.append(dice(count(dataset.images[mine][..., FLAIR] >= threshold, dataset.masks[mine].astype(bool))))
    return float(np.mean(scores))


def best_threshold(flair_nhw: NDArray[np.uint8], truth_nhw: NDArray[np.uint8]) -> int:
    """The lowest intensity that counts as tumour for the highest Dice over all pixels.

    Args:
        flair_nhw: (N, H, W) uint8.
        truth_nhw: (N, H, W) uint8, 0 or 1.

    Returns:
        In [0, 255]; pixels at or above it are tumour.
    """
    inside = np.bincount(flair_nhw[truth_nhw.astype(bool)].ravel(), minlength=LEVELS)
    everywhere = np.bincount(flair_nhw.ravel(), minlength=LEVELS)
    true_positive = inside[::-1].cumsum()[::-1]
    positive = np.maximum(1, everywhere[::-1].cumsum()[::-1])  # a level that marks nothing is never the best
    return int(dice_of_sizes(true_positive, positive, inside.sum()).argmax())
