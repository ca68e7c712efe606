"""Standard output and error of a command that may be closed, full, or read by nobody any more.

- Nobody reads standard output to its end (`| head -c1`): the rest is dropped, and the command ends as usual.
- Standard output is full (`> /dev/full`): a `FileWriteError`, since a result is lost.
- Standard error fails in any way: what goes there is dropped; there is no place left to say so.
- A stream was closed from the start (`>&-`): the same, and the null device takes its number, so that no file that is
  opened later receives what libraries print.

`stdout_kept_for_results` is for libraries that print on standard output what is no result.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO, cast

from brainseg_runtime.errors import FileWriteError

_NO_READER: Final = frozenset({errno.EPIPE, errno.EINVAL} if os.name == "nt" else {errno.EPIPE})


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Standard output and error, guarded for a while."""
    before = sys.stdout, sys.stderr
    _fill_descriptors()
    sys.stdout = cast("TextIO", _Guarded(sys.stdout, 1, matters=True))
    sys.stderr = cast("TextIO", _Guarded(sys.stderr, 2, matters=False))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def on_terminal() -> bool:
    """Whether both streams are a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))


def closed_from_the_start(stream: TextIO) -> bool:
    """Whether a stream had been closed before the command began."""
    return isinstance(stream, _Guarded) and stream.closed_from_the_start


class _Guarded:
    """A text stream whose writes do not fail if nobody could do anything about it.

    Args:
        stream: The interpreter's stream; None if the descriptor was closed.
        descriptor: The stream's number.
        matters: Whether losing text because the disk is full is an error.
    """

    def __init__(self, stream: TextIO | None, descriptor: int, *, matters: bool) -> None:
        self.closed_from_the_start = stream is None
        self._stream = open(os.devnull, "w", encoding="utf-8") if stream is None else stream  # noqa: PTH123, SIM115
        self._descriptor = descriptor
        self._matters = matters
        self._gone = False
        self._error: OSError | None = None

    def write(self, text: str) -> int:
        """Writes, or drops, a text."""
        self._require()
        if not self._gone:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Passes on what was written."""
        self._require()
        if not self._gone:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def writelines(self, lines: list[str]) -> None:
        """Writes, or drops, several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream itself has
        return getattr(self._stream, name)

    def _lose(self, error: OSError) -> None:
        """Drops everything from here on, including what the interpreter would write at its end."""
        self._gone = True
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)
            os.close(null)
        if self._matters and error.errno not in _NO_READER:
            self._error = error
        self._require()

    def _require(self) -> None:
        """Raises the error of a lost result, every time: a library that tests the stream may have ignored the first.

        Raises:
            FileWriteError: A result is lost.
        """
        if self._error is not None:
            raise FileWriteError(
                "standard output cannot be written",
                expected="an open stream with space",
                got=self._error.strerror or self._error,
            ) from self._error


@contextlib.contextmanager
def stdout_kept_for_results() -> Iterator[None]:
    """Sends to stderr what libraries, and processes that they start, print on stdout meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _fill_descriptors() -> None:
    """Opens the null device under each of 0, 1 and 2 that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)  # the child processes inherit it as they do the real ones
            if null != number:
                os.close(null)
