"""One ONNX graph on one provider, run one image at a time, each size of image always through the same session.

Legend: N batch, H rows, W columns.

Batches run image by image. On processors that costs nothing measurable, since one image keeps every core busy; it gives
a batch the same bits as its images alone, and needs the memory of one image.

An image of the usual size goes through a session made for that size, every other image through a session for any size.
The first is faster; the two may differ in the last bits, but the rule is fixed, so an image has one answer. The second
session is made for the first image that needs it.

A provider that keeps something for every size it has seen says how many one session may see
(`Provider.sizes_per_session`); then the session is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import CONTRACT
from brainseg_runtime.errors import BrainsegError, InferenceError
from brainseg_runtime.inference.allocator import return_free_memory
from brainseg_runtime.inference.graph_check import check_model
from brainseg_runtime.inference.providers import Session, find_provider
from brainseg_runtime.inference.sessions import (
    ANY,
    USUAL,
    check_assignment,
    check_contract,
    declared_by,
    first_line,
    native_errors,
    open_session,
    own_names,
)

USUAL_SIZE: Final = (USUAL["H"], USUAL["W"])
"""Rows and columns of the images that have a session of their own."""

SMALL_PIXELS: Final = 512 * 512
"""Up to this size an image leaves less than 5 MiB in the allocator, not worth the millisecond it takes to return."""

_BITS_OF_ONE: Final = 0x3F800000
"""1.0 as IEEE 754 single precision writes it."""

_OUTPUTS: Final = [tensor.name for tensor in CONTRACT.outputs]


class Engine:
    """Runs the contract's graph; safe to call from several threads.

    Args:
        model: The ONNX file's bytes, verified by the caller; they are kept for the second session.
        provider: The provider's name.
        threads: Threads within one operator.

    Raises:
        ProviderError: The provider is not available, cannot run the model, or would leave its work to another one.
        ContractError: The bytes are not a model of the contract.
    """

    def __init__(self, model: bytes, *, provider: str, threads: int) -> None:
        self._provider = find_provider(provider)
        self.threads = threads
        self._model = model
        self._lock = threading.Lock()
        self._sizes: set[tuple[int, int]] = set()
        self._swollen = False
        self._declared = check_model(model)
        check_contract(self._declared)
        self._any: Session | None = None
        self._usual, self.nodes = self._open(USUAL)

    def run(self, image_nhwc: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Segment one image.

        Args:
            image_nhwc: (1, H, W, 3) uint8, C-contiguous.

        Returns:
            Mask (1, H, W) uint8 and probability (1, H, W) float32, both new.

        Raises:
            InferenceError: The graph failed, its answer is not a mask and a probability, or the session for the image's
                size could not be made.
        """
        batch, height, width, _ = image_nhwc.shape
        usual = batch == 1 and (height, width) == USUAL_SIZE
        session = self._usual if usual else self._session_for(height, width)
        try:
            mask, probability = session.run(_OUTPUTS, {CONTRACT.input.name: image_nhwc})
        except native_errors() as error:
            raise InferenceError(
                f"the model could not be run on an image of {(height, width)}", got=first_line(error)
            ) from error
        self._settle(height * width)
        check_answer(mask, probability, image_nhwc.shape[:3])
        return mask, probability

    def _settle(self, pixels: int) -> None:
        """Return the memory of a large image, after it and, for what its result held, after the next one."""
        large = pixels > SMALL_PIXELS
        if large or self._swollen:
            return_free_memory()
        self._swollen = large

    def _session_for(self, height: int, width: int) -> Session:
        """The session for any size, replaced once it has seen too many; callers in flight keep theirs."""
        most = self._provider.sizes_per_session
        with self._lock:
            if self._any is None or (most is not None and len(self._sizes | {(height, width)}) > most):
                try:
                    self._any, _ = self._open(ANY)
                except BrainsegError as error:
                    raise InferenceError(
                        f"no session could be made for an image of {(height, width)}", got=error
                    ) from error
                self._sizes.clear()
            if most is not None:
                self._sizes.add((height, width))
            return self._any

    def _open(self, fixed: Mapping[str, int]) -> tuple[Session, Mapping[str, int]]:
        """A session that has passed every check, and how many of its nodes each provider runs."""
        lengths = own_names(fixed, self._declared)
        session = open_session(self._model, provider=self._provider, threads=self.threads, fixed=lengths)
        check_contract(declared_by(session), fixed=fixed)
        return session, check_assignment(session, self._provider)


def check_answer(mask: NDArray[Any], probability: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an answer that is not a mask and a probability of the image.

    Args:
        mask: What should be (N, H, W) uint8, 0 or 1.
        probability: What should be (N, H, W) float32, in [0, 1].
        shape: (N, H, W) of the image.

    Raises:
        InferenceError: They are not.

    Examples:
        >>> check_answer(np.ones((1, 2, 2), np.uint8), np.ones((1, 2, 2), np.float32), (1, 2, 2))
    """
    shapes_fit = mask.shape == probability.shape == shape
    if not shapes_fit or mask.dtype != np.uint8 or probability.dtype != np.float32:
        raise InferenceError(
            "the model's answer has the wrong shape or type",
            expected=shape,
            got=(mask.shape, mask.dtype, probability.shape),
        )
    if mask.max() > 1 or not _within_one(probability):
        raise InferenceError(
            "the model's answer is not a mask and a probability", expected="mask 0 or 1, probability in [0, 1]",
            got=f"mask up to {mask.max()}, probability {probability.min()} to {probability.max()}",
        )  # fmt: skip


def _within_one(probability: NDArray[np.float32]) -> bool:
    """Whether every value is in [0, 1], which NaN is not.

    Bit patterns of floats from 0 upwards are ordered like their values, and those of negative numbers and of NaN are
    larger than those of all values up to 1: one pass over integers decides, unless there is a -0.0.
    """
    if int(probability.view(np.uint32).max()) <= _BITS_OF_ONE:
        return True
    return bool(probability.min() >= 0 and probability.max() <= 1)
