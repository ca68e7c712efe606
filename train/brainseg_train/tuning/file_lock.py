"""An exclusive lock on a file, which ends with the process that holds it, however that process ends."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

POLL_SECONDS = 0.02
"""How often a waiting lock tries again: far below the second or so that anything here is held."""


class FileLock:
    """The operating system's lock on one file; the file itself stays and means nothing.

    Use it as a context manager to wait for it, or `acquire(wait=False)` to ask once.

    Args:
        path: The lock file, made where it is not there; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock.

        Args:
            wait: Whether to wait until its holder lets it go.

        Returns:
            Whether it is held now; always true after waiting.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        while not _try_lock(descriptor):
            if not wait:
                os.close(descriptor)
                return False
            time.sleep(POLL_SECONDS)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let it go; nothing happens where it is not held."""
        if self._descriptor is not None:
            # Closing the file frees its lock on every platform.
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Wait for the lock and hold it."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        self.release()


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on a file.

    Args:
        path: The lock file; one that does not exist is not held.
    """
    if not path.exists():
        return False
    lock = FileLock(path)
    if not lock.acquire(wait=False):
        return True
    lock.release()
    return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        """Ask once for the lock on the file's first byte."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        """Ask once for the lock on the whole file."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
