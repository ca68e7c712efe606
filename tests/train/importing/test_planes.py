"""A mask's voxels found on a grid in any order of axes, and refused where they are not the grid's."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from brainseg_runtime.studies.geometry import Grid
from brainseg_train.importing.planes import MaskPlanes, Plane, on_grid
from tests.studies_made.shapes import Array, axial_grid, seen_along, turned

GRID = turned(axial_grid((4, 6, 5), spacing=(5.0, 0.9, 1.1)), degrees=(9, -4, 6))
MASK = np.random.default_rng(0).random(GRID.shape) > 0.7


def planes_of(voxels: Array, grid: Grid) -> MaskPlanes:
    steps = grid.steps
    planes = [
        Plane(marked=one.astype(bool), origin=grid.positions((k, 0, 0)), row_step=steps[1], column_step=steps[2])
        for k, one in enumerate(voxels)
    ]
    return MaskPlanes(planes=planes, values=("1",), depth_step=steps[0])


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flipped", list(product((False, True), repeat=3)))
def test_any_order_of_axes_gives_the_mask_in_place(
    axes: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> None:
    found = on_grid(planes_of(*seen_along(MASK, GRID, axes, flipped)), GRID)
    assert found is not None
    np.testing.assert_array_equal(found, MASK)


def test_planes_that_leave_out_empty_slices_or_the_border_stay_in_place() -> None:
    planes = planes_of(MASK, GRID).planes
    whole = MaskPlanes(planes=[planes[2], planes[0]], values=("1",))
    found = on_grid(whole, GRID)
    assert found is not None
    np.testing.assert_array_equal(found[[0, 2]], MASK[[0, 2]])
    assert not found[[1, 3]].any()
    part = replace(GRID, shape=(4, 3, 2), origin=GRID.positions((0, 2, 1)))
    found = on_grid(planes_of(MASK[:, 2:5, 1:3], part), GRID)
    assert found is not None
    np.testing.assert_array_equal(found[:, 2:5, 1:3], MASK[:, 2:5, 1:3])
    assert found.sum() == MASK[:, 2:5, 1:3].sum()


@pytest.mark.parametrize(
    "grid",
    [
        replace(GRID, origin=GRID.origin + GRID.steps[1] / 2),
        replace(GRID, origin=GRID.origin + 4 * GRID.steps[0]),
        replace(GRID, spacing=(5.0, 0.9, 1.2)),
        replace(GRID, spacing=(10.0, 0.9, 1.1)),
        replace(GRID, spacing=(5.0, 0.45, 1.1)),
        turned(GRID, degrees=(2, 0, 0)),
        turned(GRID, degrees=(0, 0, 2)),
    ],
    ids=["half a voxel", "above", "wider", "thicker", "finer", "tilted", "turned"],
)
def test_voxels_of_another_grid_are_not_taken(grid: Grid) -> None:
    assert on_grid(planes_of(np.ones(GRID.shape, bool), grid), GRID) is None
    assert on_grid(planes_of(np.zeros(GRID.shape, bool), turned(GRID, degrees=(2, 0, 0))), GRID) is None
