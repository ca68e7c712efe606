"""An exclusive lock on a file, which ends with the process that holds it, however that process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import filelock

if TYPE_CHECKING:
    from pathlib import Path

POLL_SECONDS: Final = 0.02
"""How often a waiting lock tries again: far below the second or so that anything here is held."""


class FileLock:
    """The operating system's lock on one file; the file itself stays and means nothing.

    Use it as a context manager to wait for it, or `acquire(wait=False)` to ask once. A lock that is dropped without
    being released is released too.

    Args:
        path: The lock file, made where it is missing; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        # A soft lock, which is a file that exists, would outlive a process that is killed.
        self._lock = filelock.FileLock(path, thread_local=False, poll_interval=POLL_SECONDS, fallback_to_soft=False)

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock.

        Returns:
            Whether it is held now; always true after waiting.
        """
        try:
            self._lock.acquire(blocking=wait)
        except filelock.Timeout:
            return False
        return True

    def release(self) -> None:
        """Release the lock; does nothing where it is not held."""
        self._lock.release()

    def __enter__(self) -> Self:
        """Wait for the lock and hold it."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
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
