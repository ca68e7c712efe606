"""The loss against sums written out by hand, at extremes, and over several processes' sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainseg_train.config import LossConfig
from brainseg_train.errors import ConfigError, ShapeError
from brainseg_train.learning.losses import boundary_loss, cross_entropy, dice_loss, segmentation_loss


def by_hand(logits: np.ndarray, target: np.ndarray) -> float:
    """Cross-entropy plus Dice in float64, straight from the equations."""
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    bce = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
    dice = 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)
    return float(bce + dice)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.1, 8))
def test_equals_the_equations(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (2, 1, 5, 4)).astype(np.float32)
    target = (rng.random((2, 1, 5, 4)) < 0.3).astype(np.float32)
    loss = segmentation_loss(torch.from_numpy(logits), torch.from_numpy(target))
    assert loss.item() == pytest.approx(by_hand(logits, target), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("extreme", [1e4, -1e4])
@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("config", [LossConfig(), LossConfig(focal_gamma=2.0), LossConfig(miss_weight=0.7)])
def test_extreme_logits_give_finite_loss_and_gradient(extreme: float, truth: float, config: LossConfig) -> None:
    logits = torch.full((1, 1, 8, 8), extreme, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 1, 8, 8), truth), config)
    loss.backward()
    assert math.isfinite(loss.item())
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_an_empty_mask_met_with_nothing_costs_nothing() -> None:
    assert segmentation_loss(torch.full((2, 1, 8, 8), -50.0), torch.zeros(2, 1, 8, 8)).item() < 1e-6


def test_an_empty_mask_still_pushes_predictions_down() -> None:
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    dice_loss(logits, torch.zeros(1, 1, 8, 8)).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.zeros(16, 1, 128, 128, dtype=torch.bfloat16)
    loss = segmentation_loss(logits, torch.ones(16, 1, 128, 128))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(2) + 1 / 3, rel=1e-4)


def test_focal_without_gamma_is_cross_entropy_and_with_it_less() -> None:
    logits, target = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.0])
    p_true = torch.sigmoid(torch.tensor([2.0, 1.0]))
    assert torch.allclose(cross_entropy(logits, target), -p_true.log().mean())
    assert torch.allclose(cross_entropy(logits, target, focal_gamma=2.0), (-((1 - p_true) ** 2) * p_true.log()).mean())


def test_a_higher_miss_weight_makes_misses_cost_more_than_false_alarms() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    miss = torch.full((1, 1, 4, 4), -20.0)
    miss[..., :1] = 20
    false = torch.full((1, 1, 4, 4), 20.0)
    false[..., 3:] = -20
    assert dice_loss(miss, target, miss_weight=0.8) > dice_loss(miss, target)
    assert dice_loss(false, target, miss_weight=0.8) < dice_loss(false, target)


def test_the_boundary_term_is_the_cross_entropy_of_the_pixels_along_the_outline() -> None:
    torch.manual_seed(0)
    target = torch.zeros(2, 1, 16, 16)
    target[0, 0, 5:11, 6:12] = 1  # the other slice has no outline
    logits = torch.randn(2, 1, 16, 16)
    near = [
        (row, column)
        for row in range(16)
        for column in range(16)
        if len(target[0, 0, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].unique()) == 2
    ]
    expected = torch.stack([cross_entropy(logits[0, 0, r, c], target[0, 0, r, c]) for r, c in near]).mean()
    assert torch.allclose(boundary_loss(logits, target), expected)
    plain = segmentation_loss(logits, target)
    assert torch.allclose(segmentation_loss(logits, target, LossConfig(boundary=0.5)), plain + 0.5 * expected)


def test_the_boundary_term_is_nothing_where_there_is_no_outline() -> None:
    for value in (0.0, 1.0):
        assert boundary_loss(torch.randn(1, 1, 8, 8), torch.full((1, 1, 8, 8), value)).item() == 0.0


def test_sums_over_processes_give_the_global_batch() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(4, 1, 8, 8), (torch.rand(4, 1, 8, 8) < 0.4).float()
    probability = torch.sigmoid(logits)
    other = torch.stack([(probability * target)[2:].sum(), probability[2:].sum(), target[2:].sum()])
    half = dice_loss(logits[:2], target[:2], all_reduce=lambda sums: sums + other)
    assert torch.allclose(half, dice_loss(logits, target))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ShapeError, match="differ"):
        segmentation_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8))


@pytest.mark.parametrize(
    "weights",
    [
        {"bce": -1.0},
        {"bce": 0.0, "dice": 0.0},
        {"miss_weight": 0.0},
        {"miss_weight": 1.0},
        {"focal_gamma": -1.0},
        {"boundary": -1.0},
    ],
)
def test_weights_out_of_range_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        LossConfig(**weights)
