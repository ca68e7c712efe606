"""The ledger's file, `rows.jsonl`: a line for each answer, added whole or not at all and flushed to the disk.

What a killed driver left of a line is cut off; what the disk did not take of one, too.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from brainseg_runtime.archive.working.rows import Entry
from brainseg_runtime.errors import FileWriteError, InputError
from brainseg_runtime.safe_io.typed_json import from_json, to_json

_LONGEST: Final = 64 << 20


class Lines:
    """The lines of a file, open for one writer.

    Args:
        path: The file; made if it does not exist.

    Raises:
        FileWriteError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = opened(path)
        self._end = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def recover(self) -> Iterator[tuple[Entry, int]]:
        """Every whole line and where it begins; what follows the last one is cut off at the end.

        Raises:
            InputError: A line is not what is written here.
        """
        self._end = 0
        with self._path.open("rb") as file:
            while line := file.readline(_LONGEST):
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST:
                        raise self._damaged("a line that is too long")
                    break
                yield self._entry(line), self._end
                self._end += len(line)
        self._file.truncate(self._end)

    def at(self, offsets: Iterable[int]) -> Iterator[Entry]:
        """The lines that begin at some places.

        Args:
            offsets: The places, as `recover` and `append` gave them.
        """
        with self._path.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                yield self._entry(file.readline(_LONGEST))

    def append(self, line: bytes) -> int:
        """Add a line, whole or not at all.

        Args:
            line: As `as_line` made it.

        Returns:
            Where it begins.

        Raises:
            FileWriteError: The disk does not take it; the file is as it was before.
        """
        try:
            self._file.seek(self._end)
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise FileWriteError(
                f"{self._path} cannot be written",
                expected="a disk with space",
                got=error.strerror,
                remedy="free some space and start again: what is there is kept",
            ) from error
        begin = self._end
        self._end += len(line)
        return begin

    def _entry(self, line: bytes) -> Entry:
        try:
            return from_json(Entry, json.loads(line), str(self._path), error=InputError)
        except (ValueError, RecursionError, InputError) as error:
            raise self._damaged(str(error)[:200]) from error

    def _damaged(self, got: str) -> InputError:
        return InputError(
            f"{self._path} is damaged",
            expected="lines that brainseg archive wrote",
            got=got,
            remedy="restore the file, or give another folder with -o",
        )


def as_line(entry: Entry) -> bytes:
    """An entry as its line.

    Args:
        entry: The entry.

    Raises:
        InputError: It is so long that it could not be read again.
    """
    line = json.dumps(to_json(entry), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > _LONGEST:
        raise InputError(
            f"{entry.source} holds too many studies for one reference",
            expected=f"at most {_LONGEST >> 20} MiB of rows",
            got=f"{len(entry.rows)} studies in {len(line) >> 20} MiB",
            remedy="name the studies' folders one by one in the list",
        )
    return line


def opened(path: Path) -> IO[bytes]:
    """A file for reading and writing, unbuffered, made if it does not exist: a buffer would keep what the disk refused.

    Args:
        path: The file.

    Raises:
        FileWriteError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        return os.fdopen(descriptor, "r+b", buffering=0)
    except OSError as error:
        raise FileWriteError(f"{path} cannot be opened", expected="a writable file", got=error.strerror) from error
