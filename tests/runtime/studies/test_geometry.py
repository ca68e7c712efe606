"""Grids: positions as SimpleITK has them, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.studies.geometry import Grid, Volume
from tests.runtime.studies.made_studies import as_image
from tests.studies_made.shapes import axial_grid, turned

ANGLE = st.floats(-60, 60)


@given(st.tuples(ANGLE, ANGLE, ANGLE), st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5)))
def test_positions_are_simpleitks(degrees: tuple[float, float, float], index: tuple[int, int, int]) -> None:
    grid = turned(axial_grid((4, 5, 6), spacing=(5.5, 0.7, 0.9), centre=(3, -20, 40)), degrees=degrees)
    image = as_image(Volume(voxels=np.zeros(grid.shape, np.float32), grid=grid))
    expected = image.TransformIndexToPhysicalPoint(index[::-1])
    np.testing.assert_allclose(grid.positions(index), expected, atol=1e-9)


@given(st.tuples(ANGLE, ANGLE, ANGLE))
def test_indices_undo_positions(degrees: tuple[float, float, float]) -> None:
    grid = turned(axial_grid((4, 5, 6), spacing=(5.5, 0.7, 0.9)), degrees=degrees)
    places = np.random.default_rng(1).uniform(-3, 9, (20, 3))
    np.testing.assert_allclose(grid.indices(grid.positions(places)), places, atol=1e-9)


def test_a_voxels_volume_is_that_of_the_parallelepiped_of_its_steps() -> None:
    grid = turned(axial_grid((2, 2, 2), spacing=(5.5, 0.7, 0.9)), degrees=(10, 20, 30))
    assert grid.voxel_ml == pytest.approx(abs(np.linalg.det(grid.steps)) / 1000)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"origin": np.array([0.005, 0, 0])}, True),
        ({"origin": np.array([0.02, 0, 0])}, False),
        ({"spacing": (5.0, 0.9, 0.9001)}, True),
        ({"spacing": (5.0, 0.9, 0.91)}, False),
        ({"shape": (3, 40, 41)}, False),
    ],
)
def test_grids_are_the_same_within_a_hundredth_of_a_millimetre(change: dict[str, object], *, same: bool) -> None:
    grid = replace(axial_grid((3, 40, 40)), origin=np.zeros(3))
    assert grid.same_as(replace(grid, **change)) is same  # type: ignore[arg-type]


def test_a_reversed_grid_is_another_one() -> None:
    grid: Grid = axial_grid((3, 40, 40))
    assert not grid.same_as(replace(grid, directions=-grid.directions))
