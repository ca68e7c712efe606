"""Images, batches and volumes as callers hand them in: checked, then run one image at a time.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import CancelledError, ImageError
from brainseg_runtime.safe_io.arguments import check_call, check_kind
from brainseg_runtime.segmentation.postprocessing import PostProcessing
from brainseg_runtime.segmentation.results import Prediction, Provenance, Timing, VolumePrediction

MAX_VOLUME_PIXELS: Final = 1 << 30
"""Most pixels of a volume: its result holds 5 bytes for each."""

Progress = Callable[[int, int], None]
"""Told how many slices are done, and of how many."""

Cancel = Callable[[], bool]
"""Asked before every slice whether to stop."""

PredictOne = Callable[[NDArray[np.uint8]], Prediction]


def check_image(image: object, limits: Limits) -> NDArray[np.uint8]:
    """The image as a plain C-contiguous array: the caller's own where it is one already, else a copy.

    Args:
        image: What should be (H, W, 3) uint8.
        limits: Caps on H and W.

    Returns:
        (H, W, 3) uint8, C-contiguous.

    Raises:
        ImageError: It is anything else.
    """
    # The module of masked arrays is only imported when it is named: who has not named it has no such array.
    if not isinstance(image, np.ndarray) or (type(image) is not np.ndarray and isinstance(image, np.ma.MaskedArray)):
        raise _wrong("is no array", type(image).__name__, limits)
    if image.dtype != np.uint8:
        remedy = "scale the series to grey levels 0 to 255 as the training data was, and round"
        raise _wrong("has a wrong type", image.dtype, limits, remedy=remedy)
    if image.ndim != 3 or image.shape[2] != 3:
        raise _wrong("has a wrong shape", image.shape, limits)
    low, high = limits.min_side, limits.max_side
    if not (low <= image.shape[0] <= high and low <= image.shape[1] <= high):
        raise _wrong("has a wrong size", image.shape, limits)
    return np.ascontiguousarray(image)


def _wrong(how: str, got: object, limits: Limits, *, remedy: str | None = None) -> ImageError:
    """The error for an image that is none."""
    expected = f"numpy array (H, W, 3) uint8, H and W from {limits.min_side} to {limits.max_side}"
    return ImageError(f"the image {how}", expected=expected, got=got, remedy=remedy)


def predict_batch(images: object, limits: Limits, predict: PredictOne) -> tuple[Prediction, ...]:
    """Check a batch, then predict its images one by one.

    Args:
        images: (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8 of any sizes.
        limits: Caps on N, H and W.
        predict: Predicts one image.

    Returns:
        One prediction an image, in order.

    Raises:
        ImageError: An image is no such array, or there are none or too many.
    """
    series = _series(images)
    if not 1 <= len(series) <= limits.max_batch:
        raise ImageError(
            "the batch has a wrong size",
            expected=f"1 to {limits.max_batch} images",
            got=len(series),
            remedy="predict_volume takes any number",
        )
    return tuple([predict(image) for image in [check_image(item, limits) for item in series]])


def predict_volume(
    slices: object,
    limits: Limits,
    predict: PredictOne,
    provenance: Provenance,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    postprocessing: PostProcessing | None = None,
) -> VolumePrediction:
    """Check a volume, predict its slices one by one, and post-process the whole.

    Args:
        slices: (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8 of one size.
        limits: Caps on H and W.
        predict: Predicts one slice.
        provenance: What the result is to say that computed it.
        progress: Called with slices done and in all: once before the first, then after each.
        cancel: Called before each slice; a true answer stops.
        postprocessing: What to do with the masks; None: nothing.

    Returns:
        The volume's result.

    Raises:
        ArgumentError: Progress, cancel or post-processing is not what its name says.
        ImageError: A slice is no such array, they differ in size, or the volume is empty or too large.
        CancelledError: `cancel` said so.
    """
    start = time.perf_counter()
    check_call("progress", progress)
    check_call("cancel", cancel)
    if postprocessing is not None:
        check_kind("postprocessing", postprocessing, PostProcessing)
    images = _check_volume(slices, limits)
    shape = (len(images), *images[0].shape[:2])
    mask, probability = np.empty(shape, np.uint8), np.empty(shape, np.float32)
    warnings: dict[int, tuple[str, ...]] = {}
    inference = 0.0
    for n in _counted(len(images), progress, cancel):
        result = predict(images[n])
        mask[n], probability[n] = result.mask, result.probability
        inference += result.timing.inference
        if result.warnings:
            warnings[n] = result.warnings
    final = mask if postprocessing is None else postprocessing.apply(mask)
    return VolumePrediction(
        mask=final,
        probability=probability,
        areas=tuple(int(np.count_nonzero(one)) for one in final),
        warnings=MappingProxyType(warnings),
        postprocessing=postprocessing,
        removed_pixels=int(np.count_nonzero(mask)) - int(np.count_nonzero(final)),
        provenance=provenance,
        timing=Timing(total=time.perf_counter() - start, inference=inference),
    )


def _check_volume(slices: object, limits: Limits) -> list[NDArray[np.uint8]]:
    """The slices of a volume, all of one size."""
    images = [check_image(image, limits) for image in _series(slices)]
    if not images:
        raise ImageError("the volume is empty", expected="at least one slice", got="none")
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise ImageError("the slices differ in size", expected="one (H, W)", got=sorted(sizes)[:4])
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    if pixels > MAX_VOLUME_PIXELS:
        raise ImageError("the volume is too large", expected=f"at most {MAX_VOLUME_PIXELS} pixels", got=pixels)
    return images


def _series(images: object) -> Sequence[object]:
    """Something with a length whose items are to be images."""
    if isinstance(images, np.ndarray):
        if images.ndim != 4:
            raise ImageError("the series has a wrong shape", expected="(N, H, W, 3) uint8", got=images.shape)
        return list(images)
    if not isinstance(images, Sequence) or isinstance(images, str | bytes):
        raise ImageError(
            "the slices are not a series of images", expected="(N, H, W, 3) or a sequence", got=type(images).__name__
        )
    return images


def _counted(count: int, progress: Progress | None, cancel: Cancel | None) -> Iterator[int]:
    """0 to count - 1, telling progress and asking for cancellation on the way."""
    for done in range(count):
        if progress is not None:
            progress(done, count)
        if cancel is not None and cancel():
            raise CancelledError("the volume was cancelled", got=f"{done} of {count} slices done")
        yield done
    if progress is not None:
        progress(count, count)
