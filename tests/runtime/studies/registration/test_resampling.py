"""Volumes on other grids, as SimpleITK gives them when it is called by itself."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.registration.resampling import coarser, resample
from tests.runtime.studies.made_studies import by_simpleitk, head_on
from tests.studies_made.shapes import axial_grid, turned

GRID = turned(axial_grid((8, 60, 50), spacing=(6.0, 1.5, 1.5)), degrees=(10, -5, 7))
HEAD = head_on(GRID, size=0.4)["pre"]


def motion() -> tuple[SimpleITK.Euler3DTransform, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """A motion as SimpleITK has it, and its matrix from the points that it moves."""
    transform = SimpleITK.Euler3DTransform((3.0, -5.0, 8.0), 0.1, -0.2, 0.15, (4.0, -6.0, 3.0))
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = np.array(transform.TransformPoint(np.eye(3)[axis].tolist())) - matrix[:3, 3]
    return transform, matrix


def test_a_moved_volume_is_simpleitks() -> None:
    target = axial_grid((7, 40, 44), spacing=(6.5, 1.6, 1.5))
    transform, matrix = motion()
    np.testing.assert_allclose(
        resample(HEAD, target, matrix).voxels, by_simpleitk(HEAD, target, transform), atol=1e-2, rtol=1e-5
    )


def test_its_own_grid_unmoved_gives_the_volume_itself() -> None:
    assert resample(HEAD, GRID, np.eye(4)) is HEAD


def test_thin_slices_become_thick_ones_by_their_mean() -> None:
    thin = axial_grid((20, 12, 12), spacing=(1.0, 1.0, 1.0))
    voxels = np.random.default_rng(1).uniform(0, 100, thin.shape).astype(np.float32)
    thick = resample(Volume(voxels=voxels, grid=thin), axial_grid((4, 12, 12), spacing=(5.0, 1.0, 1.0)), np.eye(4))
    np.testing.assert_allclose(thick.voxels, voxels.reshape(4, 5, 12, 12).mean(axis=1), atol=1e-3)


def test_beyond_the_edges_the_value_is_the_callers() -> None:
    wide = axial_grid((8, 200, 200), spacing=(6.0, 1.5, 1.5))
    voxels = resample(HEAD, wide, np.eye(4), outside=-1.0).voxels
    assert voxels[:, :40].max() == -1
    assert voxels.max() > 500


def test_one_slice_reaches_half_its_thickness() -> None:
    grid = axial_grid((1, 8, 8), spacing=(5.0, 1.0, 1.0))
    volume = Volume(voxels=np.full(grid.shape, 7, np.float32), grid=grid)
    near = axial_grid((1, 8, 8), spacing=(1.0, 1.0, 1.0), centre=(0, 0, 2.4))
    far = axial_grid((1, 8, 8), spacing=(1.0, 1.0, 1.0), centre=(0, 0, 2.6))
    assert resample(volume, near, np.eye(4)).voxels.min() == 7
    assert resample(volume, far, np.eye(4)).voxels.max() == 0


@pytest.mark.parametrize("spacing", [1.0, 3.0, 4.5, 100.0])
def test_a_coarser_volume_lies_where_the_blocks_do(spacing: float) -> None:
    """A ramp in the patient's coordinates stays that ramp."""
    positions = GRID.positions(np.moveaxis(np.indices(GRID.shape), 0, -1))
    ramp = (positions @ [1.0, 2.0, 3.0]).astype(np.float32)
    coarse = coarser(Volume(voxels=ramp, grid=GRID), spacing)
    places = coarse.grid.positions(np.moveaxis(np.indices(coarse.grid.shape), 0, -1))
    np.testing.assert_allclose(coarse.voxels, places @ [1.0, 2.0, 3.0], atol=1e-2)
