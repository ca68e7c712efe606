"""What the disk refuses while a result is written is told apart from what a study itself is at fault for.

A study whose result does not fit on the disk is as good as any: it waits, and is never given up for that.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

from brainseg_runtime.errors import FileWriteError, NodeFullError

_ALWAYS: Final = frozenset({errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.ENFILE, getattr(errno, "EDQUOT", -1)})
"""Refusals that no content of a study brings about, wherever they are met."""

_WRITING: Final = frozenset(
    {errno.EIO, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EFBIG, errno.ENODEV, errno.ENXIO}
) | {getattr(errno, "ESTALE", -1)}
"""Refusals of a write into the node's own folder. Of a read they may be of one damaged image."""


def as_disk_fault(error: BaseException) -> NodeFullError | None:
    """The error for a result that the disk did not take; None for any other error.

    Args:
        error: What ended a study, with the errors that led to it.

    Examples:
        >>> as_disk_fault(OSError(errno.ENOSPC, "No space left on device")).what
        'a result cannot be written'
        >>> as_disk_fault(OSError(errno.EIO, "Input/output error")) is None
        True
    """
    chain = list(_chain(error))
    numbers = [each.errno for each in chain if isinstance(each, OSError) and each.errno is not None]
    writing = any(isinstance(each, FileWriteError) for each in chain)
    refused = [each for each in numbers if each in _ALWAYS or (writing and each in _WRITING)]
    if not refused:
        return None
    return NodeFullError(
        "a result cannot be written",
        expected="a writable disk with space",
        got=os.strerror(refused[0]),
        remedy="free space, or make the folder writable again",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    met: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in met:
        met.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
