"""A segmenter in a process of its own: what goes wrong in native code there is an error here, and the next call works.

The process is started with the host's interpreter, gets the bundle's path and its pinned digest, verifies and loads it
itself, and is replaced after a crash, a hang or a broken message. Images and results cross as raw bytes (`wire`), so
that neither side ever runs what the other one sent. The host's main module is not imported, so it needs no guard.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import WorkerError
from brainseg_runtime.inference.processor import thread_count
from brainseg_runtime.isolation import messages
from brainseg_runtime.isolation.memory_cap import LEAST_MIB
from brainseg_runtime.isolation.process import IsolatedProcess, raise_error
from brainseg_runtime.safe_io.arguments import check_deadline, check_integer, check_kind, check_path, check_threshold
from brainseg_runtime.safe_io.strict_json import Fields, Json
from brainseg_runtime.segmentation import volumes
from brainseg_runtime.segmentation.postprocessing import PostProcessing
from brainseg_runtime.segmentation.results import (
    Prediction,
    Provenance,
    SegmenterInfo,
    Timing,
    VolumePrediction,
    at_threshold,
)
from brainseg_runtime.segmentation.volumes import Cancel, Progress


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What the process is to load."""

    path: Path
    digest: str | None
    """Of the manifest, or of the bare file; None: whichever is there."""
    provider: str
    variant: str
    threads: int
    limits: Limits
    sealed: bool
    memory_mib: int | None

    def to_json(self) -> dict[str, Json]:
        """As the first message carries it."""
        limits: dict[str, Json] = {name: int(cap) for name, cap in asdict(self.limits).items()}
        return {**asdict(self), "path": str(self.path.absolute()), "limits": limits}


