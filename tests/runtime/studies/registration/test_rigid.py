"""Registration: known motions of a made head are found, what needs none is left alone, failures are seen.

The error is that of a target: the mean distance, over the head, between where the motion found puts a point and where
the true one does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.registration.rigid import LEAST_QUALITY, by_header, register
from brainseg_runtime.studies.registration.similarity import moved
from brainseg_runtime.studies.result import Registration
from tests.runtime.studies.made_studies import head_on
from tests.studies_made.shapes import axial_grid, seen_along, turned

GRID = axial_grid((24, 128, 128), spacing=(5.0, 1.8, 1.8))
FLAIR = head_on(GRID)["flair"]
THICK = {
    "axial": axial_grid((24, 128, 112), spacing=(5.5, 1.8, 1.8), centre=(3, 4, -5)),
    "oblique": turned(axial_grid((26, 128, 128), spacing=(5.0, 1.7, 1.7)), degrees=(14, 6, -9)),
    "sagittal": seen_along(np.zeros((100, 120, 26)), axial_grid((100, 120, 26), spacing=(2.0, 2.0, 6.0)),
                           (2, 0, 1), (False, True, False))[1],
    "coronal": seen_along(np.zeros((100, 32, 100)), axial_grid((100, 32, 100), spacing=(2.0, 6.0, 2.0)),
                          (1, 0, 2), (False, True, False))[1],
    "thin": axial_grid((90, 100, 100), spacing=(2.0, 2.0, 2.0)),
    "pixels not square": axial_grid((24, 100, 128), spacing=(5.0, 2.3, 1.8)),
    "higher": axial_grid((18, 128, 128), spacing=(5.0, 1.8, 1.8), centre=(0, 0, 20)),
}  # fmt: skip
MOTIONS = {
    "none": ((0, 0, 0), (0, 0, 0)),
    "small": ((1, -2, 1), (2, -1, 2)),
    "middling": ((6, -4, 9), (8, -6, 10)),
    "large": ((-14, 8, 16), (-20, 15, -18)),
}


def true_motion(name: str) -> NDArray[np.float64]:
    """How the head lies in the T1, from how it lies in FLAIR."""
    degrees, shift = MOTIONS[name]
    matrix = np.eye(4)
    matrix[:3, :3] = turned(GRID, degrees=degrees).directions[[2, 1, 0]][:, [0, 1, 2]].T  # of an axial grid: the turn
    matrix[:3, 3] = shift
    return matrix


def after(motion: NDArray[np.float64], grid: Grid, role: str = "pre") -> Volume:
    """The T1 of a head that has moved: drawn where the patient was, so that no voxel is interpolated."""
    inverse = np.asarray(np.linalg.inv(motion), np.float64)
    seen = replace(grid, directions=grid.directions @ inverse[:3, :3].T, origin=moved(grid.origin[None], inverse)[0])
    return Volume(voxels=head_on(seen)[role].voxels, grid=grid)  # type: ignore[index]


def error_mm(found: Registration, truth: NDArray[np.float64]) -> float:
    points = np.random.default_rng(1).uniform(-1, 1, (400, 3)) * [65, 85, 60]
    return float(np.linalg.norm(moved(points, found.matrix) - moved(points, truth), axis=1).mean())


def middle(volume: Volume) -> NDArray[np.float64]:
    """Mean position of the head's voxels."""
    return np.asarray(volume.grid.positions(np.argwhere(volume.voxels > 200)).mean(axis=0), np.float64)


def test_the_made_motion_is_the_one_meant() -> None:
    """Tests below would prove nothing if the T1 were drawn elsewhere: its head's centre lies where the motion says."""
    truth = true_motion("large")
    volume = after(truth, THICK["thin"])
    centre = middle(volume)
    unmoved = after(np.eye(4), THICK["thin"])
    before = middle(unmoved)
    np.testing.assert_allclose(centre, moved(before[None], truth)[0], atol=1.5)


@pytest.mark.parametrize("motion", list(MOTIONS))
@pytest.mark.parametrize("grid", list(THICK))
def test_a_known_motion_is_found(grid: str, motion: str) -> None:
    truth = true_motion(motion)
    found = register(after(truth, THICK[grid]), FLAIR)
    assert error_mm(found, truth) < 1.2  # two thirds of a pixel; the made head has no more detail than that
    assert found.quality > LEAST_QUALITY


