"""Paths of the machine that made a file, looked for where text stands and nowhere else.

A number is never text: four bytes of a weight read as a drive and a backslash about once in twenty million.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_PATH: Final = re.compile(
    r"""(?:(?<![\w.])/(?:home|root|Users|usr|opt|tmp|var|work|mnt|build|srv|data|scratch|media|Volumes|private|etc)/
        |(?<![A-Za-z])[A-Za-z]:[\\/](?!/)
        |\\\\[\w.-]+\\
        |file://)
        [\w.\\/-]{3,}""",
    re.VERBOSE,
)
_URL: Final = re.compile(r"\b(?!file:)[A-Za-z][A-Za-z0-9+.-]+://\S*", re.IGNORECASE)
"""An address in the web may have /home/ in it."""

_NUMBERS: Final = frozenset({"raw_data"})
"""Fields of bytes that hold numbers; every other field of bytes in ONNX holds text."""


def machine_paths(text: str) -> list[str]:
    """The absolute paths in a text, POSIX and Windows alike, addresses in the web aside.

    Args:
        text: Any text.
    """
    return [match.group() for match in _PATH.finditer(_URL.sub(" ", text))]


def texts(message: Message) -> Iterator[str]:
    """Every text in a protobuf message at any depth: names, doc strings, metadata, attributes, tensors of strings.

    Args:
        message: Such as an `onnx.ModelProto`.

    Yields:
        Each text; bytes that are no UTF-8 are made legible with backslashes.
    """
    for field, value in message.ListFields():
        items = value if field.is_repeated else (value,)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in items:
                yield from texts(item)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield from items
        elif field.type == FieldDescriptor.TYPE_BYTES and field.name not in _NUMBERS:
            for item in items:
                yield item.decode("utf-8", "backslashreplace")
