"""Pictures: upright in every plane, with the right letters, and outlines where the mask is."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.written.pictures import RED, View, draw, to_grey, with_text, with_warnings
from tests.runtime.studies.written.made_results import AXIAL, OBLIQUE, awkward_mask
from tests.studies_made.shapes import as_acquired, seen_along

LETTERS: dict[Literal["axial", "sagittal", "coronal"], tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "H", "F"),
    "sagittal": ("A", "P", "H", "F"),
}


@pytest.mark.parametrize("plane", LETTERS)
@pytest.mark.parametrize("flipped", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_plane_looks_the_same_however_it_is_stored(
    plane: Literal["axial", "sagittal", "coronal"],
    flipped: tuple[bool, bool],
    swapped: bool,
) -> None:
    mask, grid = as_acquired(awkward_mask(), AXIAL, plane)
    axes = (0, 2, 1) if swapped else (0, 1, 2)
    stored, where = seen_along(mask, grid, axes, (False, *flipped))
    view = View.of(where)
    assert view.letters == LETTERS[plane]
    assert view.patient_orientation == (LETTERS[plane][1], LETTERS[plane][3])
    assert view.size(300) == View.of(grid).size(300)
    for k in range(len(mask)):
        assert np.array_equal(view.upright(stored[k]), mask[k])


def test_a_tilted_grid_is_shown_as_the_plane_that_it_is_nearest_to() -> None:
    assert View.of(OBLIQUE).letters == LETTERS["axial"]


def test_pixels_of_the_picture_are_square() -> None:
    grid = Grid(shape=(1, 10, 20), spacing=(5.0, 3.0, 1.0), directions=AXIAL.directions, origin=np.zeros(3))
    height, width = View.of(grid).size(400)
    assert height / width == pytest.approx(30 / 20, abs=0.01)


def test_a_large_slice_is_made_smaller() -> None:
    grid = Grid(shape=(1, 2048, 1024), spacing=(5.0, 0.1, 0.1), directions=AXIAL.directions, origin=np.zeros(3))
    assert View.of(grid).size(512) == (512, 256)


def test_grey_runs_from_nothing_to_the_brightest_half_percent() -> None:
    values = np.linspace(-5, 1000, 10_000, dtype=np.float32).reshape(1, 100, 100)
    grey = to_grey(values)
    assert (grey[values <= 0] == 0).all()
    assert 40 <= np.count_nonzero(grey == 255) <= 60
    assert (to_grey(np.zeros((1, 4, 4), np.float32)) == 0).all()


def test_text_is_broken_and_nothing_of_the_picture_is_covered() -> None:
    picture: NDArray[np.uint8] = np.full((20, 120, 3), 7, np.uint8)
    short = with_text(picture, [("short", (255, 255, 255))])
    long = with_text(picture, [("many words " * 8, (255, 255, 255))])
    assert long.shape[0] > short.shape[0] > 20
    assert np.array_equal(long[:20], picture)


def test_warnings_stand_on_red_above_the_picture_and_cover_nothing() -> None:
    picture: NDArray[np.uint8] = np.full((20, 300, 3), 7, np.uint8)
    one, two = with_warnings(picture, ["one"]), with_warnings(picture, ["one", "two"])
    assert with_warnings(picture, []) is picture
    assert two.shape[0] > one.shape[0] > 20
    assert np.array_equal(two[-20:], picture)
    assert (two[0] == RED).all()
    assert (two[:-20] == (235, 235, 235)).all(axis=2).any()


def test_a_word_that_is_wider_than_the_picture_is_broken() -> None:
    picture: NDArray[np.uint8] = np.zeros((20, 100, 3), np.uint8)
    assert with_text(picture, [("1" * 60, (255, 255, 255))]).shape[0] > with_text(picture, [("1", (255,) * 3)]).shape[0]


def test_an_empty_mask_draws_nothing() -> None:
    view = View.of(AXIAL)
    picture = draw(np.zeros((40, 48), np.uint8), np.zeros((40, 48), np.uint8), view, longest=480, colour=(255, 0, 0))
    assert not (picture == (255, 0, 0)).all(axis=2).any()
