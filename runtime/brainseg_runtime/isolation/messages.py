"""Messages between a host and its isolated process: a JSON head and raw arrays, every length capped, no pickle.

4 bytes   "BSW1"
4 bytes   length of the head, little-endian
head      one JSON object; its "blobs" lists the lengths of what follows
blobs     raw bytes
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from brainseg_runtime.errors import WorkerError
from brainseg_runtime.safe_io.strict_json import Fields, Json, parse

MAX_HEAD: Final = 1 << 20
"""Most bytes of a head: warnings and errors are short."""

MAX_BLOBS: Final = 2
MAX_BLOB: Final = 1 << 25
"""Most bytes of one array: 2048 x 2048 float32 has 16 MiB."""

_MAGIC: Final = b"BSW1"
_START: Final = struct.Struct("<4sI")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message: what is said, and the arrays that go with it."""

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
        The message, or None where the other side closed before another one began.

    Raises:
        WorkerError: What came is no message, or it broke off.
    """
    start = stream.read(_START.size)
    if not start:
        return None
    magic, length = _START.unpack(start) if len(start) == _START.size else (b"", 0)
    if magic != _MAGIC or length > MAX_HEAD:
        raise WorkerError("the isolated process is out of step", expected=f"{_MAGIC!r}", got=f"{start[:8]!r}")
    head = parse(_exactly(stream, length), "message", limit=MAX_HEAD, error=WorkerError)
    fields = Fields(head, "message", error=WorkerError)
    lengths = fields.take("blobs")
    sizes = [size for size in lengths if isinstance(size, int)] if isinstance(lengths, list) else []
    if not isinstance(lengths, list) or len(sizes) != len(lengths) or len(sizes) > MAX_BLOBS:
        raise WorkerError(
            "a message's arrays are wrong", expected=f"at most {MAX_BLOBS} lengths", got=str(lengths)[:80]
        )
    if not all(0 <= size <= MAX_BLOB for size in sizes):
        raise WorkerError("a message's arrays are too large", expected=f"at most {MAX_BLOB} bytes", got=sizes)
    return Message(head=fields.rest(), blobs=tuple(_exactly(stream, size) for size in sizes))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """That many bytes."""
    data = stream.read(count)
    if len(data) != count:
        raise WorkerError("a message broke off", expected=f"{count} bytes", got=f"{len(data)}")
    return data
