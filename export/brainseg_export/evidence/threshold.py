"""Threshold and temperature, chosen on validation patients from one pass over them.

The pass keeps, for each patient, how many tumour and other pixels had which logit, in bins of 1/128; threshold,
temperature and calibration error all follow from these counts, so nothing is computed twice and no map is kept.

Legend: P patients, B bins.
Source of the temperature: Guo et al., On Calibration of Modern Neural Networks, 2017, sec. 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_export.errors import ExportError
from brainseg_export.sources.patients import batches
from brainseg_runtime.evaluation.evaluate import Case, Predict
from brainseg_runtime.metrics.counts import dice_of_sizes

MAX_LOGIT: Final = 16.0
"""Logits beyond are counted here; a float32 probability of 1 - 6e-8 is the last before 1."""

BINS: Final = 4096
"""Equal parts of [-MAX_LOGIT, MAX_LOGIT], each 1/128 wide: 0.002 in probability at most."""

THRESHOLDS: Final = tuple(round(0.05 + 0.01 * step, 2) for step in range(91))
"""What is tried."""

PLATEAU: Final = 5e-4
"""Thresholds whose mean Dice is this close to the best are as good; of those the one nearest one half is taken."""

TEMPERATURES: Final = (0.5, 5.0)
"""Range that is searched. A temperature below 1 multiplies what engines differ by: on images made to provoke, trained
networks' probabilities differ by up to 2.6e-6 at 1, by half of parity's limit at 0.5 and by more than all of it at 0.2.
Logits that ask for more are not those of a network that has been trained to its end."""

ECE_BINS: Final = 15
"""Of equal width, as in Guo et al."""

_CENTRES: Final[NDArray[np.float64]] = np.linspace(-MAX_LOGIT, MAX_LOGIT, 2 * BINS + 1)[1::2]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was chosen, and what it changed."""

    threshold: float
    temperature: float
    dice: float
    """Mean volume Dice of the validation patients at the threshold."""
    dice_at_half: float
    """The same at 0.5, after scaling."""
    ece_before: float
    """Expected calibration error over all pixels, at temperature 1."""
    ece_after: float

    @property
    def at_bound(self) -> bool:
        """Whether the temperature stopped at an end of its range: the best one lies outside."""
        low, high = TEMPERATURES
        return not low * 1.001 < self.temperature < high / 1.001


def calibrate(logits: NDArray[np.int64]) -> Calibration:
    """Fit the temperature, then choose the threshold on the scaled probabilities.

    Args:
        logits: (P, 2, B) counts of other and of tumour pixels by logit, from `count_logits`.

    Returns:
        Both, with what they are worth.

    Raises:
        ExportError: There is no tumour pixel, or nothing else.
    """
    pooled = logits.sum(axis=0)
    if not pooled.sum(axis=1).all():
        raise ExportError(
            "nothing to calibrate on", expected="validation pixels with and without tumour", got="one kind"
        )
    temperature = fit_temperature(pooled)
    scores = mean_dice(logits, temperature)
    threshold = choose_threshold(scores)
    return Calibration(
        threshold=threshold,
        temperature=temperature,
        dice=float(scores[THRESHOLDS.index(threshold)]),
        dice_at_half=float(scores[THRESHOLDS.index(0.5)]),
        ece_before=calibration_error(pooled, 1.0),
        ece_after=calibration_error(pooled, temperature),
    )


def count_logits(
    predict: Predict, cases: Iterable[Case], progress: Callable[[int], None] | None = None
) -> NDArray[np.int64]:
    """Counts of pixels by logit over patients.

    Args:
        predict: A pipeline at temperature 1.
        cases: The patients.
        progress: Told how many slices are done with each batch.

    Returns:
        (P, 2, B): of other pixels, then of tumour pixels.
    """
    tables = []
    for case in cases:
        table = np.zeros((2, BINS), np.int64)
        for images, truths in batches(case):
            _, probability = predict(images)
            table += _table(probability, truths)
            if progress is not None:
                progress(len(images))
        tables.append(table)
    return np.stack(tables)


def fit_temperature(pooled: NDArray[np.int64]) -> float:
    """The temperature at which the pixels' likelihood is highest; rounded to 4 digits, which it is not known to.

    Args:
        pooled: (2, B) counts by logit.
    """
    low, high = np.log(TEMPERATURES)
    golden = (np.sqrt(5) - 1) / 2  # the likelihood has one peak, so each step can drop the worse end
    while high - low > 1e-5:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(pooled, np.exp(left)) < _loss(pooled, np.exp(right)):
            high = right
        else:
            low = left
    return float(f"{np.exp((low + high) / 2):.4g}")


def mean_dice(logits: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    """(len(THRESHOLDS),) mean over patients of the volume's Dice at each threshold; an empty pair scores 1.

    Args:
        logits: (P, 2, B) counts by logit.
        temperature: What logits are divided by.
    """
    above = np.cumsum(logits[:, :, ::-1], axis=2)[:, :, ::-1]
    thresholds = np.array(THRESHOLDS)
    edges = np.log(thresholds / (1 - thresholds)) * temperature
    first = np.searchsorted(_CENTRES, edges)
    false, true = above[:, 0, first], above[:, 1, first]
    mean: NDArray[np.float64] = dice_of_sizes(true, false + true, above[:, 1, :1]).mean(axis=0)
    return mean


def choose_threshold(scores: NDArray[np.float64]) -> float:
    """The threshold nearest one half among those as good as the best.

    Args:
        scores: (len(THRESHOLDS),) mean Dice.
    """
    good = np.flatnonzero(scores >= scores.max() - PLATEAU)
    return min((THRESHOLDS[index] for index in good), key=lambda threshold: abs(threshold - 0.5))


def calibration_error(pooled: NDArray[np.int64], temperature: float) -> float:
    """Expected calibration error: the mean gap between probability and share of tumour, weighted by pixels.

    Args:
        pooled: (2, B) counts by logit.
        temperature: What logits are divided by.
    """
    probability = _sigmoid(_CENTRES / temperature)
    part = np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    expected = np.bincount(part, probability * pooled.sum(axis=0), ECE_BINS)
    found = np.bincount(part, pooled[1], ECE_BINS)
    return float(np.abs(expected - found).sum() / pooled.sum())


def _table(probability: NDArray[np.float32], truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(2, B) counts of one batch."""
    p = probability.astype(np.float64)
    edge = 1 / (1 + np.exp(MAX_LOGIT))
    p = np.clip(p, edge, 1 - edge)
    index = ((np.log(p / (1 - p)) + MAX_LOGIT) * (BINS / (2 * MAX_LOGIT))).astype(np.int64)
    flat = np.minimum(index, BINS - 1).ravel() + BINS * (truth.ravel() > 0)
    return np.bincount(flat, minlength=2 * BINS).reshape(2, BINS)


def _loss(pooled: NDArray[np.int64], temperature: float) -> float:
    """Negative log likelihood of the pixels."""
    scaled = _CENTRES / temperature
    return float(pooled[0] @ np.logaddexp(0, scaled) + pooled[1] @ np.logaddexp(0, -scaled))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = 1 / (1 + np.exp(-x))
    return share
