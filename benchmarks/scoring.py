"""The seven pooled scores the usual way: every pixel in memory, scikit-learn for each score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.metrics import (
    average_precision_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def scores(
    mask_nhw: NDArray[np.uint8], probability_nhw: NDArray[np.float32], truth_nhw: NDArray[np.uint8]
) -> dict[str, float]:
    """Dice, IoU, precision, recall, F1, ROC-AUC and PR-AUC over all pixels.

    Args:
        mask_nhw: (N, H, W) uint8, 0 or 1.
        probability_nhw: (N, H, W) float32 in [0, 1].
        truth_nhw: (N, H, W) uint8, 0 or 1.
    """
    mask, probability, truth = mask_nhw.ravel(), probability_nhw.ravel(), truth_nhw.ravel()
    f1 = float(f1_score(truth, mask))
    return {
        "dice": f1,
        "iou": float(jaccard_score(truth, mask)),
        "precision": float(precision_score(truth, mask)),
        "recall": float(recall_score(truth, mask)),
        "f1": f1,
        "roc_auc": float(roc_auc_score(truth, probability)),
        "pr_auc": float(average_precision_score(truth, probability)),
    }
