"""Paths of the machine that made a file, which must not get into a bundle; searched for in text only.

Numbers are not searched: four bytes of a weight look like a drive letter and a backslash about once in twenty million.
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
"""Web addresses may contain /home/."""

_NUMBERS: Final = frozenset({"raw_data"})
"""Fields of bytes that hold numbers; all other fields of bytes in ONNX hold text."""


def machine_paths(text: str) -> list[str]:
    r"""The absolute paths in a text, POSIX and Windows alike; web addresses are not paths.

    >>> machine_paths(r"from /home/ann/net.py and C:\\work\\net.py, see https://x.org/home/ann")
    ['/home/ann/net.py', 'C:\\\\work\\\\net.py']
    """
    return [match.group() for match in _PATH.finditer(_URL.sub(" ", text))]


def texts(message: Message) -> Iterator[str]:
    """Every text in a protobuf message at any depth: names, doc strings, metadata, attributes, tensors of strings.

    Yields:
        Each text; bytes that are not UTF-8 are written with backslashes.
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
