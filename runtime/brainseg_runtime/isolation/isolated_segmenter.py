"""A segmenter in a process of its own: faults in native code there raise errors here, and the next call works.

The process is started with the host's interpreter, gets the bundle's path and its pinned digest, verifies and loads it
itself, and is replaced after a crash, a hang or a broken message. Images and results cross as raw bytes (`messages`),
so that neither side ever runs what the other one sent. The host's main module is not imported, so it needs no guard.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import WorkerError
from brainseg_runtime.inference.processor import thread_count
from brainseg_runtime.inference.providers import AUTO
from brainseg_runtime.isolation.memory_cap import LEAST_MIB
from brainseg_runtime.isolation.messages import LoadRequest, Message, PredictReply, PredictRequest
from brainseg_runtime.isolation.process import IsolatedProcess, raise_error
from brainseg_runtime.safe_io.arguments import check_deadline, check_integer, check_kind, check_path, check_threshold
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter
from brainseg_runtime.segmentation.image_check import check_image
from brainseg_runtime.segmentation.results import Prediction, Provenance, SegmenterInfo, at_threshold


class IsolatedSegmenter(BaseSegmenter):
    """A model in a process of its own. Make one with `load` or `Segmenter.isolated`; close it, or use ``with``.

    Safe to share between threads: calls take turns, since one process runs one slice at a time.

    >>> import numpy as np
    >>> with IsolatedSegmenter.load("models/resunet", provider="cpu", variant="fp32", deadline=60.0) as segmenter:
    ...     segmenter.predict(np.zeros((64, 64, 3), np.uint8)).mask.shape
    (64, 64)
    """

    def __init__(self, request: LoadRequest, *, deadline: float) -> None:
        """Not for callers: `load` and `Segmenter.isolated` make instances."""
        self._request = request
        self._deadline = check_deadline(deadline)
        self._lock = threading.Lock()
        self._closed = False
        self._child: IsolatedProcess | None = self._start()
        info = from_json(SegmenterInfo, self._child.info.get("info"), "info", error=WorkerError, every_key=True)
        self._info = replace(info, path=request.path)  # as the host wrote it, which may be relative

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        digest: str | None = None,
        provider: str = AUTO,
        variant: str = AUTO,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        deadline: float = 60.0,
        memory_mib: int | None = None,
    ) -> IsolatedSegmenter:
        """Load a bundle in a new process; this one never touches onnxruntime.

        Args:
            path: As for `Segmenter.load`, and so are `digest`, `provider`, `variant`, `threads` and `limits`.
            digest: SHA-256 of the manifest, pinned by the host.
            provider: ``auto`` or a provider's name.
            variant: ``auto`` or a variant's name.
            threads: Threads within one operator.
            limits: Caps on files and images.
            deadline: Seconds that one slice may take, loading not counted; at most a day.
            memory_mib: Most memory of the process in MiB (Linux, Windows), at least 64; None: no cap.

        Returns:
            A segmenter whose process is up and has loaded the model.

        Raises:
            ArgumentError: As for `Segmenter.load`, or the deadline or the memory cap is out of range.
            BundleError: As for `Segmenter.load`.
            ProviderError: As for `Segmenter.load`.
            WorkerError: The process could not be started.
        """
        request = LoadRequest(
            path=check_path("path", path),
            digest=None if digest is None else check_kind("digest", digest, str),
            provider=check_kind("provider", provider, str),
            variant=check_kind("variant", variant, str),
            threads=thread_count(threads),
            limits=check_kind("limits", limits, Limits),
            sealed=True,
            memory_mib=_check_memory(memory_mib),
        )
        return cls(request, deadline=deadline)

    @classmethod
    def of(cls, info: SegmenterInfo, *, deadline: float, memory_mib: int | None) -> IsolatedSegmenter:
        """The model that a segmenter has loaded, pinned by its digest."""
        provenance = info.provenance
        request = LoadRequest(
            path=info.path,
            digest=provenance.bundle_digest or provenance.model_digest,
            provider=info.provider,
            variant=info.variant,
            threads=info.threads,
            limits=info.limits,
            sealed=provenance.bundle_digest is not None,
            memory_mib=_check_memory(memory_mib),
        )
        return cls(request, deadline=deadline)

    @property
    def info(self) -> SegmenterInfo:
        """As for `Segmenter`, reported by the process."""
        return self._info

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is no process."""
        child = self._child
        return None if child is None else child.pid

    def predict(self, image: NDArray[np.uint8], *, strict: bool = False, threshold: float | None = None) -> Prediction:
        """As `Segmenter.predict`.

        Raises:
            WorkerError: The process crashed, took longer than the deadline, or ran out of memory; the next call starts
                a new one.
        """
        pixels = check_image(image, self._info.limits)
        height, width = pixels.shape[:2]
        asked = None if threshold is None else check_threshold(threshold)
        request = PredictRequest(height=height, width=width, strict=bool(strict), threshold=asked)
        provenance = at_threshold(self._info.provenance, asked)
        return _read_result(self._exchange(to_json(request), pixels), (height, width), provenance)

    def close(self) -> None:
        """End the process; further calls are errors. Calling it again does nothing."""
        with self._lock:
            self._closed = True
            self._drop(patience=2.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> IsolatedProcess:
        """A process that has loaded the model."""
        return IsolatedProcess(to_json(replace(self._request, path=self._request.path.absolute())))

    def _exchange(self, head: Mapping[str, Json], pixels: NDArray[np.uint8]) -> Message:
        """Send an image and wait for its answer, replacing a process that does not give one."""
        with self._lock:
            if self._closed:
                raise WorkerError("the isolated segmenter is closed")
            if self._child is None:
                self._child = self._start()
            answered = False
            try:
                reply = self._child.exchange(head, [pixels.data.cast("B")], self._deadline)
                answered = True
            finally:  # an interrupt here would leave an answer in the pipe that belongs to no later call
                if not answered:
                    self._drop()
        raise_error(reply)
        return reply

    def _drop(self, *, patience: float = 0.0) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.end(patience=patience)


def _check_memory(mebibytes: object) -> int | None:
    """The memory cap in MiB, or None for no cap."""
    return None if mebibytes is None else check_integer("memory_mib", mebibytes, low=LEAST_MIB, high=1 << 40)


def _read_result(reply: Message, size: tuple[int, int], provenance: Provenance) -> Prediction:
    """The process's answer as a prediction whose arrays belong to the caller."""
    result = from_json(PredictReply, reply.head, "result", error=WorkerError, every_key=True)
    pixels = size[0] * size[1]
    if [len(blob) for blob in reply.blobs] != [pixels, 4 * pixels]:
        raise WorkerError("the isolated process answered with another size", expected=f"{pixels} pixels")
    mask, probability = reply.blobs
    return Prediction(
        mask=np.frombuffer(mask, np.uint8).reshape(size).copy(),
        probability=np.frombuffer(probability, np.float32).reshape(size).copy(),
        area=result.area,
        warnings=result.warnings,
        timing=result.timing,
        provenance=provenance,
    )
