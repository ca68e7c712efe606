"""Curves, detail and scaling against cases whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.appearance import change_curves, change_detail, change_scaling

Change = Callable[[Tensor, AugmentConfig, Generator], Tensor]
ALL: dict[str, Change] = {"curve": change_curves, "detail": change_detail, "scaling": change_scaling}


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ALL)
def test_off_is_off_and_certain_keeps_the_range(name: str) -> None:
    images = torch.rand(40, 3, 24, 24, generator=seeded(1))
    assert ALL[name](images, AugmentConfig(), seeded()) is images
    changed = ALL[name](images, AugmentConfig(**{name: 1.0}), seeded())
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert ((changed - images).abs().amax(dim=(2, 3)) > 1e-3).float().mean() > 0.95


@pytest.mark.parametrize(("name", "by_channel"), [("curve", True), ("detail", False), ("scaling", True)])
def test_what_is_not_struck_stays_as_it_is(name: str, *, by_channel: bool) -> None:
    images = torch.rand(400, 3, 8, 8, generator=seeded(1))
    changed = ALL[name](images, AugmentConfig(**{name: 0.25}), seeded())
    touched = (changed != images).flatten(2).any(dim=2)
    assert touched.float().mean().item() == pytest.approx(0.25, abs=0.06)
    assert bool((touched.any(dim=1) == touched.all(dim=1)).all()) is not by_channel


def test_a_curve_is_monotone_and_keeps_black_and_the_peak() -> None:
    ramp = torch.linspace(0, 0.8, 256).reshape(1, 1, 16, 16).repeat(50, 3, 1, 1)
    changed = change_curves(ramp, AugmentConfig(curve=1.0), seeded()).flatten(2)
    assert (changed.diff(dim=2) >= -1e-6).all()
    assert changed[..., 0].abs().max() < 2e-3
    assert torch.allclose(changed[..., -1], torch.tensor(0.8), atol=1e-5)
    assert changed[..., 128].std() > 0.05


def test_detail_leaves_flat_ground_and_sharpens_or_blurs_an_edge() -> None:
    step = torch.full((60, 3, 24, 24), 0.3)
    step[..., 12:] = 0.6
    changed = change_detail(step, AugmentConfig(detail=1.0), seeded())
    assert torch.allclose(changed[..., 4:20, 0:2], torch.tensor(0.3), atol=1e-5)
    height = (changed[..., 12, 12] - changed[..., 12, 11]) / 0.3
    assert height.min() < 0.6
    assert height.max() > 1.4


def test_scaling_is_one_factor_with_what_is_beyond_white_cut_off() -> None:
    images = 0.9 * torch.rand(60, 3, 24, 24, generator=seeded(1))
    changed = change_scaling(images, AugmentConfig(scaling=1.0), seeded())
    ratio = (changed / images).masked_fill(changed >= 1, torch.nan).flatten(2)
    middle = ratio.nanmedian(dim=2, keepdim=True).values
    assert (ratio - middle).nan_to_num(0.0).abs().max() < 1e-3
    assert (changed >= 1).any(dim=(2, 3)).any()
    assert middle.min() < 1 < middle.max()
