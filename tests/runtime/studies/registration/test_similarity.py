"""Similarity: against a plain histogram, and highest where two heads match."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from sklearn.metrics import mutual_info_score

from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.registration.similarity import Similarity, moved, sample
from tests.runtime.studies.made_studies import head_on
from tests.studies_made.shapes import axial_grid, turned

GRID = turned(axial_grid((24, 96, 96), spacing=(5.0, 2.4, 2.4)), degrees=(8, 3, -5))
HEAD = head_on(GRID)


def shift(x: float, y: float, z: float) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = (x, y, z)
    return matrix


@pytest.mark.parametrize("shape", [(5, 9, 8), (1, 9, 8)])
def test_samples_are_scipys(shape: tuple[int, int, int]) -> None:
    grid = turned(axial_grid(shape, spacing=(4.0, 1.0, 1.5)), degrees=(20, 5, 40))
    rng = np.random.default_rng(2)
    volume = Volume(voxels=rng.uniform(0, 9, shape).astype(np.float32), grid=grid)
    places = rng.uniform(-1.5, np.array(shape) + 0.5, (500, 3))
    values, reached = sample(volume, grid.positions(places))
    expected = map_coordinates(volume.voxels, places.T, order=1, mode="nearest")
    np.testing.assert_allclose(values, expected, atol=1e-4)
    np.testing.assert_array_equal(reached, ((places >= -0.5) & (places <= np.array(shape) - 0.5)).all(axis=1))


def test_the_measure_is_that_of_the_histogram() -> None:
    """scikit-learn counts the same bins, without sharing them between neighbours."""
    similarity = Similarity.of(HEAD["pre"], HEAD["flair"])
    values, reached = sample(similarity.moving, similarity.positions)
    both = reached & (similarity.fixed_bins >= 0)
    first, second = similarity.fixed_bins[both], np.rint(values[both]).astype(int)
    alone = mutual_info_score(first, first) + mutual_info_score(second, second)
    expected = alone / (alone - mutual_info_score(first, second))
    assert similarity.at(np.eye(4)) == pytest.approx(expected, abs=0.05 * (expected - 1))


@pytest.mark.parametrize("role", ["pre", "post"])
@pytest.mark.parametrize("off", [(2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (0, 0, 3), (0, 0, -3)])
def test_it_is_highest_where_the_two_match(role: str, off: tuple[float, float, float]) -> None:
    similarity = Similarity.of(HEAD[role], HEAD["flair"])  # type: ignore[index]
    assert similarity.at(np.eye(4)) > similarity.at(shift(*off)) + 0.005


def test_noise_is_hardly_similar() -> None:
    noise = np.random.default_rng(3).rayleigh(40, GRID.shape).astype(np.float32)
    assert 1 <= Similarity.of(Volume(voxels=noise, grid=GRID), HEAD["flair"]).at(np.eye(4)) < 1.005


def test_volumes_that_share_too_little_of_the_head_are_not_compared() -> None:
    assert Similarity.of(HEAD["pre"], HEAD["flair"]).at(shift(0, 0, 170)) == 1


def test_it_does_not_depend_on_the_scale_of_values() -> None:
    brighter = Volume(voxels=HEAD["pre"].voxels * np.float32(4), grid=GRID)
    first, second = (Similarity.of(each, HEAD["flair"]).at(np.eye(4)) for each in (HEAD["pre"], brighter))
    assert first == pytest.approx(second, abs=1e-3)


def test_displacement_is_the_mean_over_the_head() -> None:
    assert Similarity.of(HEAD["pre"], HEAD["flair"]).displacement(shift(3, 0, 4)) == pytest.approx(5)


def test_positions_move_as_by_hand() -> None:
    turn = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    np.testing.assert_allclose(moved(np.array([[1.0, 0, 0], [0, 1, 0]]), turn), [[1, 3, 3], [0, 2, 3]])
