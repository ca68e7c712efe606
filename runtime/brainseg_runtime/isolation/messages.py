"""Messages between a host and its isolated process: a JSON head and raw arrays, every length capped, no pickle.

    4 bytes   "BSW1"
    4 bytes   length of the head, little-endian
    head      one JSON object; its "blobs" lists the lengths of what follows
    blobs     raw bytes

The host sends a `LoadRequest`, then `PredictRequest`s with the image's pixels. The process answers with
``{"info": SegmenterInfo}``, then with a `PredictReply` and the mask and the probability; or with ``{"error": ...}``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Final

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import WorkerError
from brainseg_runtime.safe_io.arguments import MAX_THREADS
from brainseg_runtime.safe_io.strict_json import Json, parse, shown
from brainseg_runtime.safe_io.typed_json import Between
from brainseg_runtime.segmentation.results import Timing

MAX_HEAD: Final = 1 << 20
"""Most bytes of a head: warnings and errors are short."""

MAX_BLOBS: Final = 2
MAX_BLOB: Final = 1 << 25
"""Most bytes of one array: 2048 x 2048 float32 has 16 MiB."""

_MAGIC: Final = b"BSW1"
_START: Final = struct.Struct("<4sI")


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """The model to load."""

    path: Path
    digest: str | None
    """Of the manifest, or of the bare file; None accepts whichever is there."""
    provider: str
    variant: str
    threads: Annotated[int, Between(1, MAX_THREADS)]
    limits: Limits
    sealed: bool
    """Whether the path is a bundle; otherwise it is a bare ONNX file."""
    memory_mib: int | None


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """One slice; its pixels follow."""

    height: Annotated[int, Between(0, 1 << 16)]
    width: Annotated[int, Between(0, 1 << 16)]
    strict: bool
    threshold: float | None


@dataclass(frozen=True, kw_only=True)
class PredictReply:
    """A prediction without its arrays, which follow, and without what the host knows already."""

    area: int
    warnings: tuple[str, ...]
    timing: Timing


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message: its head, and the arrays that follow."""

    head: Mapping[str, Json]
    blobs: tuple[bytes, ...] = ()


def send(stream: BinaryIO, head: Mapping[str, Json], blobs: Sequence[bytes | memoryview] = ()) -> None:
    """Write one message and flush it.

    Raises:
        OSError: The other side is gone.
    """
    text = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}, allow_nan=False).encode()
    stream.write(_START.pack(_MAGIC, len(text)) + text)
    for blob in blobs:
        stream.write(blob)
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """Read one message.

    Returns:
        The message, or None if the other side closed the stream between two messages.

    Raises:
        WorkerError: The bytes are not a message, or end within one.
    """
    start = stream.read(_START.size)
    if not start:
        return None
    magic, length = _START.unpack(start) if len(start) == _START.size else (b"", 0)
    if magic != _MAGIC or length > MAX_HEAD:
        raise WorkerError(
            "the isolated process sent an unexpected message", expected=f"{_MAGIC!r}", got=f"{start[:8]!r}"
        )
    head = parse(_exactly(stream, length), "message", limit=MAX_HEAD, error=WorkerError)
    sizes = _sizes(head.pop("blobs", None))
    return Message(head=head, blobs=tuple(_exactly(stream, size) for size in sizes))


def _sizes(lengths: Json) -> list[int]:
    """The lengths of the arrays that follow."""
    sizes = [size for size in lengths if isinstance(size, int)] if isinstance(lengths, list) else []
    if not isinstance(lengths, list) or len(sizes) != len(lengths) or len(sizes) > MAX_BLOBS:
        raise WorkerError("a message's arrays are wrong", expected=f"at most {MAX_BLOBS} lengths", got=shown(lengths))
    if not all(0 <= size <= MAX_BLOB for size in sizes):
        raise WorkerError("a message's arrays are too large", expected=f"at most {MAX_BLOB} bytes", got=sizes)
    return sizes


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """That many bytes."""
    data = stream.read(count)
    if len(data) != count:
        raise WorkerError("a message ends too early", expected=f"{count} bytes", got=f"{len(data)}")
    return data
