"""Components and dilation against a flood fill and a loop over neighbours."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.metrics.components import components, dilated

Place = tuple[int, int, int]
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8))
AROUND = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def flooded(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Labels in the order of first voxels, by filling from each voxel that has none yet."""
    labels, n = np.zeros(mask.shape, np.int32), 0
    for start in zip(*map(list, np.nonzero(mask)), strict=True):
        if labels[start]:
            continue
        n += 1
        waiting: list[Place] = [start]
        while waiting:
            place = waiting.pop()
            inside = all(0 <= at < size for at, size in zip(place, mask.shape, strict=True))
            if inside and mask[place] and not labels[place]:
                labels[place] = n
                waiting += [(place[0] + z, place[1] + y, place[2] + x) for z, y, x in AROUND]
    return labels, n


@settings(max_examples=150, deadline=None)
@given(SHAPES, st.integers(0, 10**6), st.sampled_from([0.05, 0.2, 0.5, 0.95]))
def test_components_are_those_of_a_flood_fill(shape: Place, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    labels, n = components(mask)
    expected, expected_n = flooded(mask)
    assert n == expected_n
    assert np.array_equal(labels, expected)


def test_a_long_winding_component_is_one() -> None:
    snake = np.zeros((1, 200, 200), bool)
    snake[0, ::2] = True
    snake[0, 1::4, -1] = snake[0, 3::4, 0] = True
    assert components(snake)[1] == 1
    snake[0, 101, :] = False
    assert components(snake)[1] == 2


def test_the_ends_of_rows_and_slices_do_not_touch_each_other() -> None:
    mask = np.zeros((3, 3, 4), bool)
    mask[0, 0, 3] = mask[0, 1, 0] = mask[0, 2, 3] = True
    assert components(mask)[1] == 3
    mask[:] = False
    mask[0, 2, 1] = mask[1, 0, 1] = True
    assert components(mask)[1] == 2


def test_nothing_has_no_component() -> None:
    assert components(np.zeros((2, 3, 4), np.uint8))[1] == 0


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 10**6), st.integers(0, 3))
def test_dilation_takes_in_the_neighbours_by_face_and_edge(shape: Place, seed: int, steps: int) -> None:
    mask = np.random.default_rng(seed).random(shape) < 0.05
    expected = mask.copy()
    for _ in range(steps):
        before = set(zip(*map(list, np.nonzero(expected)), strict=True))
        for (z, y, x), step in itertools.product(before, AROUND):
            near = (z + step[0], y + step[1], x + step[2])
            if sum(map(abs, step)) <= 2 and all(0 <= at < size for at, size in zip(near, shape, strict=True)):
                expected[near] = True
    assert np.array_equal(dilated(mask, steps), expected)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8])
def test_masks_come_as_bool_or_numbers(kind: type) -> None:
    mask: NDArray[Any] = (np.random.default_rng(0).random((3, 5, 5)) < 0.3).astype(kind)
    assert components(mask)[1] == components(mask.astype(np.bool_))[1]
    assert dilated(mask, 1).dtype == np.bool_
