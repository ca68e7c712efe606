"""A volume gathered slice by slice gives what the whole arrays give, keeps little, and says where it is no volume."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.metrics import lesion_counts, surface_distances
from brainseg_runtime.metrics.volume import VolumeMasks

Masks = NDArray[np.uint8]


def gathered(prediction: Masks, truth: Masks, *, first: int = 1) -> VolumeMasks:
    masks = VolumeMasks()
    for number, (one, other) in enumerate(zip(prediction, truth, strict=True), first):
        masks.add(number, one, other)
    return masks


def blobs(seed: int, shape: tuple[int, int, int], share: float) -> tuple[Masks, Masks]:
    """Sparse boxes, some at the border; whole slices stay empty."""
    rng = np.random.default_rng(seed)
    made = np.zeros((2, *shape), np.uint8)
    for mask in made:
        for _ in range(int(share * 8)):
            z, y, x = (int(rng.integers(0, size)) for size in shape)
            mask[z : z + 3, y : y + 4, x : x + 4] = 1
    return made[0], made[1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 9), st.integers(3, 24), st.integers(3, 24)),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    st.integers(0, 50),
)
def test_scores_are_those_of_the_whole_arrays(seed: int, shape: tuple[int, int, int], share: float, first: int) -> None:
    prediction, truth = blobs(seed, shape, share)
    pair = gathered(prediction, truth, first=first).pair((0.9, 0.8, 5.0), 1.0)
    for found, spacing in ((pair.surface_px, (1.0, 1.0, 1.0)), (pair.surface_mm, (5.0, 0.8, 0.9))):
        expected = surface_distances(prediction, truth, spacing=spacing)
        assert np.array_equal(found.to_truth, expected.to_truth)
        assert np.array_equal(found.to_prediction, expected.to_prediction)
    assert pair.lesions == lesion_counts(prediction, truth, voxel_volume=0.9 * 0.8 * 5.0)
    assert (pair.prediction.sum(), pair.truth.sum()) == (prediction.sum(), truth.sum())


def test_without_spacing_lesions_are_measured_in_voxels_and_there_is_nothing_in_mm() -> None:
    prediction, truth = blobs(1, (6, 30, 30), 1.0)
    pair = gathered(prediction, truth).pair(None, 1.0)
    assert pair.lesions == lesion_counts(prediction, truth)
    assert math.isnan(pair.voxel_mm3)
    with pytest.raises(DataError, match="need the spacing"):
        _ = pair.surface_mm


def test_bool_masks_are_taken_too() -> None:
    prediction, truth = blobs(1, (6, 30, 30), 1.0)
    as_bool = gathered(prediction > 0, truth > 0).pair(None, 1.0)  # type: ignore[arg-type]
    assert np.array_equal(as_bool.truth, gathered(prediction, truth).pair(None, 1.0).truth)


def test_a_missing_slice_is_told_and_not_closed_up() -> None:
    masks, slice_ = VolumeMasks(), np.ones((4, 4), np.uint8)
    masks.add(1, slice_, slice_)
    masks.add(3, slice_, slice_)
    masks.add(4, slice_, slice_)
    assert "missing" in masks.fault
    with pytest.raises(DataError, match="not a volume"):
        masks.pair(None, 1.0)


def test_slices_of_two_sizes_are_told() -> None:
    masks = VolumeMasks()
    masks.add(1, np.ones((4, 4), np.uint8), np.ones((4, 4), np.uint8))
    masks.add(2, np.ones((4, 5), np.uint8), np.ones((4, 5), np.uint8))
    assert "size" in masks.fault


def test_no_slice_is_no_volume() -> None:
    with pytest.raises(DataError, match="not a volume"):
        VolumeMasks().pair(None, 1.0)
