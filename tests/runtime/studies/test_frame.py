"""The frame: upright for every way of storing a volume, exact where nothing is resampled, and back in place."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from brainseg_runtime.errors import GeometryError
from brainseg_runtime.studies.frame import SIDE, Frame
from brainseg_runtime.studies.geometry import AXIAL, Grid, Volume
from tests.runtime.studies.made_studies import by_simpleitk, head_on
from tests.studies_made.patients import read_patient
from tests.studies_made.shapes import axial_grid, made_head, seen_along, turned

PATIENTS = Path(os.environ.get("BRAINSEG_DATA", "data/kaggle_3m"))
GRIDS = {
    "square": axial_grid((6, 256, 256), spacing=(20.0, 0.9, 0.9)),
    "512": axial_grid((5, 512, 512), spacing=(25.0, 0.45, 0.45)),
    "portrait": turned(axial_grid((6, 256, 208), spacing=(20.0, 0.9, 0.9)), degrees=(16, -3, 2)),
    "landscape": axial_grid((6, 200, 320), spacing=(20.0, 1.1, 0.8)),
    "pixels not square": axial_grid((6, 180, 256), spacing=(20.0, 1.3, 0.9)),
    "coarse": axial_grid((6, 110, 128), spacing=(20.0, 2.0, 1.8)),
    "wide field": axial_grid((6, 320, 320), spacing=(20.0, 1.4, 1.4)),
    "one slice": axial_grid((1, 256, 256), spacing=(5.0, 0.9, 0.9)),
}
EVERY_GRID = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())


def flair_on(grid: Grid) -> Volume:
    return head_on(grid)["flair"]


def blob(grid: Grid) -> Volume:
    """A smooth map, as a network's: 1 in the middle, 0.5 on an ellipsoid off the head's centre, wide in z."""
    positions = grid.positions(np.moveaxis(np.indices(grid.shape), 0, -1))
    radius = np.linalg.norm((positions - [25, -30, 0]) / [18, 22, 60], axis=-1)
    return Volume(voxels=(1 / (1 + np.exp(8 * (radius - 1)))).astype(np.float32), grid=grid)


def test_square_slices_of_a_large_enough_head_are_copied() -> None:
    flair = flair_on(GRIDS["square"])
    frame = Frame.of(flair)
    assert frame.is_copy
    np.testing.assert_array_equal(frame.take_one(flair.voxels), flair.voxels)
    np.testing.assert_array_equal(frame.back(flair.voxels), flair.voxels)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flipped", list(product((False, True), repeat=3)))
def test_every_way_of_storing_a_volume_gives_the_same_frame(
    axes: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> None:
    """Slices of any orientation and order; oblique, so that no axis is the patient's."""
    grid = turned(axial_grid((3, 256, 256), spacing=(40.0, 0.9, 0.9)), degrees=(12, -7, 20))
    flair = flair_on(grid)
    voxels, stored = seen_along(flair.voxels, grid, axes, flipped)
    frame = Frame.of(Volume(voxels=np.asarray(voxels, np.float32), grid=stored))
    np.testing.assert_array_equal(frame.take_one(np.asarray(voxels, np.float32)), flair.voxels)
    np.testing.assert_array_equal(frame.back(flair.voxels), voxels)
    assert frame.grid.same_as(grid, tolerance_mm=1e-9)


@EVERY_GRID
def test_the_frame_is_upright_in_the_patient(grid: Grid) -> None:
    head, back, left = Frame.of(flair_on(grid)).grid.directions
    assert head[2] > 0.9
    assert back[1] > 0.9
    assert left[0] > 0.9


@EVERY_GRID
def test_the_frame_shows_what_lies_where_its_grid_says(grid: Grid) -> None:
    """SimpleITK resamples the same map onto the frame's grid; where pixels are averaged a smooth map differs little."""
    shown = blob(grid)
    frame = Frame.of(flair_on(grid))
    expected = by_simpleitk(shown, frame.grid)
    assert frame.grid.shape == (grid.shape[0], SIDE, SIDE)
    np.testing.assert_allclose(frame.take_one(shown.voxels), expected, atol=0.02 if max(frame.step) > 1 else 1e-3)


@EVERY_GRID
def test_the_way_back_puts_every_pixel_where_it_lies(grid: Grid) -> None:
    frame = Frame.of(flair_on(grid))
    seen = blob(frame.grid)
    back = frame.back(seen.voxels)
    assert back.shape == grid.shape
    expected = by_simpleitk(seen, grid)
    np.testing.assert_allclose(back, expected, atol=0.02 if min(frame.step) < 1 else 1e-3)


@EVERY_GRID
def test_a_mask_there_and_back_is_the_mask(grid: Grid) -> None:
    shown = blob(grid)
    frame = Frame.of(flair_on(grid))
    before, after = shown.voxels >= 0.5, frame.back(frame.take_one(shown.voxels)) >= 0.5
    assert 2 * (before & after).sum() / (before.sum() + after.sum()) > 0.98
    centres = [grid.positions(np.array(ndimage.center_of_mass(mask))) for mask in (before, after)]
    assert np.linalg.norm(centres[0] - centres[1]) < 0.1


