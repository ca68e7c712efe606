"""Batches hold the slices that were asked for, and an epoch takes the slices that it should."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.learning.batches import Batches, EpochPlan
from tests.train.arrays import make_dataset

CPU = torch.device("cpu")
DATASET = make_dataset()
ROWS = np.array([3, 5, 8, 13, 21])


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_a_batch_holds_exactly_the_slices_asked_for(limit: int) -> None:
    feed = Batches(DATASET.images, DATASET.masks, ROWS, CPU, memory_limit=limit)
    assert feed.in_memory == (limit > 0)
    images, masks = feed.batch(torch.tensor([4, 0, 0]))
    expected = DATASET.images[[21, 3, 3]].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    assert np.array_equal(images.numpy(), expected)
    assert np.array_equal(masks.numpy()[:, 0], DATASET.masks[[21, 3, 3]])
    assert images.dtype == masks.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_read_only_arrays_are_fed_without_a_warning() -> None:
    images, masks = DATASET.images.copy(), DATASET.masks.copy()
    images.flags.writeable = masks.flags.writeable = False
    feed = Batches(images, masks, ROWS, CPU, memory_limit=0)
    assert feed.batch(torch.tensor([1]))[0].shape == (1, 3, 32, 32)


def test_tumour_is_seen_where_a_mask_has_a_pixel() -> None:
    feed = Batches(DATASET.images, DATASET.masks, ROWS, CPU)
    assert feed.has_tumour().tolist() == [bool(DATASET.masks[row].sum()) for row in ROWS]


def _plan(has_tumour: list[bool], batch: int, empty_fraction: float = 1.0, seed: int = 0) -> EpochPlan:
    return EpochPlan(has_tumour=np.array(has_tumour), batch=batch, empty_fraction=empty_fraction, seed=seed)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 20), st.floats(0, 1), st.integers(1, 9))
def test_an_epoch_takes_slices_at_most_once_in_full_batches(
    has_tumour: list[bool], batch: int, empty_fraction: float, epoch: int
) -> None:
    plan = _plan(has_tumour, batch, empty_fraction)
    batches = plan.batches(epoch)
    taken = Counter(torch.cat(batches).tolist())
    assert len(batches) == plan.steps
    assert all(count == 1 for count in taken.values())
    assert all(len(one) == batch for one in batches) or len(batches) == 1
    assert plan.slices - len(taken) < batch
    empty = sum(not has_tumour[position] for position in taken)
    assert empty <= round(empty_fraction * has_tumour.count(False))


def test_a_fraction_keeps_every_tumour_and_draws_other_empty_slices_each_epoch() -> None:
    plan = _plan([True] * 20 + [False] * 40, batch=1, empty_fraction=0.25)
    epochs = [set(torch.cat(plan.batches(epoch)).tolist()) for epoch in range(1, 21)]
    assert all(set(range(20)) <= taken and len(taken) == 30 for taken in epochs)
    assert set.union(*epochs) == set(range(60))


def test_order_differs_by_epoch_and_seed_and_repeats_otherwise() -> None:
    plan = _plan([True] * 30, batch=30)
    first, again, later = (plan.batches(epoch)[0].tolist() for epoch in (1, 1, 2))
    assert first == again != later
    assert _plan([True] * 30, batch=30, seed=1).batches(1)[0].tolist() != first
