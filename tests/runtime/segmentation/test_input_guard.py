"""The input guard: a reason for each image to distrust, none for those like the training data."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.segmentation.input_guard import inspect_image, refuse, take_fingerprint
from brainseg_runtime.segmenter import Segmenter
from tests.runtime.tiny import TINY, slice_image

SEEN = take_fingerprint(slice_image(96, 80, seed) for seed in range(20))


def like_training() -> NDArray[np.uint8]:
    """An image that the fingerprint knows."""
    return slice_image(96, 80, 99)


def test_an_image_like_the_training_data_has_no_reason() -> None:
    assert inspect_image(like_training(), SEEN) == ()
    refuse(())


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_blank_slice_is_said_to_be_blank_and_nothing_else(level: int) -> None:
    assert inspect_image(np.full((64, 64, 3), level, np.uint8), SEEN) == ("blank slice: every pixel is the same",)


def test_a_single_pixel_between_the_grids_lines_makes_a_slice_not_blank() -> None:
    image = np.zeros((512, 512, 3), np.uint8)
    image[1, 1, 1] = 200
    assert not any("blank" in reason for reason in inspect_image(image, None))


@pytest.mark.parametrize(("channel", "name"), list(enumerate(["pre-contrast", "FLAIR", "post-contrast"])))
def test_a_constant_channel_is_named(channel: int, name: str) -> None:
    image = like_training()
    image[..., channel] = 3
    assert inspect_image(image, None) == (f"constant channel: {name} has one value, 3",)


@pytest.mark.parametrize(("a", "b", "names"), [
    (0, 1, "pre-contrast and FLAIR"), (1, 2, "FLAIR and post-contrast"), (0, 2, "pre-contrast and post-contrast"),
])  # fmt: skip
def test_a_repeated_channel_is_a_missing_sequence(a: int, b: int, names: str) -> None:
    image = like_training()
    image[..., b] = image[..., a]
    assert inspect_image(image, None) == (f"repeated channel: {names} are equal, so a sequence is missing",)


def test_channels_that_differ_only_between_the_grids_lines_are_not_repeated() -> None:
    image = slice_image(512, 512)
    image[..., 2] = image[..., 1]
    image[1, 1, 2] ^= 1
    assert inspect_image(image, None) == ()


@pytest.mark.parametrize("change", [lambda i: 255 - i, lambda i: i // 5, lambda i: np.minimum(i * 6.0, 255)])
def test_intensities_unlike_the_training_data_are_told_with_both_ranges(change: object) -> None:
    image = change(like_training()).astype(np.uint8)  # type: ignore[operator]
    reasons = inspect_image(image, SEEN)
    assert reasons
    assert all(reason.startswith("intensity range: ") and "training had" in reason for reason in reasons)
    assert inspect_image(image, None) == ()


@pytest.mark.parametrize("gain", [1.3, 1.7, 1.9])
def test_scaling_to_a_percentile_is_no_reason(gain: float) -> None:
    """Scaled to its brightest pixels a head becomes up to this much brighter than when scaled to its very brightest."""
    assert inspect_image(np.minimum(like_training() * gain, 255).astype(np.uint8), SEEN) == ()


def test_refusing_says_every_reason() -> None:
    with pytest.raises(ImageError, match="one; two"):
        refuse(("one", "two"))


def test_the_fingerprint_leaves_blank_slices_out() -> None:
    blank = np.zeros((64, 64, 3), np.uint8)
    images = [slice_image(96, 80, seed) for seed in range(20)]
    assert take_fingerprint([blank, *images]) == SEEN
    with pytest.raises(DataError):
        take_fingerprint([blank])


def test_the_fingerprint_leaves_slices_with_a_repeated_sequence_out() -> None:
    images = [slice_image(96, 80, seed) for seed in range(20)]
    repeated = images[0].copy()
    repeated[..., 1] = np.minimum(repeated[..., 1] + 100, 255)
    repeated[..., 2] = repeated[..., 1]
    assert take_fingerprint([repeated, *images]) == SEEN
    with pytest.raises(DataError, match="three sequences"):
        take_fingerprint([repeated])


def test_the_fingerprint_is_the_range_of_means_and_peaks_of_each_channel() -> None:
    images = [slice_image(60, 60, seed) for seed in range(5)]  # not thinned out by the grid: an independent count
    for c, seen in enumerate(take_fingerprint(images).channels.values()):
        means = [image[..., c].mean() for image in images]
        peaks = [np.sort(image[..., c].ravel())[60 * 60 * 99 // 100] for image in images]
        expected = (min(means), max(means), min(peaks), max(peaks))
        np.testing.assert_allclose((seen.low, seen.high, seen.peak_low, seen.peak_high), expected, atol=0.006)


def test_the_guards_work_does_not_grow_with_the_image() -> None:
    sizes = [64, 256, 1024, 2048]
    reasons = [inspect_image(slice_image(side, side), SEEN) for side in sizes]
    assert all(a == b for a, b in pairwise(reasons))


@pytest.mark.parametrize(
    ("height", "width", "warned"), [(64, 128, True), (90, 60, True), (64, 64, False), (60, 80, False)]
)
def test_a_long_slice_is_told_where_the_model_squeezes_it(height: int, width: int, warned: bool) -> None:
    image = slice_image(height, width)
    assert any("squeezed slice" in reason for reason in inspect_image(image, None, squeezes=True)) is warned
    assert not any("squeezed slice" in reason for reason in inspect_image(image, None))


def test_a_bundle_that_keeps_proportions_says_so_in_its_manifest() -> None:
    """The tiny bundle is of release 0.1.0, whose graphs squeeze."""
    bundle = open_bundle(TINY)
    kept = replace(bundle.manifest, training={**bundle.manifest.training, "aspect_ratio": "kept"})
    image = slice_image(40, 90)
    older, newer = (Segmenter.from_bundle(replace(bundle, manifest=each)) for each in (bundle.manifest, kept))
    assert any("squeezed" in warning for warning in older.predict(image).warnings)
    assert not any("squeezed" in warning for warning in newer.predict(image).warnings)
