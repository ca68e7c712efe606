"""The isolated process: reads messages from standard input, answers on what was its standard output.

Started by `process.IsolatedProcess` and by nothing else. Servers of other work than one image share `answer_each`.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import BrainsegError, DigestMismatchError, WorkerError
from brainseg_runtime.isolation.memory_cap import cap_own_memory
from brainseg_runtime.isolation.messages import LoadRequest, Message, PredictReply, PredictRequest, receive, send
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter
from brainseg_runtime.segmentation.results import Prediction

Reply = tuple[dict[str, Json], Sequence[bytes]]
"""A message's head and blobs."""


class Loader(Protocol):
    """Loads a model: the class `Segmenter`, passed in by the line that starts the process."""

    def load(
        self, path: Path, *, digest: str | None, provider: str, variant: str, threads: int, limits: Limits
    ) -> BaseSegmenter:
        """Load a verified bundle."""
        ...

    def load_unsealed(self, path: Path, *, provider: str, threads: int, limits: Limits) -> BaseSegmenter:
        """Load a bare ONNX file."""
        ...


def serve(loader: Loader) -> None:
    """Answer messages until the host closes the pipe."""
    # An interrupt from the terminal is for the host, which ends this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = take_stdout()
    segmenter: BaseSegmenter | None = None
    while (message := receive(sys.stdin.buffer)) is not None:
        try:
            if segmenter is None:
                segmenter = load_model(message, loader)
                send(replies, {"info": to_json(segmenter.info)})
            else:
                result = _predict(segmenter, message)
                reply = PredictReply(area=result.area, warnings=result.warnings, timing=result.timing)
                send(replies, to_json(reply), [result.mask.data.cast("B"), result.probability.data.cast("B")])
        except BrainsegError as error:
            send(replies, {"error": as_text(error)})
        except MemoryError:
            send(replies, {"error": as_text(WorkerError("the isolated process ran out of memory"))})


def take_stdout() -> BinaryIO:
    """Keep standard output for replies alone: anything else that is written to it goes to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def answer_each(
    loader: Loader,
    loaded: Callable[[BaseSegmenter], Reply],
    answer: Callable[[BaseSegmenter, Message], Reply],
    named: Callable[[Exception], BrainsegError],
) -> None:
    """Load the model of the first message and answer every other, until the host closes the pipe or dies.

    The process then ends at once, even in the middle of an answer, so that nothing of it outlives the host.

    Args:
        loader: Loads the model.
        loaded: The reply to the first message.
        answer: The reply to any other.
        named: The error to tell for one that any of these raised.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt from the terminal is for the host
    replies = take_stdout()
    segmenter: BaseSegmenter | None = None
    messages = arriving()
    while True:
        message = messages.get()
        try:
            if segmenter is None:
                segmenter = load_model(message, loader)
                send(replies, *loaded(segmenter))
            else:
                send(replies, *answer(segmenter, message))
        except Exception as error:  # noqa: BLE001 - the process's edge
            send(replies, {"error": as_text(named(error))})


def arriving() -> queue.SimpleQueue[Message]:
    """The host's messages, read by a thread of their own; when there are no more, the process ends at once."""
    arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while (message := receive(sys.stdin.buffer)) is not None:
                arrived.put(message)
        finally:
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return arrived


def load_model(message: Message, loader: Loader) -> BaseSegmenter:
    """Load the model that the first message names."""
    asked = from_json(LoadRequest, message.head, "load", error=WorkerError, every_key=True)
    if asked.memory_mib is not None:
        cap_own_memory(asked.memory_mib)
    if asked.sealed:
        return loader.load(
            asked.path,
            digest=asked.digest,
            provider=asked.provider,
            variant=asked.variant,
            threads=asked.threads,
            limits=asked.limits,
        )
    segmenter = loader.load_unsealed(asked.path, provider=asked.provider, threads=asked.threads, limits=asked.limits)
    found = segmenter.info.provenance.model_digest
    if asked.digest is not None and found != asked.digest:
        raise DigestMismatchError(f"{asked.path} has changed", expected=asked.digest, got=found)
    return segmenter


def _predict(segmenter: BaseSegmenter, message: Message) -> Prediction:
    """Run the image of a message."""
    asked = from_json(PredictRequest, message.head, "predict", error=WorkerError, every_key=True)
    size = asked.height * asked.width * 3
    if len(message.blobs) != 1 or len(message.blobs[0]) != size:
        raise WorkerError("an image's bytes do not fit its size", expected=size)
    image = np.frombuffer(message.blobs[0], np.uint8).reshape(asked.height, asked.width, 3)
    return segmenter.predict(image, strict=asked.strict, threshold=asked.threshold)


def as_text(error: BrainsegError) -> dict[str, Json]:
    """An error's parts as text, cut to what a message may hold."""
    return {key: None if part is None else str(part)[:4000] for key, part in error.to_json().items()}
