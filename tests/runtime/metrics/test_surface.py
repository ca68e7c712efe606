"""Surface distances against brute force over every pair of surface voxels, the rule for empty masks, and odd input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.metrics import surface
from brainseg_runtime.metrics.lengths import Spacing
from brainseg_runtime.metrics.surface import SurfaceDistances, surface_distances, surface_voxels

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
STEPS = st.sampled_from([1.0, 0.5, 0.94, 5.5])


def brute_surface(mask: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Voxels with a neighbour that is outside, one by one."""
    found = []
    for place in zip(*np.nonzero(mask), strict=True):
        for axis, step in itertools.product(range(3), (-1, 1)):
            near = list(map(int, place))
            near[axis] += step
            if not 0 <= near[axis] < mask.shape[axis] or not mask[tuple(near)]:
                found.append(tuple(map(int, place)))
                break
    return found


def brute(mask: NDArray[np.bool_], other: NDArray[np.bool_], spacing: Spacing) -> list[float]:
    return [
        min(math.dist(np.multiply(one, spacing), np.multiply(two, spacing)) for two in brute_surface(other))
        for one in brute_surface(mask)
    ]


def drawn(shape: tuple[int, int, int], seed: int, share: float) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < share


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(0, 10**6), st.sampled_from([0.02, 0.3, 0.9]), st.tuples(STEPS, STEPS, STEPS))
def test_distances_are_those_of_trying_every_pair(
    shape: tuple[int, int, int], seed: int, share: float, spacing: Spacing
) -> None:
    one, other = drawn(shape, seed, share), drawn(shape, seed + 1, share)
    if not one.any() or not other.any():
        return
    found = surface_distances(one, other, spacing=spacing)
    assert found.to_truth == pytest.approx(brute(one, other, spacing))
    assert found.to_prediction == pytest.approx(brute(other, one, spacing))


def test_the_surface_is_what_has_a_neighbour_outside() -> None:
    mask = drawn((5, 7, 8), 3, 0.8)
    assert list(map(tuple, surface_voxels(mask).tolist())) == brute_surface(mask)


def test_scores_follow_from_the_distances() -> None:
    found = SurfaceDistances(np.array([0.0, 1.0, 2.0, 9.0]), np.array([0.0, 0.0, 3.0]))
    assert found.hd95() == pytest.approx(max(np.percentile([0, 1, 2, 9], 95), np.percentile([0, 0, 3], 95)))
    assert found.assd() == pytest.approx(15 / 7)
    assert (found.nsd(2.0), found.nsd(0.0), found.nsd(9.0)) == (5 / 7, 3 / 7, 1.0)


def test_equal_masks_are_at_no_distance_and_two_balls_at_the_one_between_them() -> None:
    z, y, x = np.mgrid[:20, :40, :40]
    ball = (z - 10) ** 2 + (y - 20) ** 2 + (x - 12) ** 2 < 36
    found = surface_distances(ball, ball)
    assert (found.hd95(), found.assd(), found.nsd(0.0)) == (0.0, 0.0, 1.0)
    far = np.roll(ball, 15, axis=2)
    assert surface_distances(ball, far).to_truth.max() == pytest.approx(15.0)


def test_two_empty_masks_agree() -> None:
    nothing = np.zeros((3, 4, 5), np.uint8)
    found = surface_distances(nothing, nothing)
    assert (found.hd95(), found.assd(), found.nsd()) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("empty", ["truth", "prediction"])
def test_to_an_empty_mask_there_is_no_distance_and_no_surface_in_common(empty: str) -> None:
    masks = {"truth": np.ones((2, 3, 4), np.uint8), "prediction": np.ones((2, 3, 4), np.uint8)}
    masks[empty][:] = 0
    found = surface_distances(masks["prediction"], masks["truth"])
    assert math.isnan(found.hd95())
    assert math.isnan(found.assd())
    assert found.nsd(1000.0) == 0.0


def test_the_result_does_not_depend_on_how_much_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = drawn((6, 90, 20), 1, 0.1), drawn((6, 90, 20), 2, 0.1)
    whole = surface_distances(one, other, spacing=(5.0, 0.9, 0.8))
    monkeypatch.setattr(surface, "_BLOCK_VALUES", 1)
    parts = surface_distances(one, other, spacing=(5.0, 0.9, 0.8))
    assert np.array_equal(whole.to_truth, parts.to_truth)
    assert np.array_equal(whole.to_prediction, parts.to_prediction)


def test_distances_across_a_large_empty_volume_are_exact() -> None:
    one, other = np.zeros((2, 20, 300, 300), bool)
    one[0, 0, 0] = other[19, 299, 299] = True
    assert surface_distances(one, other, spacing=(5.0, 1.0, 2.0)).hd95() == pytest.approx(
        math.dist((0, 0, 0), (95, 299, 598))
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: surface_distances(np.ones((2, 2), bool), np.ones((2, 2), bool)),
        lambda: surface_distances(np.ones((1, 2, 2), bool), np.ones((1, 2, 3), bool)),
        lambda: surface_distances(np.ones((1, 2, 2), bool), np.ones((1, 2, 2), bool), spacing=(1.0, 0.0, 1.0)),
        lambda: surface_distances(np.ones((1, 2, 2), bool), np.ones((1, 2, 2), bool), spacing=(1.0, math.nan, 1.0)),
        lambda: surface_distances(np.ones((1, 2, 2), bool), np.ones((1, 2, 2), bool)).nsd(-1.0),
        lambda: surface_distances(np.ones((1, 2, 2), bool), np.ones((1, 2, 2), bool)).nsd(math.nan),
    ],
)
def test_what_cannot_be_measured_is_refused(call: object) -> None:
    with pytest.raises((DataError, ImageError)):
        call()  # type: ignore[operator]
