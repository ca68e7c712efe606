"""One process at a time: the operating system's lock on an open file."""

from __future__ import annotations

import sys
from typing import IO


def lock_at_once(file: IO[bytes]) -> None:
    """Lock a file until it is closed or the process ends, however it ends.

    Args:
        file: Open for writing. Its content means nothing.

    Raises:
        OSError: Another process, or another opening of the file in this one, has the lock.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
