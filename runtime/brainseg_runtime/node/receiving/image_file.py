"""An image on its way to the disk: written under a cap, digested on the way, flushed, or gone."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

DiskFault = Literal["disk_full", "read_only", "disk_fault"]
"""Why the disk does not take an image."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def disk_fault(error: OSError) -> DiskFault:
    """What kind of fault the system reports.

    Examples:
        >>> disk_fault(OSError(errno.ENOSPC, "No space left on device"))
        'disk_full'
    """
    return "disk_full" if error.errno in _FULL else "read_only" if error.errno in _READ_ONLY else "disk_fault"


class TooLargeError(ValueError):
    """More bytes than the cap; nothing is kept. Never leaves this folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """An image that is whole on the disk, flushed.

    Attributes:
        path: The file.
        size: Bytes.
        sha256: Of the file.
        content_sha256: Of the data set that follows the file's head.
        offset: Where that data set begins.
    """

    path: Path
    size: int
    sha256: str
    content_sha256: str
    offset: int


class ImageFile:
    """A file that grows as an image arrives. Not thread-safe.

    Args:
        folder: Where it is made; its name is random, its mode 0600.
        most: Most bytes.

    Raises:
        OSError: The system refused.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.path = folder / f"{secrets.token_hex(16)}.part"
        self._most = most
        self._size = 0
        self._offset = 0
        self._whole = hashlib.sha256()
        self._content = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor: int | None = os.open(self.path, flags, 0o600)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._size

    def write_head(self, data: bytes) -> None:
        """Write the file's head, before anything else.

        Raises:
            OSError: The system refused; nothing is kept.
        """
        self._append(data, self._whole.update)
        self._offset = self._size

    def write(self, data: bytes | memoryview) -> None:
        """Write more of the data set.

        Raises:
            TooLargeError: The cap is exceeded; nothing is kept.
            OSError: The system refused; nothing is kept.
        """

        def digest(written: bytes | memoryview) -> None:
            self._whole.update(written)
            self._content.update(written)

        self._append(data, digest)

    def finish(self) -> Written:
        """Flush the file and close it.

        Raises:
            OSError: The system refused; nothing is kept.
        """
        descriptor = self._open()
        try:
            os.fsync(descriptor)
        except OSError:
            self.discard()
            raise
        self._close()
        return Written(
            path=self.path,
            size=self._size,
            sha256=self._whole.hexdigest(),
            content_sha256=self._content.hexdigest(),
            offset=self._offset,
        )

    def discard(self) -> None:
        """Close and delete the file; nothing happens if it is gone."""
        self._close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _append(self, data: bytes | memoryview, digest: Callable[[bytes | memoryview], None]) -> None:
        """Write all of some bytes, or delete the file."""
        if self._size + len(data) > self._most:
            self.discard()
            raise TooLargeError
        descriptor = self._open()
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            self.discard()
            raise
        digest(data)
        self._size += len(data)

    def _open(self) -> int:
        """The descriptor of the open file."""
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file is closed")
        return self._descriptor

    def _close(self) -> None:
        """Close the file, whatever the system says."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
