"""Threshold and temperature, chosen on validation patients from one pass over them.

For each patient the pass counts tumour and other pixels by logit, in bins of 1/128. Threshold, temperature and
calibration error all follow from these counts, so nothing is computed twice and no probability map is kept.

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
"""Larger logits count as this one; the last float32 probability below 1 is 1 - 6e-8."""

BINS: Final = 4096
"""Equal parts of [-MAX_LOGIT, MAX_LOGIT], each 1/128 wide, at most 0.002 in probability."""

THRESHOLDS: Final = tuple(round(0.05 + 0.01 * step, 2) for step in range(91))
"""Those that are tried."""

PLATEAU: Final = 5e-4
"""Thresholds whose mean Dice is this close to the best count as equal; the one nearest 0.5 is taken."""

TEMPERATURES: Final = (0.5, 5.0)
"""Range that is searched. A temperature below 1 multiplies the differences between engines: on adversarial images the
probabilities of trained networks differ by up to 2.6e-6 at 1, by half of the parity limit at 0.5, and by more than the
limit at 0.2. Logits that call for less than 0.5 come from a network that was not trained to its end."""

ECE_BINS: Final = 15
"""Bins of equal width, as in Guo et al."""

_CENTRES: Final[NDArray[np.float64]] = np.linspace(-MAX_LOGIT, MAX_LOGIT, 2 * BINS + 1)[1::2]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The chosen threshold and temperature, and their effect."""

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
        """Whether the temperature stopped at an end of its range, so that the best one lies outside."""
        low, high = TEMPERATURES
        return not low * 1.001 < self.temperature < high / 1.001


def calibrate(logits: NDArray[np.int64]) -> Calibration:
    """Fit the temperature, then choose the threshold on the scaled probabilities.

    Args:
        logits: (P, 2, B) counts of other and of tumour pixels by logit, from `count_logits`.

    Returns:
        Both, with their effect.

    Raises:
        ExportError: The pixels are all tumour, or none is.
    """
    pooled = logits.sum(axis=0)
    if not pooled.sum(axis=1).all():
        raise ExportError(
            "no pixels to calibrate on", expected="validation pixels with and without tumour", got="one kind"
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
        progress: Called after each batch with its number of slices.

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
    """The temperature that maximises the likelihood of the pixels, rounded to 4 digits; fewer are significant.

    Args:
        pooled: (2, B) counts by logit.
    """
    low, high = np.log(TEMPERATURES)
    golden = (np.sqrt(5) - 1) / 2  # golden-section search: the likelihood has one peak
    while high - low > 1e-5:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(pooled, np.exp(left)) < _loss(pooled, np.exp(right)):
            high = right
        else:
            low = left
    return float(f"{np.exp((low + high) / 2):.4g}")


def mean_dice(logits: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    """(len(THRESHOLDS),) mean volume Dice over patients at each threshold; two empty masks score 1.

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
    """The threshold nearest 0.5 among those as good as the best.

    Args:
        scores: (len(THRESHOLDS),) mean Dice.

    >>> scores = np.zeros(len(THRESHOLDS))
    >>> scores[[THRESHOLDS.index(0.4), THRESHOLDS.index(0.8)]] = 0.8999, 0.9
    >>> choose_threshold(scores)
    0.4
    """
    good = np.flatnonzero(scores >= scores.max() - PLATEAU)
    return min((THRESHOLDS[index] for index in good), key=lambda threshold: abs(threshold - 0.5))


def calibration_error(pooled: NDArray[np.int64], temperature: float) -> float:
    """Expected calibration error: the mean gap between probability and fraction of tumour, weighted by pixels.

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
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-x))
    return probability
