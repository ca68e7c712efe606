"""The gate: what a variant may lose, on the mean and on any patient."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_export.evidence.gate import GateLimits, Measured, judge, measure
from brainseg_export.evidence.parity import Agreement
from brainseg_runtime.evaluation.evaluate import Case


def measured(**scores: float) -> Measured:
    return Measured(dice=scores, agreement=Agreement(slices=1, pixels=100, mask_differences=1))


FP32 = measured(a=0.9, b=0.8, c=0.7)


def test_an_equal_variant_passes() -> None:
    verdict = judge(FP32, FP32)
    assert verdict.passed
    assert (verdict.mean_drop, verdict.worst_drop) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("scores", "passes"),
    [
        ({"a": 0.898, "b": 0.798, "c": 0.698}, True),
        ({"a": 0.8965, "b": 0.7965, "c": 0.6965}, False),  # 0.0035 on the mean
        ({"a": 0.879, "b": 0.82, "c": 0.71}, False),  # better on the mean, 0.021 on one patient
        ({"a": 0.881, "b": 0.82, "c": 0.71}, True),
        ({"a": 0.95, "b": 0.85, "c": 0.75}, True),
    ],
)
def test_both_limits_hold(scores: dict[str, float], passes: bool) -> None:
    assert judge(measured(**scores), FP32).passed is passes


def test_other_limits_can_be_set() -> None:
    assert judge(measured(a=0.8, b=0.7, c=0.6), FP32, GateLimits(mean_drop=0.11, patient_drop=0.11)).passed


def test_the_verdict_names_the_patient_and_the_limits() -> None:
    verdict = judge(measured(a=0.9, b=0.7, c=0.7), FP32)
    assert verdict.worst_patient == "b"
    assert "failed" in verdict.sentence
    assert "-0.1000" in verdict.sentence
    assert GateLimits(mean_drop=verdict.max_mean_drop, patient_drop=verdict.max_patient_drop) == GateLimits()
    assert verdict.mask_agreement == 0.99


def test_scores_are_volume_dice_by_patient_and_agreement_with_the_reference() -> None:
    rng = np.random.default_rng(0)
    cases, dice_by_hand = [], {}
    for name in ("TCGA_AA_0001_20000101", "TCGA_AA_0002_20000101"):
        images = rng.integers(0, 256, (11, 12, 10, 3), dtype=np.uint8)
        truths = (images[..., 0] > 150).astype(np.uint8)
        cases.append(Case(name, [(n + 1, images[n], truths[n]) for n in range(11)]))
        mask = images[..., 1] >= 128
        dice_by_hand[name] = 2 * (mask & (truths > 0)).sum() / (mask.sum() + truths.sum())

    def reference(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        probability = images[..., 1].astype(np.float32) / np.float32(256)
        return (probability >= 0.5).astype(np.uint8), probability

    def empty(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        shape = images.shape[:3]
        return np.zeros(shape, np.uint8), np.zeros(shape, np.float32)

    steps: list[int] = []
    found = measure(reference, {"same": reference, "empty": empty}, cases, threshold=0.5, progress=steps.append)
    assert found["same"].dice == pytest.approx(dice_by_hand)
    assert found["same"].agreement.mask_differences == 0
    assert set(found["empty"].dice.values()) == {0.0}
    assert found["empty"].agreement.slices == 22
    assert sum(steps) == 22
