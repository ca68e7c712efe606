"""Parity counts every difference, and refuses what rounding does not explain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_export.errors import ParityError
from brainseg_export.evidence import parity
from brainseg_export.evidence.parity import Agreement, compare, require

Answer = tuple[NDArray[np.uint8], NDArray[np.float32]]


def answer(seed: int = 0) -> Answer:
    probability = np.random.default_rng(seed).random((2, 30, 40), dtype=np.float32)
    return (probability >= 0.5).astype(np.uint8), probability


def changed(right: Answer, place: tuple[int, int, int], *, by: float = 0.0, flip: bool = False) -> Answer:
    mask, probability = right[0].copy(), right[1].copy()
    probability[place] += np.float32(by)
    mask[place] ^= np.uint8(flip)
    return mask, probability


def test_equal_answers_agree() -> None:
    found = compare(answer(), answer(), threshold=0.5)
    assert found == Agreement(slices=2, pixels=2400)
    assert found.within(0.0)
    assert found.mask_agreement == 1.0


def test_one_pixel_that_is_off_is_seen() -> None:
    found = compare(answer(), changed(answer(), (1, 3, 4), by=3e-5), threshold=0.5)
    assert found.max_difference == pytest.approx(3e-5, rel=1e-2)
    with pytest.raises(ParityError, match="does not compute"):
        require("it", found)


def test_a_mask_pixel_may_flip_at_the_threshold_and_nowhere_else() -> None:
    mask, probability = answer()
    probability[0, 0, 0], probability[0, 0, 1] = np.float32(0.500004), np.float32(0.50004)
    mask[0, 0, :2] = 1
    near = compare((mask, probability), changed((mask, probability), (0, 0, 0), flip=True), threshold=0.5)
    far = compare((mask, probability), changed((mask, probability), (0, 0, 1), flip=True), threshold=0.5)
    assert (near.mask_differences, near.outside_band) == (1, 0)
    assert (far.mask_differences, far.outside_band) == (1, 1)
    require("it", near)
    with pytest.raises(ParityError):
        require("it", far)


def test_a_probability_that_is_no_number_counts_as_wholly_wrong() -> None:
    found = compare(answer(), changed(answer(), (0, 0, 0), by=np.nan), threshold=0.5)
    assert found.max_difference == 1.0


def test_sums_hold_every_slice() -> None:
    one = compare(answer(), changed(answer(), (0, 1, 1), by=0.1, flip=True), threshold=0.5)
    two = compare(answer(1), answer(1), threshold=0.5)
    total = one + two
    assert (total.slices, total.pixels, total.mask_differences) == (4, 4800, 1)
    assert total.max_difference == one.max_difference
    assert total.mask_agreement == 1 - 1 / 4800


def test_sizes_and_batches_are_those_promised() -> None:
    images = list(parity.size_images())
    assert [image.shape[1:3] for image in images[: len(parity.SIZES)]] == list(parity.SIZES)
    assert [len(image) for image in images[len(parity.SIZES) :]] == [1, 2, 7]
    sides = [side for size in parity.SIZES for side in size]
    assert (min(sides), max(sides)) == (63, 1024)
    assert any(side % 2 for side in sides)
    assert any(height != width for height, width in parity.SIZES)


def test_provoking_images_are_of_every_kind_and_always_the_same() -> None:
    images = list(parity.adversarial_images())
    assert len(images) == 200
    assert all(image.dtype == np.uint8 and image.ndim == 4 and len(image) == 1 for image in images)
    kinds = [
        any(np.ptp(image, axis=(0, 1, 2)).max() == 0 for image in images),
        any(set(np.unique(image)) == {0, 255} for image in images),
        any(len(np.unique(image)) > 250 for image in images),
        any(np.count_nonzero(image) <= 36 for image in images),
    ]
    assert all(kinds)
    again = parity.adversarial_images()
    assert all(np.array_equal(image, same) for image, same in zip(images, again, strict=True))


def test_over_compares_each_model_with_the_reference() -> None:
    def right(images: NDArray[np.uint8]) -> Answer:
        probability = images[..., 1].astype(np.float32) / np.float32(255)
        return (probability >= 0.5).astype(np.uint8), probability

    def wrong(images: NDArray[np.uint8]) -> Answer:
        mask, probability = right(images)
        return mask, np.minimum(probability + np.float32(0.25), 1)

    found = parity.over(right, {"same": right, "other": wrong}, parity.adversarial_images(12), threshold=0.5)
    assert found["same"].max_difference == 0.0
    assert found["other"].max_difference == pytest.approx(0.25)
    assert found["same"].slices == found["other"].slices == 12
