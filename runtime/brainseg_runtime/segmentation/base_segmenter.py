"""The base of all segmenters: who can predict one slice predicts batches and volumes too.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import CancelledError
from brainseg_runtime.safe_io.arguments import check_call, check_kind
from brainseg_runtime.segmentation.image_check import check_batch, check_volume
from brainseg_runtime.segmentation.postprocessing import PostProcessing
from brainseg_runtime.segmentation.results import Prediction, SegmenterInfo, Timing, VolumePrediction, at_threshold

Progress = Callable[[int, int], None]
"""Called with the number of slices done, and of slices in all."""

Cancel = Callable[[], bool]
"""Called before every slice; a true answer stops."""


class BaseSegmenter(ABC):
    """A loaded model, in this process (`Segmenter`) or in one of its own (`IsolatedSegmenter`)."""

    @property
    @abstractmethod
    def info(self) -> SegmenterInfo:
        """Provider and variant in use and why, digests, threads, limits, versions."""

    @abstractmethod
    def predict(self, image: NDArray[np.uint8], *, strict: bool = False, threshold: float | None = None) -> Prediction:
        """Segment one slice.

        Args:
            image: (H, W, 3) uint8, channels pre-contrast, FLAIR, post-contrast; H and W within the limits, any strides,
                read-only or not. It is not changed.
            strict: Refuse what the input guard warns of.
            threshold: Probability in float32 from which a pixel is tumour, above 0 and at most 1; None takes the
                model's own, the one that was validated. Any other adds a warning to the result.

        Returns:
            Mask, probability, area, warnings, timing and provenance.

        Raises:
            ArgumentError: The threshold is out of its range.
            ImageError: The image is not such an array, or, with `strict`, the input guard warns of it.
            InferenceError: The model could not be run.
        """

    def predict_batch(
        self,
        images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        strict: bool = False,
        threshold: float | None = None,
    ) -> tuple[Prediction, ...]:
        """Segment several slices, which may differ in size; the same bits as one by one.

        Args:
            images: (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8; at most `Limits.max_batch`.
            strict: As for `predict`.
            threshold: As for `predict`.

        Returns:
            One prediction for each image, in order.

        Raises:
            ImageError: An image is not as `predict` takes it, or there are none or too many.
            InferenceError: The model could not be run.
        """
        checked = check_batch(images, self.info.limits)
        return tuple([self.predict(image, strict=strict, threshold=threshold) for image in checked])

    def predict_volume(
        self,
        slices: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        strict: bool = False,
        postprocessing: PostProcessing | None = None,
        threshold: float | None = None,
    ) -> VolumePrediction:
        """Segment the slices of one patient; the same bits as slice by slice.

        Args:
            slices: (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8 of one size, in anatomical order.
            progress: Called with slices done and slices in all: once before the first, then after each.
            cancel: Called before each slice; a true answer stops.
            strict: As for `predict`.
            postprocessing: What to do with the masks of the whole volume; None: nothing.
            threshold: As for `predict`.

        Returns:
            Masks, probabilities, areas, warnings by slice, timing and provenance.

        Raises:
            ArgumentError: Progress or cancel is not a function, or post-processing is something else.
            ImageError: A slice is not as `predict` takes it, they differ in size, or the volume is empty or too large.
            CancelledError: `cancel` said so; nothing that was computed is returned.
            InferenceError: The model could not be run.
        """
        start = time.perf_counter()
        check_call("progress", progress)
        check_call("cancel", cancel)
        if postprocessing is not None:
            check_kind("postprocessing", postprocessing, PostProcessing)
        images = check_volume(slices, self.info.limits)
        shape = (len(images), *images[0].shape[:2])
        mask, probability = np.empty(shape, np.uint8), np.empty(shape, np.float32)
        warnings: dict[int, tuple[str, ...]] = {}
        inference = 0.0
        for n in _counted(len(images), progress, cancel):
            result = self.predict(images[n], strict=strict, threshold=threshold)
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
            provenance=at_threshold(self.info.provenance, threshold),
            timing=Timing(total=time.perf_counter() - start, inference=inference),
        )


def _counted(count: int, progress: Progress | None, cancel: Cancel | None) -> Iterator[int]:
    """0 to count - 1, reporting progress and checking for cancellation on the way."""
    for done in range(count):
        if progress is not None:
            progress(done, count)
        if cancel is not None and cancel():
            raise CancelledError("the volume was cancelled", got=f"{done} of {count} slices done")
        yield done
    if progress is not None:
        progress(count, count)
