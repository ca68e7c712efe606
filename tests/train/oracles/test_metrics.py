"""The runtime's scores against scikit-learn, on tumours of real patients where there are some and on drawn ones else.

Predictions are made from the truth, blurred and disturbed, so that they err as networks do: at the border, by false
islands, and with most pixels crowded near 0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn import metrics as oracle

from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.images import read_image, read_mask, scan_dataset
from brainseg_runtime.metrics import Counts, count, dice, f1, iou, precision, recall
from brainseg_runtime.metrics.histogram import Histogram
from brainseg_runtime.segmenter import Segmenter

TINY = Path(__file__).resolve().parents[2] / "bundles" / "tiny"
ROUNDING = 1e-9  # scikit-learn's own sums over a million pixels


@dataclass(frozen=True)
class Pixels:
    truth: NDArray[np.uint8]  # (N, H, W)
    probability: NDArray[np.float32]
    mask: NDArray[np.uint8]


def predicted(truths: NDArray[np.uint8], *, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    blurred = np.stack([gaussian_filter(truth.astype(np.float32), 5) for truth in truths])
    islands = np.stack([gaussian_filter(rng.normal(size=truth.shape), 6) for truth in truths])
    logits = 20 * blurred - 9 + 40 * islands + 0.4 * rng.normal(size=truths.shape)
    probability = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return Pixels(truths, probability, (probability >= 0.5).astype(np.uint8))


def drawn_tumours(slices: int) -> NDArray[np.uint8]:
    """Discs of varied size and place; every third slice has none."""
    rows, columns = np.mgrid[:128, :128]
    rng = np.random.default_rng(1)
    centres, radii = rng.integers(30, 98, (slices, 2)), rng.integers(3, 22, slices) * (np.arange(slices) % 3 > 0)
    return np.stack(
        [
            ((rows - row) ** 2 + (columns - column) ** 2 < radius**2).astype(np.uint8)
            for (row, column), radius in zip(centres, radii, strict=True)
        ]
    )


@pytest.fixture(scope="module", params=["drawn", pytest.param("real", marks=pytest.mark.real)])
def pixels(request: pytest.FixtureRequest) -> Pixels:
    if request.param == "drawn":
        return predicted(drawn_tumours(24))
    if not os.environ.get("BRAINSEG_DATA"):
        pytest.skip("BRAINSEG_DATA names no folder of real patients")
    patient = scan_dataset(Path(os.environ["BRAINSEG_DATA"]))[0]
    return predicted(np.stack([read_mask(paths.mask) for paths in patient.slices if paths.mask is not None]))


def test_counts_and_scores_are_exactly_scikit_learns(pixels: Pixels) -> None:
    truth, mask = pixels.truth.ravel(), pixels.mask.ravel()
    counts = count(pixels.mask, pixels.truth)
    (tn, fp), (fn, tp) = oracle.confusion_matrix(truth, mask).tolist()
    assert counts == Counts(tp=tp, fp=fp, fn=fn, tn=tn)
    assert dice(counts) == pytest.approx(oracle.f1_score(truth, mask), rel=1e-15)
    assert f1(counts) == dice(counts)
    assert iou(counts) == pytest.approx(oracle.jaccard_score(truth, mask), rel=1e-15)
    assert precision(counts) == pytest.approx(oracle.precision_score(truth, mask), rel=1e-15)
    assert recall(counts) == pytest.approx(oracle.recall_score(truth, mask), rel=1e-15)


@pytest.mark.real
def test_a_networks_own_predictions_on_a_patient_score_as_with_scikit_learn() -> None:
    if not os.environ.get("BRAINSEG_DATA"):
        pytest.skip("BRAINSEG_DATA names no folder of real patients")
    patient = scan_dataset(Path(os.environ["BRAINSEG_DATA"]))[0]
    truth = np.stack([read_mask(paths.mask) for paths in patient.slices if paths.mask is not None])
    volume = Segmenter.load(TINY, provider="cpu").predict_volume([read_image(paths.image) for paths in patient.slices])
    (tn, fp), (fn, tp) = oracle.confusion_matrix(truth.ravel(), volume.mask.ravel(), labels=[0, 1]).tolist()
    assert count(volume.mask, truth) == Counts(tp=tp, fp=fp, fn=fn, tn=tn)
    histogram = Histogram.of(volume.probability, truth)
    roc_auc = oracle.roc_auc_score(truth.ravel(), volume.probability.ravel())
    pr_auc = oracle.average_precision_score(truth.ravel(), volume.probability.ravel())
    assert abs(histogram.roc_auc() - roc_auc) <= histogram.roc_auc_bound() + ROUNDING
    assert abs(histogram.pr_auc() - pr_auc) <= histogram.pr_auc_bound() + ROUNDING


@pytest.mark.parametrize("bits", [4, 10])
def test_areas_are_within_their_bound_of_scikit_learns_and_the_bound_is_small(pixels: Pixels, bits: int) -> None:
    histogram = Histogram.of(pixels.probability, pixels.truth, bits=bits)
    roc_auc = oracle.roc_auc_score(pixels.truth.ravel(), pixels.probability.ravel())
    pr_auc = oracle.average_precision_score(pixels.truth.ravel(), pixels.probability.ravel())
    assert abs(histogram.roc_auc() - roc_auc) <= histogram.roc_auc_bound() + ROUNDING
    assert abs(histogram.pr_auc() - pr_auc) <= histogram.pr_auc_bound() + ROUNDING
    if bits == 10:
        assert histogram.roc_auc_bound() < 1e-6
        assert histogram.pr_auc_bound() < 1e-4


def test_areas_of_few_levels_are_exactly_scikit_learns(pixels: Pixels) -> None:
    levels = (np.round(pixels.probability * 64) / 64).astype(np.float32)
    histogram = Histogram.of(levels, pixels.truth)
    assert histogram.roc_auc() == pytest.approx(oracle.roc_auc_score(pixels.truth.ravel(), levels.ravel()))
    assert histogram.pr_auc() == pytest.approx(oracle.average_precision_score(pixels.truth.ravel(), levels.ravel()))


def test_an_evaluation_reports_scikit_learns_numbers(pixels: Pixels) -> None:
    images = np.zeros((*pixels.truth.shape, 3), np.uint8)
    images[..., 0] = np.arange(len(images), dtype=np.uint8)[:, None, None]  # which slice it is

    def predict(batch: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        chosen = batch[:, 0, 0, 0]
        return pixels.mask[chosen], pixels.probability[chosen]

    cases = (
        Case(f"patient {k}", ((i, images[i], pixels.truth[i]) for i in range(k, len(images), 3))) for k in range(3)
    )
    found = evaluate(cases, predict, threshold=0.5, samples=20)
    truth = pixels.truth.ravel()
    assert found.pooled.dice == pytest.approx(oracle.f1_score(truth, pixels.mask.ravel()))
    assert found.area_bounds.roc_auc is not None
    assert found.pooled.roc_auc == pytest.approx(
        oracle.roc_auc_score(truth, pixels.probability.ravel()), abs=found.area_bounds.roc_auc + ROUNDING
    )
    per_slice = [
        oracle.f1_score(t.ravel(), m.ravel(), zero_division=1.0) for t, m in zip(pixels.truth, pixels.mask, strict=True)
    ]
    assert found.slice_dice_all.mean == pytest.approx(np.mean(per_slice))
