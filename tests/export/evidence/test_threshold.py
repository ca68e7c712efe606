"""Threshold and temperature from counts, against brute force on every pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import interpolate

from brainseg_export.errors import ExportError
from brainseg_export.evidence import parity
from brainseg_export.evidence import threshold as calibrate
from brainseg_export.evidence.predictors import predictors
from brainseg_export.graphs.convert import convert
from brainseg_runtime.evaluation.evaluate import Case
from brainseg_train import models
from brainseg_train.models.pipeline import InferencePipeline, preprocess


def patients(
    count: int = 4, seed: int = 0, sharpness: float = 1.0
) -> tuple[list[Case], dict[bytes, NDArray[np.float32]]]:
    """Cases whose images stand for logits, and the probability that belongs to each image."""
    rng = np.random.default_rng(seed)
    cases, answers = [], {}
    for index in range(count):
        slices = []
        for number in range(1, 4):
            image = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
            logits = rng.normal(-2, 3, (24, 20)).clip(-12, 12)
            truth = (rng.random((24, 20)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
            answers[image.tobytes()] = (1 / (1 + np.exp(-logits * sharpness))).astype(np.float32)
            slices.append((number, image, truth))
        cases.append(Case(f"TCGA_AB_{index:04}_20000101", slices))
    return cases, answers


def counted(sharpness: float = 1.0) -> tuple[list[Case], dict[bytes, NDArray[np.float32]], NDArray[np.int64]]:
    cases, answers = patients(sharpness=sharpness)

    def predict(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        probability = np.stack([answers[image.tobytes()] for image in images])
        return (probability >= 0.5).astype(np.uint8), probability

    return cases, answers, calibrate.count_logits(predict, cases)


def test_every_pixel_is_counted_once_by_patient_and_truth() -> None:
    cases, _, logits = counted()
    assert logits.shape == (4, 2, calibrate.BINS)
    for case, table in zip(cases, logits, strict=True):
        truths = np.stack([truth for _, _, truth in case.slices])
        assert table.sum(axis=1).tolist() == [np.count_nonzero(truths == 0), np.count_nonzero(truths)]


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.9])
def test_dice_from_counts_is_that_of_the_masks(threshold: float) -> None:
    cases, answers, logits = counted()
    brute = []
    for case in cases:
        truth = np.stack([truth for _, _, truth in case.slices]) > 0
        mask = np.stack([answers[image.tobytes()] for _, image, _ in case.slices]) >= threshold
        brute.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    index = calibrate.THRESHOLDS.index(threshold)
    # A bin is 1/128 of a logit wide: of 480 pixels a slice at most a few lie in the one that the threshold cuts.
    assert calibrate.mean_dice(logits, 1.0)[index] == pytest.approx(np.mean(brute), abs=5e-3)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0, 3.5])
def test_temperature_undoes_a_known_sharpening(sharpness: float) -> None:
    *_, logits = counted(sharpness)
    assert calibrate.fit_temperature(logits.sum(axis=0)) == pytest.approx(sharpness, rel=0.08)


def test_calibration_error_falls_with_the_fitted_temperature_and_matches_brute_force() -> None:
    cases, answers, logits = counted(3.0)
    found = calibrate.calibrate(logits)
    assert found.ece_after < found.ece_before
    truth = np.concatenate([truth.ravel() for case in cases for _, _, truth in case.slices])
    p = np.concatenate([answers[image.tobytes()].ravel() for case in cases for _, image, _ in case.slices])
    part = np.minimum((p * 15).astype(int), 14)
    gaps = [abs(p[part == k].mean() - truth[part == k].mean()) * np.mean(part == k) for k in set(part.tolist())]
    assert found.ece_before == pytest.approx(sum(gaps), abs=2e-3)


def test_one_kind_of_pixel_alone_cannot_be_calibrated_on() -> None:
    logits = np.zeros((2, 2, calibrate.BINS), np.int64)
    logits[:, 0] = 1
    with pytest.raises(ExportError, match="no pixels to calibrate on"):
        calibrate.calibrate(logits)


@given(st.lists(st.floats(0, 1), min_size=91, max_size=91))
def test_the_threshold_is_as_good_as_the_best_and_nearest_one_half(scores: list[float]) -> None:
    array = np.array(scores)
    chosen = calibrate.choose_threshold(array)
    value = array[calibrate.THRESHOLDS.index(chosen)]
    assert value >= array.max() - calibrate.PLATEAU
    nearer = [s for t, s in zip(calibrate.THRESHOLDS, array, strict=True) if abs(t - 0.5) < abs(chosen - 0.5) - 1e-12]
    assert all(score < array.max() - calibrate.PLATEAU for score in nearer)


@pytest.mark.parametrize(("sharpness", "stopped"), [(1.0, False), (0.02, True), (50.0, True)])
def test_a_temperature_that_stopped_at_the_end_of_its_range_says_so(sharpness: float, stopped: bool) -> None:
    found = calibrate.calibrate(counted(sharpness)[2])
    assert found.at_bound is stopped
    low, high = calibrate.TEMPERATURES
    assert low <= found.temperature <= high


def test_the_lowest_temperature_leaves_rounding_within_the_limit_of_parity() -> None:
    images = list(parity.adversarial_images(24))
    network = dim_network("deeplab", images)
    pipeline = InferencePipeline(network, temperature=calibrate.TEMPERATURES[0]).eval()
    functions, _ = predictors(convert(pipeline, name="model.onnx", metadata={}))
    found = parity.over(parity.reference(pipeline), functions, images, threshold=0.5)
    assert found["cpu"].max_difference < 0.75 * parity.LIMIT  # other processors and networks round otherwise


def dim_network(name: str, images: list[NDArray[np.uint8]]) -> nn.Module:
    """A network that knows dim, smooth images alone, and whose logits on these images reach the largest counted."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = models.build(name, width=8).train()
        for _ in range(20):
            network(0.1 * interpolate(torch.rand(4, 3, 16, 16), size=(128, 128), mode="bilinear"))
        network.eval()
        largest = max(float(network(preprocess(torch.from_numpy(image))).abs().max()) for image in images)
    return nn.Sequential(network, Scaled(calibrate.MAX_LOGIT / largest)).eval()


class Scaled(nn.Module):
    """Its input times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor
