"""Draws lie in their ranges and come from the generator alone."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from brainseg_train.learning.draws import chosen, normal, symmetric, uniform


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def test_uniform_draws_fill_their_range() -> None:
    drawn = uniform((10_000,), seeded(), 2.0, 5.0)
    assert 2.0 <= drawn.min() < 2.01
    assert 4.99 < drawn.max() < 5.0
    assert drawn.mean().item() == pytest.approx(3.5, abs=0.03)


def test_symmetric_draws_fill_both_sides() -> None:
    drawn = symmetric((10_000,), 0.4, seeded())
    assert drawn.abs().max() <= 0.4
    assert drawn.mean().abs() < 0.01
    assert symmetric((5,), 0.0, seeded()).tolist() == [0.0] * 5


def test_normal_draws_have_mean_0_and_deviation_1() -> None:
    drawn = normal((20_000,), seeded())
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(1, abs=0.03)


def test_slices_are_chosen_with_their_chance() -> None:
    assert chosen(4000, 0.3, seeded()).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert not chosen(50, 0.0, seeded()).any()
    assert chosen(50, 1.0, seeded()).all()
    assert chosen(3, 0.5, seeded()).shape == (3, 1, 1, 1)


def test_the_generator_alone_is_drawn_from() -> None:
    before = torch.get_rng_state()
    assert torch.equal(uniform((8,), seeded(3)), uniform((8,), seeded(3)))
    assert torch.equal(normal((8,), seeded(3)), normal((8,), seeded(3)))
    assert torch.equal(torch.get_rng_state(), before)
