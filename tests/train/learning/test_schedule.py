"""The learning rate climbs, stays or falls as asked."""

from __future__ import annotations

import pytest
import torch

from brainseg_train.config import TrainConfig
from brainseg_train.learning.schedule import learning_rate_at

STEPS = 10


def test_constant_stays() -> None:
    config = TrainConfig(rate=3e-4, epochs=4)
    assert {learning_rate_at(config, step, STEPS) for step in range(4 * STEPS)} == {3e-4}


def test_cosine_goes_from_the_first_rate_to_the_last_as_pytorch_has_it() -> None:
    config = TrainConfig(schedule="cosine", rate=3e-4, final_rate=1e-6, epochs=4)
    ours = [learning_rate_at(config, step, STEPS) for step in range(4 * STEPS)]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3e-4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4 * STEPS - 1, eta_min=1e-6)
    expected = []
    for _ in ours:
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert ours == pytest.approx(expected, rel=1e-9)
    assert (ours[0], ours[-1]) == pytest.approx((3e-4, 1e-6))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warm_up_climbs_in_equal_steps_to_the_full_rate(schedule: str) -> None:
    config = TrainConfig.from_json({"schedule": schedule, "rate": 1e-3, "warmup_epochs": 0.5, "epochs": 2})
    climb = [learning_rate_at(config, step, STEPS) for step in range(6)]
    assert climb == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3])


def test_a_single_step_has_a_rate() -> None:
    assert learning_rate_at(TrainConfig(schedule="cosine", epochs=1), 0, 1) == pytest.approx(3e-4)
