"""From masks to integer counts to scores.

Counts are exact integers, so that slices, patients and processes merge to the same numbers in any order and grouping.
Scores are computed from counts alone.

What is undefined is NaN here and null in JSON; `scores.py` says what each score is for empty masks.

Source: Taha and Hanbury, Metrics for evaluating 3D medical image segmentation, 2015. That two empty masks agree
perfectly is the rule that slice-wise results of this data set are usually published with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from brainseg_runtime.errors import ImageError

if TYPE_CHECKING:  # the table of scores stands on this file, and help texts that list it do not wait for numpy
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels that were classified rightly and wrongly; tumour is the positive class.

    Attributes:
        tp: Tumour predicted, tumour there.
        fp: Tumour predicted, none there.
        fn: None predicted, tumour there.
        tn: None predicted, none there.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @classmethod
    def total(cls, parts: Iterable[Counts]) -> Counts:
        """All parts merged; of none, the empty counts."""
        return sum(parts, cls())

    @property
    def pixels(self) -> int:
        """Pixels in all."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def truth(self) -> int:
        """Tumour pixels in the truth."""
        return self.tp + self.fn

    @property
    def predicted(self) -> int:
        """Tumour pixels in the prediction."""
        return self.tp + self.fp

    def to_vector(self) -> NDArray[np.int64]:
        """(4,) int64: tp, fp, fn, tn."""
        import numpy as np

        return np.array([self.tp, self.fp, self.fn, self.tn], dtype=np.int64)

    def from_vector(self, vector: NDArray[np.int64]) -> Self:
        """Counts of the same kind from what `to_vector` made, or from sums of it."""
        return type(self)(*(int(value) for value in vector))


def count(prediction: NDArray[Any], truth: NDArray[Any]) -> Counts:
    """Compare two masks pixel by pixel.

    Args:
        prediction: Any shape, uint8 with 0 and 1, or bool.
        truth: The same shape, uint8 with 0 and 1, or bool.

    Returns:
        Exact counts over all pixels.

    Raises:
        ImageError: The shapes differ, or one is not a binary mask.

    >>> import numpy as np
    >>> count(np.array([1, 1, 0, 0], np.uint8), np.array([1, 0, 1, 0], np.uint8))
    Counts(tp=1, fp=1, fn=1, tn=1)
    """
    import numpy as np

    if prediction.shape != truth.shape:
        raise ImageError("prediction and truth differ in size", expected=truth.shape, got=prediction.shape)
    predicted, true = _flags(prediction, "prediction"), _flags(truth, "truth")
    n_predicted, n_true = int(np.count_nonzero(predicted)), int(np.count_nonzero(true))
    tp = int(np.count_nonzero(predicted & true)) if n_predicted and n_true else 0
    return Counts(tp, n_predicted - tp, n_true - tp, truth.size - n_predicted - n_true + tp)


def dice(counts: Counts) -> float:
    """2 TP / (2 TP + FP + FN) in [0, 1]; 1 where both masks are empty.

    >>> dice(Counts(tp=3, fp=1, fn=1)), dice(Counts(tn=9))
    (0.75, 1.0)
    """
    return _ratio(2 * counts.tp, counts.predicted + counts.truth, undefined=1.0)


def dice_of_sizes(overlap: ArrayLike, first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Dice from the sizes of two sets and of their overlap, element by element; 1 where both are empty.

    >>> dice_of_sizes([3, 0, 0], [4, 2, 0], [4, 0, 0]).tolist()
    [0.75, 0.0, 1.0]
    """
    import numpy as np

    twice, total = 2 * np.asarray(overlap), np.add(first, second)
    scores: NDArray[np.float64] = np.divide(twice, total, out=np.ones(np.shape(total)), where=total > 0)
    return scores


def iou(counts: Counts) -> float:
    """TP / (TP + FP + FN) in [0, 1], the Jaccard index; 1 where both masks are empty.

    >>> iou(Counts(tp=3, fp=1, fn=1))
    0.6
    """
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn, undefined=1.0)


def precision(counts: Counts) -> float:
    """TP / (TP + FP) in [0, 1]; NaN where nothing was predicted.

    >>> precision(Counts(tp=3, fp=1, fn=2)), precision(Counts(fn=2))
    (0.75, nan)
    """
    return _ratio(counts.tp, counts.predicted, undefined=math.nan)


def recall(counts: Counts) -> float:
    """TP / (TP + FN) in [0, 1]; NaN where there is no tumour.

    >>> recall(Counts(tp=3, fp=1, fn=2)), recall(Counts(fp=2))
    (0.6, nan)
    """
    return _ratio(counts.tp, counts.truth, undefined=math.nan)


def f1(counts: Counts) -> float:
    """Harmonic mean of precision and recall: over pixels of two classes the same as Dice, empty masks included.

    >>> f1(Counts(tp=3, fp=1, fn=1))
    0.75
    """
    return dice(counts)


def _ratio(part: int, whole: int, *, undefined: float) -> float:
    """Part over whole, or what 0 / 0 stands for."""
    return part / whole if whole else undefined


def _flags(mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """A mask as bool without copying its pixels.

    Raises:
        ImageError: It is neither bool nor uint8 with 0 and 1.
    """
    import numpy as np

    if mask.dtype == np.bool_:
        return mask
    if mask.dtype != np.uint8:
        raise ImageError(f"the {name} is not a mask", expected="bool or uint8", got=mask.dtype)
    if mask.size and (highest := int(mask.max())) > 1:
        raise ImageError(f"the {name} is not binary", expected="values 0 and 1", got=f"a value of {highest}")
    return mask.view(np.bool_)
