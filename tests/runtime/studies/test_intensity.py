"""Grey levels: linear, without saturating tissue, whatever offset or padding the scanner's values have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.intensity import HEADROOM, grey_levels
from tests.runtime.studies.made_studies import head_on
from tests.studies_made.shapes import axial_grid

GRID = axial_grid((6, 64, 64), spacing=(20.0, 3.6, 3.6))
HEAD = head_on(GRID)["flair"].voxels


def levels(voxels: NDArray[np.floating]) -> NDArray[np.float32]:
    return grey_levels(Volume(voxels=voxels.astype(np.float32), grid=GRID), "FLAIR").voxels


def test_values_that_are_grey_levels_already_are_taken_as_they_are() -> None:
    whole = np.rint(HEAD / HEAD.max() * 255).astype(np.float32)
    volume = Volume(voxels=whole, grid=GRID)
    assert grey_levels(volume, "FLAIR") is volume


@pytest.mark.parametrize("top", [90, 1000])
def test_other_values_are_scaled_from_zero_to_the_maximum(top: int) -> None:
    voxels = np.rint(HEAD / HEAD.max() * top)
    np.testing.assert_allclose(levels(voxels), voxels * (255 / top), rtol=1e-5)


def test_single_bright_voxels_do_not_make_the_tissue_dark() -> None:
    metal = HEAD.copy()
    metal[3, 30, 30:32] = 30 * HEAD.max()
    bright = np.percentile(metal[metal > 0], 99.5)
    np.testing.assert_allclose(levels(metal), np.minimum(metal * (255 / (HEADROOM * bright)), 255), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_no_head_is_saturated(seed: int) -> None:
    noisy = HEAD * np.random.default_rng(seed).lognormal(0, 0.3, HEAD.shape)
    assert (levels(noisy) >= 254.5).mean() < 0.001


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.5, 600.0), (3.2, -300.0)])
def test_an_offset_is_taken_off(slope: float, intercept: float) -> None:
    np.testing.assert_allclose(levels(HEAD * slope + intercept), levels(HEAD), atol=4)


@pytest.mark.parametrize("padding", [-32768.0, -2000.0, -1.0])
def test_padding_is_black_and_changes_nothing_else(padding: float) -> None:
    padded = HEAD.copy()
    padded[:, :3] = padding
    plain = HEAD.copy()
    plain[:, :3] = 0
    np.testing.assert_allclose(levels(padded), levels(plain), atol=1e-4)


def test_noise_below_zero_is_black() -> None:
    ringing = np.where(HEAD < 40, -HEAD, HEAD)
    np.testing.assert_allclose(levels(ringing), levels(np.where(HEAD < 40, 0, HEAD)), atol=1e-4)


def test_a_standardised_volume_whose_air_is_darkest_is_scaled_back() -> None:
    air = np.where(HEAD < 60, 0, HEAD)
    np.testing.assert_allclose(levels((air - air.mean()) / air.std()), levels(air), atol=0.01)


@pytest.mark.parametrize(
    ("voxels", "what"),
    [
        (np.where(HEAD > 500, np.nan, HEAD), "not numbers"),
        (np.where(HEAD > 500, np.inf, HEAD), "not numbers"),
        (np.where(HEAD > 500, -np.inf, HEAD), "not numbers"),
        (np.zeros(GRID.shape), "blank"),
        (np.full(GRID.shape, 7.0), "blank"),
        (np.where(HEAD < 60, 0, (HEAD - 450) / 150), "standardised"),
    ],
    ids=["nan", "inf", "-inf", "zero", "constant", "standardised"],
)
def test_what_cannot_be_scaled_is_an_error(voxels: NDArray[np.floating], what: str) -> None:
    with pytest.raises(StudyError, match=f"FLAIR .*{what}"):
        levels(voxels)