@pytest.mark.parametrize("role", ["pre", "post"])
def test_contrast_agent_does_not_matter(role: str) -> None:
    truth = true_motion("middling")
    assert error_mm(register(after(truth, THICK["axial"], role), FLAIR), truth) < 0.7


def test_headers_of_another_frame_of_reference_are_not_needed() -> None:
    """The origin is anywhere: the heads' own positions decide."""
    truth = true_motion("small")
    away = np.array([310.0, -250, 480])
    truth[:3, 3] += away
    far = replace(THICK["axial"], origin=THICK["axial"].origin + away)
    found = register(after(truth, far), FLAIR, same_frame=False)
    assert error_mm(found, truth) < 0.7
    assert "centres of the heads" in found.note


def test_headers_that_put_the_two_nowhere_near_each_other_are_got_over() -> None:
    """They claim one frame of reference; at the header's place nothing overlaps."""
    truth = true_motion("small")
    away = np.array([0.0, 0, 600])
    truth[:3, 3] += away
    far = replace(THICK["axial"], origin=THICK["axial"].origin + away)
    assert error_mm(register(after(truth, far), FLAIR), truth) < 1.2


@pytest.mark.parametrize("role", ["pre", "post"])
def test_what_lies_in_place_on_one_grid_keeps_its_header_exactly(role: str) -> None:
    found = register(head_on(GRID)[role], FLAIR)  # type: ignore[index]
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    assert not found.applied
    assert found.translation_mm == 0


def test_a_motion_of_two_millimetres_on_one_grid_is_applied() -> None:
    truth = np.eye(4)
    truth[:3, 3] = (2, 0, 0)
    found = register(after(truth, GRID), FLAIR)
    assert found.applied
    assert error_mm(found, truth) < 0.5


def test_the_figures_are_those_of_the_motion() -> None:
    truth = true_motion("middling")
    found = register(after(truth, THICK["axial"]), FLAIR)
    angle = np.rad2deg(np.linalg.norm(Rotation.from_matrix(truth[:3, :3]).as_rotvec()))
    assert found.rotation_deg == pytest.approx(angle, abs=0.7)
    assert found.translation_mm == pytest.approx(error_mm(found, np.eye(4)), rel=0.15)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_a_bit(threads: int) -> None:
    volume = after(true_motion("middling"), THICK["oblique"])
    before = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        with ThreadPoolExecutor(max_workers=threads) as pool:
            found = list(pool.map(lambda _: register(volume, FLAIR), range(threads)))
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    for each in found:
        np.testing.assert_array_equal(each.matrix, REFERENCE.matrix)
        assert each.quality == REFERENCE.quality


REFERENCE: Any = register(after(true_motion("middling"), THICK["oblique"]), FLAIR)


def noise() -> Volume:
    return Volume(voxels=np.random.default_rng(1).rayleigh(60, GRID.shape).astype(np.float32), grid=GRID)


def a_ball() -> Volume:
    positions = GRID.positions(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return Volume(voxels=np.where(np.linalg.norm(positions, axis=-1) < 80, 500, 0).astype(np.float32), grid=GRID)


@pytest.mark.parametrize("made", [noise, a_ball])
def test_what_is_no_such_head_is_below_the_limit(made: Any) -> None:  # noqa: ANN401 - a function
    assert register(made(), FLAIR).quality < LEAST_QUALITY


def test_by_the_header_nothing_moves_and_a_misfit_shows() -> None:
    there, away = by_header(head_on(GRID)["pre"], FLAIR), by_header(after(true_motion("large"), GRID), FLAIR)
    for each in (there, away):
        np.testing.assert_array_equal(each.matrix, np.eye(4))
        assert not each.applied
    assert away.quality < LEAST_QUALITY < there.quality


def test_one_slice_is_registered_without_a_fault() -> None:
    grid = axial_grid((1, 128, 128), spacing=(5.0, 1.8, 1.8))
    head = head_on(grid)
    found = register(head["pre"], head["flair"])
    assert error_mm(found, np.eye(4)) < 2
