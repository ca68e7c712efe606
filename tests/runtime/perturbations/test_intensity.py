"""Grey levels against scipy, scikit-image, Pillow and the distributions that noise must have."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage import exposure

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.intensity import bias, blur, gamma, levels_at, noise, stretch
from brainseg_runtime.perturbations.slices import TrueSlice


def random_slice(seed: int = 0, height: int = 60, width: int = 50) -> TrueSlice:
    rng = np.random.default_rng(seed)
    return TrueSlice(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), np.zeros((height, width), np.uint8))


def flat(level: int, height: int = 101, width: int = 101) -> TrueSlice:
    return TrueSlice(np.full((height, width, 3), level, np.uint8), np.zeros((height, width), np.uint8))


def test_gamma_is_scikit_images() -> None:
    one = random_slice()
    for exponent in (0.7, 1.5):
        expected = 255 * exposure.adjust_gamma(one.image / 255.0, exponent)  # type: ignore[no-untyped-call]
        assert np.abs(gamma(one, exponent, 255).image - expected).max() <= 0.5 + 1e-9


def test_scaling_is_scikit_images_with_clipping() -> None:
    one = random_slice()
    for channel, white in enumerate((255.0, 120.0, 33.0)):
        expected = exposure.rescale_intensity(  # type: ignore[no-untyped-call]
            one.image[..., channel].astype(float), in_range=(0, white), out_range=(0, 255)
        )
        assert np.abs(stretch(one, (255, 120, 33)).image[..., channel] - expected).max() <= 0.5 + 1e-9


def test_scaling_by_the_largest_clips_nothing() -> None:
    one = TrueSlice((random_slice().image // 3).astype(np.uint8), np.zeros((60, 50), np.uint8))
    got = stretch(one, levels_at([one.image], 100)).image
    assert got.reshape(-1, 3).max(axis=0).tolist() == [255, 255, 255]
    assert [len(np.unique(got[..., channel])) for channel in range(3)] == [
        len(np.unique(one.image[..., channel])) for channel in range(3)
    ]


def test_blur_is_scipys_gaussian() -> None:
    one = random_slice()
    expected = ndimage.gaussian_filter(one.image.astype(float), (1.5, 1.5, 0), mode="nearest", radius=(6, 6, 0))
    assert np.abs(blur(one, 1.5).image - expected).max() <= 0.51


@pytest.mark.parametrize("level", [0, 20, 120])
def test_noise_is_rician(level: int) -> None:
    got = noise(flat(level), (8.0, 12.0, 8.0), np.random.default_rng(3)).image
    for channel, sd in ((0, 8.0), (1, 12.0)):
        law = stats.rice(level / sd, scale=sd)
        values = got[..., channel].ravel()
        assert values.mean() == pytest.approx(law.mean(), abs=5 * law.std() / np.sqrt(values.size))
        assert values.std() == pytest.approx(law.std(), rel=0.05)


def test_noise_depends_on_its_generator_alone() -> None:
    one = random_slice()
    first, again, other = (noise(one, 5, np.random.default_rng(seed)).image for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("direction", "bright", "dark"),
    [
        (0.0, (50, 100), (50, 0)),
        (np.pi / 2, (0, 50), (100, 50)),
        (np.pi, (50, 0), (50, 100)),
        (-np.pi / 2, (100, 50), (0, 50)),
    ],
)
def test_bias_brightens_the_side_that_its_direction_names(
    direction: float, bright: tuple[int, int], dark: tuple[int, int]
) -> None:
    got = bias(flat(100), 0.5, direction).image
    assert got[bright].tolist() == [150] * 3
    assert got[dark].tolist() == [50] * 3
    assert got[50, 50].tolist() == [100] * 3
    slopes = np.abs(np.diff(got[..., 0].astype(int), axis=0)).max(), np.abs(np.diff(got[..., 0].astype(int))).max()
    assert max(slopes) <= 2


def test_levels_are_percentiles_of_what_is_not_black() -> None:
    images = [random_slice(seed).image * np.array([1, 1, 0], np.uint8) for seed in range(3)]
    stacked = np.stack(images)
    for percentile in (1.0, 50.0, 98.0, 99.5, 100.0):
        got = levels_at(images, percentile)
        for channel in range(2):
            values = stacked[..., channel]
            expected = np.percentile(values[values > 0], percentile, method="inverted_cdf")
            assert got[channel] == expected
        assert got[2] == 0


def test_a_black_channel_stays_black() -> None:
    one = flat(0)
    assert not stretch(one, (0, 0, 0)).image.any()
    assert not gamma(one, 1.5, (0, 0, 0)).image.any()


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(ArgumentError, match="strength"):
        bias(flat(1), 1.5, 0.0)
    with pytest.raises(ArgumentError, match="exponent"):
        gamma(flat(1), 0.0, 255)
