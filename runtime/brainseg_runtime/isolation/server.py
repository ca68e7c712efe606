"""The isolated process: reads messages from standard input, answers on what was its standard output.

Started by `worker.IsolatedSegmenter` and by nobody else.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import BrainsegError, DigestMismatchError, WorkerError
from brainseg_runtime.isolation import messages
from brainseg_runtime.isolation.memory_cap import cap_own_memory
from brainseg_runtime.safe_io.strict_json import Fields, Json
from brainseg_runtime.segmentation.results import Prediction

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter


def serve(face: type[Segmenter]) -> None:
    """Answer messages until the host closes the pipe; `face` is the class that loads the model."""
    # An interrupt from the terminal is the host's to handle; it ends this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = _take_stdout()
    segmenter: Segmenter | None = None
    while (message := messages.receive(sys.stdin.buffer)) is not None:
        try:
            if segmenter is None:
                segmenter = _load(message, face)
                messages.send(replies, {"info": _info_json(segmenter)})
            else:
                result = _predict(segmenter, message)
                messages.send(
                    replies, _result_json(result), [result.mask.data.cast("B"), result.probability.data.cast("B")]
                )
        except BrainsegError as error:
            messages.send(replies, {"error": _plain(error.to_json())})
        except MemoryError:
            messages.send(replies, {"error": _plain(WorkerError("the isolated process ran out of memory").to_json())})


def _take_stdout() -> BinaryIO:
    """Keep standard output for replies alone: whatever else writes to it ends in standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _load(message: messages.Message, face: type[Segmenter]) -> Segmenter:
    """Load the model that the first message names."""
    fields = Fields(dict(message.head), "load", error=WorkerError)
    memory = fields.take("memory_mib")
    if isinstance(memory, int):
        cap_own_memory(memory)
    path, digest = fields.text("path"), fields.take("digest")
    provider, variant = fields.text("provider"), fields.text("variant")
    threads = fields.integer("threads", low=1, high=256)
    limits = Limits(**{key: value for key, value in fields.json_object("limits").items() if isinstance(value, int)})
    sealed = fields.take("sealed")
    fields.close()
    if sealed:
        pinned = None if digest is None else str(digest)
        return face.load(path, digest=pinned, provider=provider, variant=variant, threads=threads, limits=limits)
    segmenter = face.load_unsealed(path, provider=provider, threads=threads, limits=limits)
    if digest is not None and segmenter.info.provenance.model_digest != digest:
        raise DigestMismatchError(f"{path} has changed", expected=digest, got=segmenter.info.provenance.model_digest)
    return segmenter


def _predict(segmenter: Segmenter, message: messages.Message) -> Prediction:
    """Run the image of a message."""
    fields = Fields(dict(message.head), "predict", error=WorkerError)
    height, width = fields.integer("height"), fields.integer("width")
    strict = fields.take("strict") is True
    threshold = fields.take("threshold")
    fields.close()
    if len(message.blobs) != 1 or len(message.blobs[0]) != height * width * 3:
        raise WorkerError("an image's bytes do not fit its size", expected=height * width * 3)
    image = np.frombuffer(message.blobs[0], np.uint8).reshape(height, width, 3)
    asked = threshold if isinstance(threshold, float) else None
    return segmenter.predict(image, strict=strict, threshold=asked)


def _result_json(result: Prediction) -> dict[str, Json]:
    """A prediction without its arrays."""
    return {
        "area": result.area,
        "warnings": list(result.warnings),
        "total": result.timing.total,
        "inference": result.timing.inference,
    }


def _info_json(segmenter: Segmenter) -> dict[str, Json]:
    """A segmenter's `info`; paths and limits are known to the host."""
    info = segmenter.info
    return {
        "provenance": asdict(info.provenance),
        "reasons": list(info.reasons),
        "nodes": dict(info.nodes),
        "same_bits": info.same_bits,
        "threads": info.threads,
        "limits": asdict(info.limits),
        "versions": dict(info.versions),
    }


def _plain(value: dict[str, object]) -> dict[str, Json]:
    """An error's parts as text, cut to what a message may hold."""
    return {key: None if part is None else str(part)[:4000] for key, part in value.items()}
