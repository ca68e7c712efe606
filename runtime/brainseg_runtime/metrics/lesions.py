"""Lesion-wise Dice and F1, as the BraTS challenges of 2023 and 2024 define them.

1. True lesions: the truth, grown by three steps of 18 neighbours, falls into components (26 neighbours); the true
   voxels in one of them are one lesion, so that islands beside a lesion belong to it.
2. Predicted components (26 neighbours) that touch a grown lesion are its prediction, whole; one component may belong to
   several lesions. Those that touch none are false positives.
3. A lesion's Dice compares its true voxels with its prediction; 0 where nothing touches it.
4. Lesions of no more than 50 voxels are left out, and what touches them is not a false positive either. Where the
   spacing is known, the limit is 50 mm³, as in the challenges, whose voxels measure 1 mm³.

Lesion-wise Dice is the sum of the lesions' Dice over the number of lesions and false positives; F1 is
2 TP / (2 TP + FP + FN) of lesions found, false positives and lesions missed. Both are 1 where there is neither a lesion
nor a false positive. The challenges' volumes are isotropic; between thick slices three steps reach much farther.

Legend: Z slices, Y rows, X columns.
Source: Saluja et al., BraTS 2023 performance metrics, github.com/rachitsaluja/BraTS-2023-Metrics, with the parameters
of its glioma task; the 2024 challenges kept them. F1 over the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ImageError
from brainseg_runtime.metrics.components import components, dilated
from brainseg_runtime.metrics.counts import Counts, dice_of_sizes, f1

DILATION = 3
"""Steps by which the truth is grown."""

LEAST_VOLUME = 50.0
"""Lesions up to this volume are left out; voxels, or mm³ where the spacing is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LesionCounts:
    """Lesions of one patient, or of several added up.

    Attributes:
        found: True lesions that a predicted component touches.
        missed: True lesions that none touches.
        false: Predicted components that touch no lesion.
        small: True lesions left out because they are small.
        dice_sum: Sum of the found lesions' Dice.
    """

    found: int = 0
    missed: int = 0
    false: int = 0
    small: int = 0
    dice_sum: float = 0.0

    def dice(self) -> float:
        """Lesion-wise Dice, in [0, 1].

        >>> LesionCounts(found=1, missed=1, dice_sum=0.9).dice()
        0.45
        """
        number = self.found + self.missed + self.false
        return self.dice_sum / number if number else 1.0

    def f1(self) -> float:
        """F1 of lesions found, in [0, 1].

        >>> LesionCounts(found=2, missed=1, false=1).f1()
        0.6666666666666666
        """
        return f1(Counts(tp=self.found, fp=self.false, fn=self.missed))


def lesion_counts(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    voxel_volume: float = 1.0,
    dilation: int = DILATION,
    least_volume: float = LEAST_VOLUME,
) -> LesionCounts:
    """Compare two masks lesion by lesion.

    Args:
        prediction: (Z, Y, X) bool, or uint8 with 0 and 1.
        truth: The same.
        voxel_volume: Volume of a voxel in the unit of `least_volume`.
        dilation: Steps by which the truth is grown.
        least_volume: Lesions up to this volume are left out.

    Raises:
        ImageError: The two are not volumes of one shape.

    >>> truth = np.zeros((1, 20, 20), bool)
    >>> truth[:, :8, :8] = True
    >>> found = lesion_counts(truth, truth)
    >>> found.found, found.false, found.dice()
    (1, 0, 1.0)
    """
    if prediction.shape != truth.shape or truth.ndim != 3:
        raise ImageError(
            "prediction and truth are not volumes of one shape", expected=truth.shape, got=prediction.shape
        )
    predicted, true = prediction.astype(np.bool_), truth.astype(np.bool_)
    lesion_of, n_lesions = components(dilated(true, dilation))
    part_of, n_parts = components(predicted)
    sizes = np.bincount(lesion_of[true], minlength=n_lesions + 1)
    shared = np.bincount(lesion_of[predicted & true], minlength=n_lesions + 1)
    part_sizes = np.bincount(part_of[predicted], minlength=n_parts + 1)
    touching = predicted & (lesion_of > 0)
    # A pair as one number, since rows of two are sorted slowly.
    pairs = np.unique(lesion_of[touching].astype(np.int64) * (n_parts + 1) + part_of[touching])
    touched, touching_parts = np.divmod(pairs, n_parts + 1)
    predicted_sizes = np.bincount(touched, weights=part_sizes[touching_parts], minlength=n_lesions + 1)
    large = sizes[1:] * voxel_volume > least_volume
    found = predicted_sizes[1:] > 0
    dice = dice_of_sizes(shared[1:], sizes[1:], predicted_sizes[1:])
    return LesionCounts(
        found=int(np.count_nonzero(large & found)),
        missed=int(np.count_nonzero(large & ~found)),
        false=n_parts - len(np.unique(touching_parts)),
        small=int(np.count_nonzero(~large)),
        dice_sum=float(dice[large].sum()),
    )
