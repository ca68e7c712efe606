"""Golden cases hold something that is marked, at every size, whatever the network likes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brainseg_export.evidence.golden import MARKED, golden_cases, golden_images


def bright(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Marks the brightest FLAIR."""
    mask = (images[..., 1] > 200).astype(np.uint8)
    return mask, mask.astype(np.float32)


def picky(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Marks nothing in images of the first drawn patient, and all of the others."""
    known = any(np.array_equal(images, one) for one in golden_images(0))
    mask = np.full(images.shape[:3], 0 if known else 1, np.uint8)
    return mask, mask.astype(np.float32)


def nothing(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return np.zeros(images.shape[:3], np.uint8), np.zeros(images.shape[:3], np.float32)


def test_every_size_has_a_case_that_all_variants_mark() -> None:
    cases = golden_cases({"fp32": bright, "int8": picky})
    assert [case.image.shape for case in cases] == [images.shape for images in golden_images()]
    assert all(answer.mask.mean() >= MARKED for case in cases for answer in case.answers.values())


def test_a_network_that_marks_nothing_still_gets_its_cases() -> None:
    cases = golden_cases({"fp32": nothing})
    assert [case.image.tobytes() for case in cases] == [images.tobytes() for images in golden_images()]
