"""Post-processing of a volume against a flood fill."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from brainseg_runtime.segmentation.postprocessing import PostProcessing, label_components

VOLUMES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.integers(0, 1))


def flood_fill(mask: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Components by their definition: visit every neighbour through a face."""
    labels = np.zeros(mask.shape, np.intp)
    count = 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        queue = deque([start])
        labels[start] = count
        while queue:
            at = queue.popleft()
            for axis in range(3):
                for step in (-1, 1):
                    to = tuple(int(v) + step * (i == axis) for i, v in enumerate(at))
                    inside = all(0 <= v < n for v, n in zip(to, mask.shape, strict=True))
                    if inside and mask[to] and not labels[to]:
                        labels[to] = count
                        queue.append(to)
    return labels


@given(VOLUMES)
def test_components_are_those_of_a_flood_fill(mask: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(label_components(mask), flood_fill(mask))


def test_a_long_winding_path_is_one_component() -> None:
    mask = np.zeros((3, 41, 41), np.uint8)
    mask[1, ::2] = 1
    mask[1, 1::4, -1] = mask[1, 3::4, 0] = 1
    assert label_components(mask).max() == 1


@given(VOLUMES)
def test_only_the_largest_stays(mask: NDArray[np.uint8]) -> None:
    labels = flood_fill(mask)
    sizes = np.bincount(labels.ravel())[1:]
    expected = labels == 1 + sizes.argmax() if len(sizes) else labels > 0
    np.testing.assert_array_equal(PostProcessing(largest_component=True).apply(mask), expected)


@given(VOLUMES, st.integers(1, 9))
def test_small_components_go(mask: NDArray[np.uint8], least: int) -> None:
    labels = flood_fill(mask)
    expected = np.zeros_like(mask)
    for number in range(1, labels.max() + 1):
        if (labels == number).sum() >= least:
            expected[labels == number] = 1
    np.testing.assert_array_equal(PostProcessing(min_voxels=least).apply(mask), expected)


@given(VOLUMES)
def test_by_default_nothing_happens_and_the_mask_is_a_new_one(mask: NDArray[np.uint8]) -> None:
    before = mask.copy()
    after = PostProcessing().apply(mask)
    np.testing.assert_array_equal(after, before)
    assert not np.shares_memory(after, mask)


@given(VOLUMES)
def test_the_callers_mask_is_not_changed(mask: NDArray[np.uint8]) -> None:
    before = mask.copy()
    PostProcessing(min_voxels=3, largest_component=True).apply(mask)
    np.testing.assert_array_equal(mask, before)


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="min_voxels"):
        PostProcessing(min_voxels=0)
