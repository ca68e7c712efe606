"""The guard of studies on made heads: silent on a good one, each fault seen by its check, the mask judged too.

Covers `guard_measures`. On real patients: `benchmarks/guard_rates.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.guard_rates import FAULTS, names
from brainseg_runtime.studies.geometry import AXIAL, Grid, Volume
from brainseg_runtime.studies.guard.checks import inspect_mask, inspect_study
from brainseg_runtime.studies.guard.measures import coverage, depths, overlap, pieces

Images = NDArray[np.uint8]
SEEN = sorted(set(FAULTS) - {"two legs", "scalp and skull removed"})
"""Faults that the guard sees here: two legs pass for a head, and the edge of this head's brain is as bright as fat."""


def made_frame(slices: int = 12, seed: int = 0) -> Images:
    """Heads of 190 x 160 pixels: bright scalp, dark skull, brain of smooth white matter and fine cortex."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256] - 127.5
    radius = np.hypot(rows / 95, columns / 80)
    fine = ndimage.gaussian_filter(rng.normal(size=(slices, 256, 256)), (0, 1.2, 1.2))
    folds = ndimage.gaussian_filter(rng.normal(size=(slices, 256, 256)), (0, 4, 4)) > 0.0
    images = np.zeros((slices, 256, 256, 3))
    brain, cortex = radius < 0.85, (radius > 0.25) & folds
    for channel, (grey, white) in enumerate([(45, 62), (62, 45), (47, 64)]):
        image = np.where(cortex, grey, white) + fine * np.where(cortex, 25, 3)
        image = np.where(brain, image, np.where(radius < 0.92, 8, 150))
        images[..., channel] = np.where(radius < 1, image, 0)
    return np.clip(images, 0, 255).astype(np.uint8)


GOOD = made_frame()


def test_a_good_head_gives_no_reason() -> None:
    assert inspect_study(GOOD) == ()
    assert inspect_study(GOOD, mask=np.zeros(GOOD.shape[:3], np.uint8)) == ()


@pytest.mark.parametrize("fault", SEEN)
def test_each_fault_is_seen_by_its_check(fault: str) -> None:
    check, make = FAULTS[fault]
    found = names(inspect_study(make(GOOD)))
    assert check in found or (check == "alignment" and "coverage" in found)  # outside this head all is exactly 0


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_brightness_alone_is_no_reason(gain: float) -> None:
    assert inspect_study((GOOD * gain).astype(np.uint8)) == ()


def test_a_sequence_filled_in_with_flair_is_not_judged() -> None:
    assert inspect_study(GOOD[..., [1, 1, 1]]) == ()
    assert inspect_study(GOOD[..., [1, 1, 2]]) == ()


@pytest.mark.parametrize("frame", [
    np.zeros((3, 256, 256, 3), np.uint8), np.full((3, 256, 256, 3), 200, np.uint8), GOOD[:1] // 200,
])  # fmt: skip
def test_no_head_is_told(frame: Images) -> None:
    assert "no head" in names(inspect_study(frame))


def test_one_slice_is_enough() -> None:
    assert "no head" not in names(inspect_study(GOOD[:1]))


def square(part: Callable[[NDArray[np.bool_]], None]) -> NDArray[np.uint8]:
    """A mask, drawn by a function."""
    mask = np.zeros(GOOD.shape[:3], bool)
    part(mask)
    return mask.view(np.uint8)


def test_a_plausible_mask_gives_no_reason() -> None:
    def draw(mask: NDArray[np.bool_]) -> None:
        mask[4:8, 90:130, 90:130] = True

    assert inspect_mask(GOOD, square(draw)) == ()


def test_implausible_masks_are_told() -> None:
    def much(mask: NDArray[np.bool_]) -> None:
        mask[5, 60:200, 70:190] = True

    def scattered(mask: NDArray[np.bool_]) -> None:
        mask[:, 80:180:16, 80:180:16] = True
        mask[:] = ndimage.binary_dilation(mask, np.ones((1, 6, 6), bool))
        mask[1::2] = False

    def edge(mask: NDArray[np.bool_]) -> None:
        mask[4:6, 33:42, 110:140] = True

    assert names(inspect_mask(GOOD, square(much))) == {"implausible mask"}
    assert "scattered mask" in names(inspect_mask(GOOD, square(scattered)))
    assert names(inspect_mask(GOOD, square(edge))) == {"mask at the edge"}


@pytest.mark.parametrize(("spacing", "told"), [(0.9, False), (0.2, True), (2.5, True)])
def test_a_head_of_an_impossible_size_is_told(spacing: float, told: bool) -> None:
    voxels = GOOD[..., 1].astype(np.float32)
    grid = Grid(shape=(12, 256, 256), spacing=(5.0, spacing, spacing), directions=AXIAL, origin=np.zeros(3))
    volume = Volume(voxels=voxels, grid=grid)
    found = names(inspect_study(GOOD, {"flair": volume, "pre": volume, "post": volume}))
    assert ("size" in found) is told


def test_depth_is_scipys_distance_and_parts_are_its_labels() -> None:
    mask = np.random.default_rng(2).random((3, 40, 40)) < 0.9
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    expected = [ndimage.distance_transform_cdt(each, metric="taxicab")[1:-1, 1:-1] for each in padded]
    np.testing.assert_array_equal(depths(mask, 99), np.array(expected))
    sparse = np.random.default_rng(3).random((6, 30, 30)) < 0.1
    labels, count = ndimage.label(sparse, np.ones((3, 3, 3)))
    assert pieces(sparse) == sorted(np.bincount(labels.ravel())[1:].tolist(), reverse=True)
    assert len(pieces(sparse)) == count


def test_overlap_and_coverage() -> None:
    one = np.zeros((1, 32, 32), bool)
    one[:, :16] = True
    assert overlap(one, one) == 1
    assert overlap(one, ~one) == 0
    assert overlap(one & ~one, one & ~one) == 1
    assert coverage(np.full((1, 32, 32), 9, np.uint8), one) == 1
    assert coverage(np.zeros((1, 32, 32), np.uint8), one) == 0
