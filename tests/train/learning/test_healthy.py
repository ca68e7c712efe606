"""The tumour's half becomes the other half's mirror image."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.healthy import make_healthy, replace_half


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def line(side: float, *, angle: float = 0.0, offset: float = 0.0, count: int = 1) -> Tensor:
    radians = math.radians(angle)
    return torch.tensor([[math.cos(radians), math.sin(radians), offset, side]]).repeat(count, 1)


def test_an_upright_line_copies_the_other_half_mirrored() -> None:
    images = torch.rand(1, 3, 32, 32, generator=seeded())
    right, left = replace_half(images, line(1.0)), replace_half(images, line(-1.0))
    # Eleven pixels from the seam its sigmoid is within 2e-5 of a step.
    assert torch.allclose(right[..., :5], images[..., :5], atol=1e-4)
    assert torch.allclose(right[..., 27:], images.flip(3)[..., 27:], atol=1e-4)
    assert torch.allclose(left[..., 27:], images[..., 27:], atol=1e-4)
    assert torch.allclose(left[..., :5], images.flip(3)[..., :5], atol=1e-4)


def test_the_result_is_symmetric_about_an_oblique_shifted_line() -> None:
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = (torch.sin(rows / 9) * torch.cos(columns / 7))[None, None].repeat(1, 3, 1, 1)
    there = line(1.0, angle=11.0, offset=0.06)
    once = replace_half(images, there)
    other_side = there.clone()
    other_side[:, 3] = -1
    again = replace_half(once, other_side)
    inside = slice(16, 48)
    assert (again - once)[..., inside, inside].abs().max() < 0.02


def test_slices_without_a_usable_line_are_left_alone() -> None:
    images, masks = torch.rand(6, 3, 16, 16, generator=seeded()), torch.ones(6, 1, 16, 16)
    midlines = torch.cat([line(0.0, count=3), line(1.0, count=3)])
    changed, changed_masks = make_healthy(images, masks, midlines, AugmentConfig(healthy=1.0), seeded())
    assert torch.equal(changed[:3], images[:3])
    assert changed_masks.sum(dim=(1, 2, 3)).tolist() == [256, 256, 256, 0, 0, 0]


def test_the_chance_is_that_of_a_slice_and_off_is_off() -> None:
    images, masks = torch.rand(400, 3, 8, 8, generator=seeded()), torch.ones(400, 1, 8, 8)
    midlines = line(1.0, count=400)
    _, changed = make_healthy(images, masks, midlines, AugmentConfig(healthy=0.35), seeded())
    assert (changed.sum(dim=(1, 2, 3)) == 0).float().mean().item() == pytest.approx(0.35, abs=0.07)
    assert make_healthy(images, masks, midlines, AugmentConfig(), seeded())[0] is images
