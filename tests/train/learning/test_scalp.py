"""The scalp changes, and brain, tumour and air do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from brainseg_train.config import AugmentConfig
from brainseg_train.data.head_maps import make_maps
from brainseg_train.learning.scalp import RIM, SPARED, vary_scalp
from tests.train.drawn_heads import draw_head

DRAWN = draw_head(scalp=(150, 120, 150))
COUNT = 400


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def inputs(count: int = COUNT) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images, masks, brains and depths of one head, many times."""
    maps = make_maps(DRAWN.image[None], np.zeros((1, 128, 128), np.uint8), np.array([0]))
    image = torch.from_numpy(DRAWN.image).permute(2, 0, 1)[None].float() / 255
    mask = torch.zeros(1, 1, 128, 128)
    mask[:, :, 60:70, 12:30] = 1  # from the scalp into the brain
    parts = (image, mask, maps.brain[:, None] / 255, maps.depth[:, None].float())
    return tuple(part.expand(count, -1, -1, -1) for part in parts)  # type: ignore[return-value]


CERTAIN = AugmentConfig(scalp=1.0)


def test_off_leaves_everything() -> None:
    images, masks, brain, depth = inputs(2)
    assert vary_scalp(images, masks, brain, depth, AugmentConfig(), seeded()) is images


def test_the_chance_is_that_of_a_slice() -> None:
    images, masks, brain, depth = inputs()
    changed = vary_scalp(images, masks, brain, depth, dataclasses.replace(CERTAIN, scalp=0.4), seeded())
    touched = (changed - images).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert touched.float().mean().item() == pytest.approx(0.4, abs=0.08)


def test_deep_brain_and_tumour_keep_their_pixels_up_to_one_scale() -> None:
    images, masks, brain, depth = inputs()
    changed = vary_scalp(images, masks, brain, depth, CERTAIN, seeded())
    near = functional.max_pool2d(masks, 2 * SPARED + 1, stride=1, padding=SPARED) > 0
    kept = near | ((depth > RIM[1] + 0.5) & (brain > 0.999))
    ratio = (changed / images.clamp(min=1e-3)).masked_fill(~kept | (images < 0.02), torch.nan)
    low, high = (ratio.nan_to_num(fill).flatten(2) for fill in (9.0, -9.0))
    assert torch.allclose(low.amin(2), high.amax(2), atol=1e-3), "one factor for each channel of a slice"
    assert high.amax() <= 1 + 1e-4


def test_scalps_are_removed_dimmed_and_brightened_and_air_stays_black() -> None:
    images, masks, brain, depth = inputs()
    changed = vary_scalp(images, masks, brain, depth, CERTAIN, seeded())
    scalp = (depth[:1] > 0) & (depth[:1] < 3) & (masks[:1] == 0)
    scalp[:, :, :, :40] = False
    flair = changed[:, 1:2].masked_select(scalp.expand(COUNT, -1, -1, -1)).view(COUNT, -1).mean(1)
    before = images[0, 1][scalp[0, 0]].mean()
    assert ((flair / before) < 0.05).float().mean().item() == pytest.approx(0.33, abs=0.1)
    assert ((flair / before) > 1.05).any()
    assert (((flair / before) > 0.1) & ((flair / before) < 0.8)).any()
    assert (changed[:, :, :4, :4] == images[:, :, :4, :4]).all()


def test_results_stay_in_range_where_a_bright_scalp_is_brightened() -> None:
    images, masks, brain, depth = inputs()
    changed = vary_scalp((images * 1.6).clamp(max=1.0), masks, brain, depth, CERTAIN, seeded())
    assert changed.min() >= 0
    assert changed.max() <= 1