@EVERY_GRID
def test_no_part_of_the_head_is_cut_off(grid: Grid) -> None:
    flair = flair_on(grid)
    within = Frame.of(flair).back(np.ones((grid.shape[0], SIDE, SIDE), np.float32)) > 0
    assert within[flair.voxels > 250].mean() > 0.995


def test_the_shorter_side_becomes_256_and_the_centre_is_cropped() -> None:
    """The way that the training data was made, for a head that fits: pixels of 224 / 256, 16 rows off."""
    grid = axial_grid((6, 256, 224), spacing=(20.0, 0.9, 0.9))
    frame = Frame.of(flair_on(grid))
    assert frame.corner == pytest.approx((16, 0))
    assert frame.step == (224 / 256, 224 / 256)
    assert not frame.zoomed


@pytest.mark.parametrize("side", [260, 300])
def test_slices_with_a_wider_margin_alone_are_cropped_and_not_resampled(side: int) -> None:
    frame = Frame.of(flair_on(axial_grid((6, 256, side), spacing=(20.0, 0.9, 0.9))))
    assert frame.is_copy
    assert frame.corner == (0, (side - 256) // 2)


def test_a_header_that_rounds_its_spacing_resamples_nothing() -> None:
    grid = axial_grid((6, 256, 256), spacing=(20.0, 0.8984375, 0.898438))
    assert Frame.of(flair_on(grid)).is_copy


def test_a_head_in_a_wide_field_is_cropped_to() -> None:
    """It fills 0.4 of the slices; in the frame it fills about 0.85, as in the training data."""
    grid = axial_grid((6, 512, 512), spacing=(20.0, 0.9, 0.9), centre=(40, -30, 0))
    flair = flair_on(grid)
    frame = Frame.of(flair)
    rows = np.flatnonzero((frame.take_one(flair.voxels) > 250).any(axis=(0, 2)))
    assert frame.zoomed
    assert 0.8 < (rows[-1] - rows[0]) / SIDE < 0.9


def test_a_few_slices_near_the_vertex_are_not_enlarged() -> None:
    """Their head is small because of where they lie; enlarged, a brain would be shown that no head has."""
    grid = axial_grid((3, 256, 256), spacing=(5.0, 0.9, 0.9), centre=(0, 0, 66))
    flair = flair_on(grid)
    assert (flair.voxels > 250).any()
    assert Frame.of(flair).is_copy


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2)])
def test_a_few_sagittal_or_coronal_slices_are_refused(order: tuple[int, int, int]) -> None:
    """Cut axially they are strips, in which the network's answer means nothing."""
    grid = Grid(shape=(3, 256, 256), spacing=(5.0, 0.9, 0.9), directions=AXIAL[list(order)], origin=np.zeros(3))
    with pytest.raises(GeometryError, match="too thin"):
        Frame.of(Volume(voxels=np.ones(grid.shape, np.float32), grid=grid))


def test_a_missing_sequence_is_flair_repeated() -> None:
    volumes = {
        role: Volume(voxels=each.voxels / np.float32(5), grid=each.grid)
        for role, each in head_on(GRIDS["square"]).items()
    }
    frame = Frame.of(volumes["flair"])
    images = frame.take({"flair": volumes["flair"], "post": volumes["post"]})
    np.testing.assert_array_equal(images[..., 0], images[..., 1])
    np.testing.assert_array_equal(images[..., 2], np.clip(np.rint(volumes["post"].voxels), 0, 255))


def test_grey_levels_are_rounded_and_kept_within_a_byte() -> None:
    grid = GRIDS["one slice"]
    voxels = (flair_on(grid).voxels / 4).astype(np.float32)
    voxels[0, 128, 128:131] = [300.0, 254.6, 0.4]
    images = Frame.of(Volume(voxels=voxels, grid=grid)).take({"flair": Volume(voxels=voxels, grid=grid)})
    assert images.dtype == np.uint8
    assert images[0, 128, 128:131, 1].tolist() == [255, 255, 0]


@pytest.mark.skipif(not PATIENTS.is_dir(), reason="BRAINSEG_DATA names no folder of kaggle_3m")
def test_no_patient_of_the_training_data_is_resampled() -> None:
    resampled = []
    for folder in sorted(PATIENTS.iterdir()):
        if folder.is_dir():
            flair: NDArray[np.float32] = read_patient(folder).volumes["flair"].astype(np.float32)
            for part in (flair, flair[: len(flair) // 3], flair[-2:]):
                grid = axial_grid((len(part), 256, 256), spacing=(130 / len(flair), 0.9, 0.9))
                if not Frame.of(Volume(voxels=part, grid=grid)).is_copy:
                    resampled.append((folder.name, len(part)))
    assert not resampled


def test_the_frame_does_not_depend_on_the_scale_of_values() -> None:
    flair = Volume(voxels=made_head(GRIDS["portrait"]).flair.astype(np.float32), grid=GRIDS["portrait"])
    bright = replace(flair, voxels=flair.voxels * np.float32(7.5))
    assert Frame.of(flair).corner == Frame.of(bright).corner
