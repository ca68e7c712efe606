"""Maps are gathered for the slices that a batch holds, and only where an augmentation needs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from brainseg_train.config import AugmentConfig
from brainseg_train.data.head_maps import StoredMaps, open_or_make
from brainseg_train.learning.head_maps import HeadMapFeed, feed_for
from tests.train.arrays import make_dataset

CPU = torch.device("cpu")


def test_a_batch_holds_the_maps_of_its_slices() -> None:
    numbers = torch.arange(6, dtype=torch.uint8)
    pixels = numbers[:, None, None].expand(6, 4, 4).contiguous()
    maps = StoredMaps(brain=pixels * 51, depth=pixels, midlines=numbers[:, None].float().expand(6, 4).contiguous())
    found = HeadMapFeed(maps, np.array([1, 3, 5]), CPU).batch(torch.tensor([2, 0]))
    assert found.depth.shape == (2, 1, 4, 4)
    assert found.depth[:, 0, 0, 0].tolist() == [5, 1]
    assert found.brain[:, 0, 0, 0].tolist() == pytest.approx([1.0, 0.2])
    assert found.midlines[:, 0].tolist() == [5, 1]


def test_no_maps_are_made_where_none_are_needed(tmp_path: Path) -> None:
    dataset = replace(make_dataset(), folder=tmp_path / "entry")
    rows = np.arange(4)
    assert feed_for(AugmentConfig(curve=1.0, zoom_out=1.0), dataset, rows, CPU) is None
    assert list(tmp_path.iterdir()) == []
    for config in (AugmentConfig(scalp=0.1), AugmentConfig(healthy=0.1)):
        feed = feed_for(config, dataset, rows, CPU)
        assert feed is not None
        assert torch.equal(feed.batch(torch.tensor([3])).depth[0, 0], open_or_make(dataset).depth[3].float())