class IsolatedSegmenter:
    """A model in a process of its own. Make one with `load` or `Segmenter.isolated`; close it, or use ``with``.

    Safe to share between threads: calls take turns, since one process runs one slice at a time.
    """

    def __init__(self, request: _Request, *, deadline: float) -> None:
        """Not for callers: `load` and `Segmenter.isolated` make instances."""
        self._request = request
        self._deadline = check_deadline(deadline)
        self._lock = threading.Lock()
        self._closed = False
        self._child: IsolatedProcess | None = IsolatedProcess(request.to_json())
        self._info = _read_info(self._child.info, request)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        digest: str | None = None,
        provider: str = "auto",
        variant: str = "auto",
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        deadline: float = 60.0,
        memory_mib: int | None = None,
    ) -> IsolatedSegmenter:
        """Load a bundle in a new process; this one never touches onnxruntime.

        Args:
            path: As `Segmenter.load`, and so `digest`, `provider`, `variant`, `threads` and `limits`.
            digest: SHA-256 of the manifest, pinned by the host.
            provider: ``auto`` or a provider's name.
            variant: ``auto`` or a variant's name.
            threads: Threads within one operator.
            limits: Caps on files and images.
            deadline: Seconds that one slice may take, loading apart; at most a day.
            memory_mib: Most memory of the process in MiB (Linux, Windows), at least 64; None: no cap.

        Returns:
            A segmenter whose process is up and has loaded the model.

        Raises:
            ArgumentError: As `Segmenter.load`, and for a deadline or a cap that is none.
            BundleError: As `Segmenter.load`.
            ProviderError: As `Segmenter.load`.
            WorkerError: The process could not be started.
        """
        request = _Request(
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
        request = _Request(
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
        """As `Segmenter.info`, from the process's own word."""
        return self._info

    @property
    def pid(self) -> int | None:
        """The process's number, None where there is none at the moment."""
        child = self._child
        return None if child is None else child.pid

    def predict(self, image: NDArray[np.uint8], *, strict: bool = False, threshold: float | None = None) -> Prediction:
        """As `Segmenter.predict`.

        Raises:
            WorkerError: The process crashed, hung beyond the deadline or ran out of memory; the next call has a new
                one.
        """
        pixels = volumes.check_image(image, self._info.limits)
        height, width = pixels.shape[:2]
        asked = None if threshold is None else check_threshold(threshold)
        head: dict[str, Json] = {"height": height, "width": width, "strict": strict, "threshold": asked}
        provenance = at_threshold(self._info.provenance, asked)
        return _read_result(self._exchange(head, pixels), (height, width), provenance)

    def predict_batch(
        self,
        images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        strict: bool = False,
        threshold: float | None = None,
    ) -> tuple[Prediction, ...]:
        """As `Segmenter.predict_batch`.

        Raises:
            WorkerError: As `predict`.
        """
        predict = partial(self.predict, strict=strict, threshold=threshold)
        return volumes.predict_batch(images, self._info.limits, predict)

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
        """As `Segmenter.predict_volume`; the deadline holds for each slice.

        Raises:
            WorkerError: As `predict`.
        """
        return volumes.predict_volume(
            slices,
            self._info.limits,
            partial(self.predict, strict=strict, threshold=threshold),
            at_threshold(self._info.provenance, threshold),
            progress=progress,
            cancel=cancel,
            postprocessing=postprocessing,
        )

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

    def _exchange(self, head: Mapping[str, Json], pixels: NDArray[np.uint8]) -> messages.Message:
        """Send an image and wait for its answer, replacing a process that does not give one."""
        with self._lock:
            if self._closed:
                raise WorkerError("the isolated segmenter is closed")
            if self._child is None:
                self._child = IsolatedProcess(self._request.to_json())
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
    """A cap on memory, or none."""
    return None if mebibytes is None else check_integer("memory_mib", mebibytes, low=LEAST_MIB, high=1 << 40)


def _read_info(head: Mapping[str, Json], request: _Request) -> SegmenterInfo:
    """The process's word on what it loaded."""
    fields = Fields(dict(head), "info", error=WorkerError).fields("info")
    provenance = fields.json_object("provenance")
    bundle_digest, threshold, same_bits = provenance["bundle_digest"], provenance["threshold"], fields.take("same_bits")
    limits = {key: value for key, value in fields.json_object("limits").items() if isinstance(value, int)}
    return SegmenterInfo(
        provenance=Provenance(
            provider=str(provenance["provider"]),
            variant=str(provenance["variant"]),
            bundle_digest=None if bundle_digest is None else str(bundle_digest),
            model_digest=str(provenance["model_digest"]),
            model=str(provenance["model"]),
            threshold=float(threshold) if isinstance(threshold, int | float) else None,
        ),
        reasons=fields.texts("reasons"),
        nodes=MappingProxyType({k: v for k, v in fields.json_object("nodes").items() if isinstance(v, int)}),
        same_bits=same_bits if isinstance(same_bits, bool) else None,
        threads=fields.integer("threads"),
        limits=Limits(**limits),
        path=request.path,
        versions=MappingProxyType({k: str(v) for k, v in fields.json_object("versions").items()}),
    )


def _read_result(reply: messages.Message, size: tuple[int, int], provenance: Provenance) -> Prediction:
    """The process's answer as a prediction whose arrays belong to the caller."""
    fields = Fields(dict(reply.head), "result", error=WorkerError)
    pixels = size[0] * size[1]
    if [len(blob) for blob in reply.blobs] != [pixels, 4 * pixels]:
        raise WorkerError("the isolated process answered another size", expected=pixels)
    mask, probability = reply.blobs
    return Prediction(
        mask=np.frombuffer(mask, np.uint8).reshape(size).copy(),
        probability=np.frombuffer(probability, np.float32).reshape(size).copy(),
        area=fields.integer("area"),
        warnings=fields.texts("warnings"),
        timing=Timing(
            total=fields.number("total", low=0, high=1e9), inference=fields.number("inference", low=0, high=1e9)
        ),
        provenance=provenance,
    )
