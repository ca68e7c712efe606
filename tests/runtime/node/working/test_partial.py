"""A head that is cut off along its slices is told from a whole one, whatever way the slices run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.node.working.partial import LEAST_MM, why_partial
from brainseg_runtime.studies.geometry import Grid
from tests.studies_made.shapes import axial_grid, seen_along

GRID = axial_grid((40, 64, 64), spacing=(4.0, 3.5, 3.5))


def head(grid: Grid = GRID, *, neck: bool = True) -> NDArray[np.float32]:
    """An ellipsoid of 130 by 150 by 190 mm, and a neck of 110 mm across below it."""
    places = grid.positions(np.moveaxis(np.indices(grid.shape), 0, -1))
    x, y, z = np.moveaxis(places, -1, 0)
    skull = (x / 75) ** 2 + (y / 95) ** 2 + (z / 65) ** 2 < 1
    below = (np.hypot(x, y) < 55) & (z < 0) & neck
    return np.where(skull | below, 100.0, 1.0).astype(np.float32)


def part(first: int, last: int) -> tuple[NDArray[np.float32], Grid]:
    """Some of the slices."""
    origin = GRID.positions(np.array([first, 0, 0]))
    return head()[first:last], replace(GRID, shape=(last - first, 64, 64), origin=origin)


@pytest.mark.parametrize("neck", [True, False])
def test_a_whole_head_is_no_part(neck: bool) -> None:
    assert why_partial(head(neck=neck), GRID) is None


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [(0, 20, "at the crown"), (0, 24, "at the crown"), (20, 40, "down from the crown"), (12, 25, "at the crown")],
)
def test_a_half_is_a_part(first: int, last: int, said: str) -> None:
    why = why_partial(*part(first, last))
    assert why is not None
    assert said in why


def test_slices_that_end_within_the_neck_or_skull_base_are_no_part() -> None:
    assert why_partial(*part(12, 40)) is None
    assert LEAST_MM < (40 - 12) * 4.0


@pytest.mark.parametrize("flipped", [True, False])
def test_slices_that_run_from_the_crown_down_are_judged_alike(flipped: bool) -> None:
    for range_, is_part in (((0, 40), False), ((0, 20), True), ((20, 40), True)):
        voxels, grid = part(*range_)
        turned, other = seen_along(voxels, grid, (0, 1, 2), (flipped, False, False))
        assert (why_partial(turned.astype(np.float32), other) is not None) == is_part, range_


@pytest.mark.parametrize("axes", [(2, 0, 1), (1, 0, 2)], ids=["sagittal", "coronal"])
def test_sagittal_and_coronal_slices_must_hold_both_sides(axes: tuple[int, int, int]) -> None:
    voxels, grid = seen_along(head(), GRID, axes, (False, True, False))
    whole = voxels.astype(np.float32)
    assert why_partial(whole, grid) is None
    half = replace(grid, shape=(32, *grid.shape[1:]))
    assert why_partial(whole[:32], half) is not None


def test_nothing_to_be_seen_is_no_part() -> None:
    assert why_partial(np.zeros(GRID.shape, np.float32), GRID) is None
    assert why_partial(np.zeros((0, 4, 4), np.float32), replace(GRID, shape=(0, 4, 4))) is None
