"""Refusals of the system and of SQLite as errors of the node, and texts freed of what must not be shown."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from typing import Final

from brainseg_runtime.errors import NodeFolderError, NodeFullError

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_FOR_NOW: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
_DOTTED: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+){3,}(?![\w.]*\w)|(?=[\d.]{16})\d+(?:\.\d+){2,}")
"""A UID, or an IPv4 address: four numbers or more between dots; versions have three. Or, as UIDs made of a UUID are
("2.25." and a number), fewer and long ones."""

_LONGEST: Final = 500
"""Longest text kept of an error, in characters; a reason fits, a data set does not."""


@contextlib.contextmanager
def named(what: str) -> Iterator[None]:
    """Turns what the system or SQLite refuses in here into an error of the node.

    Args:
        what: The thing that could not be done, as a clause: "the image cannot be kept".

    Raises:
        NodeFullError: The disk is full, read-only or failing.
        NodeFolderError: The database is damaged.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the extended code's lower byte is the plain one
        if code in _DAMAGED:
            raise NodeFolderError(
                f"{what}: the database is damaged",
                got=error,
                remedy="stop the node, keep the folder for examination, and start with an empty one",
            ) from error
        if code in _FOR_NOW:
            raise _for_now(what, str(error)) from error
        raise
    except OSError as error:
        raise _for_now(what, error.strerror or type(error).__name__) from error


def scrubbed(text: str) -> str:
    """A text without UIDs and addresses, on one line, of bounded length.

    >>> scrubbed("1.2.840.10008.1.2 was refused by 10.0.0.7")
    '[removed] was refused by [removed]'
    >>> scrubbed("series 2.25.878922410494936252414806993061352384")
    'series [removed]'
    >>> scrubbed("onnxruntime 1.31.0")
    'onnxruntime 1.31.0'
    """
    return _DOTTED.sub("[removed]", " ".join(text.split()))[:_LONGEST]


def _for_now(what: str, got: str) -> NodeFullError:
    return NodeFullError(
        what, expected="a writable disk with space", got=got, remedy="free space, or make the folder writable again"
    )
