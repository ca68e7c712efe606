"""Writing to devices, pipes, and this process's own descriptors such as `/dev/stdout`.

They are written to directly. Replacing them with a regular file, as is done for results, would destroy a device node
and cut off the reader of a pipe.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from pathlib import Path
from typing import Final

READER_SECONDS: Final = 10.0
"""How long to wait for a reader of a named pipe: long enough for a shell that starts both ends."""

_POLL_SECONDS: Final = 0.05
_MAX_LINKS: Final = 40  # as many as Linux follows
_NO_TERMINAL: Final = getattr(os, "O_NOCTTY", 0)


def write_through(path: Path, data: bytes) -> bool:
    """Write to a path if it leads to a device, a pipe or an open file of this process.

    Args:
        path: The path.
        data: The bytes.

    Returns:
        Whether it was written; False if the path is a regular file, a folder, or does not exist.

    Raises:
        OSError: The system refused, nothing reads from the pipe, or the path is a disk.
    """
    own = own_descriptor(path)
    if own is not None:
        _write_all(own, data)
        return True
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return False
    if stat.S_ISBLK(mode):
        raise OSError(errno.EPERM, "a disk, which would be overwritten")
    descriptor = _open_pipe(path) if stat.S_ISFIFO(mode) else os.open(path, os.O_WRONLY | _NO_TERMINAL)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)
    return True


def own_descriptor(path: Path) -> int | None:
    """The number of the open file of this process that a path such as `/dev/stdout` or `/dev/fd/3` stands for."""
    if os.name == "nt" or "\0" in str(path):
        return None
    here = os.path.abspath(path)  # noqa: PTH100 - links must stay: they are followed one by one
    own = re.compile(rf"/proc/{os.getpid()}/(task/\d+/)?fd|/dev/fd")
    for _ in range(_MAX_LINKS):
        folder, name = os.path.split(here)
        if name.isdecimal() and own.fullmatch(os.path.realpath(folder)):
            return int(name)
        if not os.path.islink(here):  # noqa: PTH114 - as above
            return None
        here = os.path.join(folder, os.readlink(here))  # noqa: PTH115, PTH118 - as above
    return None


def _open_pipe(path: Path) -> int:
    """A named pipe, opened for writing as soon as something reads from it."""
    end = time.monotonic() + READER_SECONDS
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > end:
                raise OSError(errno.ENXIO, f"a pipe that nobody reads from, for {READER_SECONDS:.0f} s") from error
            time.sleep(_POLL_SECONDS)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; one call may write only some of them."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
