"""What a command writes: results to stdout, progress and faults to stderr, JSON where `--json` says.

On a terminal rich draws tables and progress bars. Elsewhere, in a log or a pipe, lines are plain, progress is a line
from time to time, and no name is cut short or wrapped.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from brainseg_runtime.errors import BrainsegError, DatasetError, FileWriteError
from brainseg_runtime.safe_io.files import encode_json, make_folder, write_text
from brainseg_runtime.safe_io.special_files import own_descriptor
from brainseg_runtime.terminal.streams import closed_from_the_start

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line end: a file name may hold any
_QUIET_SECONDS = 10.0  # between two progress lines where there is no terminal


class Advance(Protocol):
    """Tells a progress display that more is done."""

    def __call__(self, done: int = 1) -> None:
        """Adds `done` to what was done before."""


class Console:
    """The two streams of one command.

    Args:
        json_target: The value of `--json`: a path, "-" for stdout, which then gets nothing else, or None.
        quiet: Whether to show warnings and errors only, without results, notes and progress.
    """

    def __init__(self, json_target: str | None = None, *, quiet: bool = False) -> None:
        if json_target not in {None, "-"} and own_descriptor(Path(str(json_target))) == 1:
            json_target = "-"  # /dev/stdout is another name for it
        self.json_target = json_target
        self.quiet = quiet
        for stream in (sys.stdout, sys.stderr):
            # A file name that the terminal's encoding lacks must not end a run.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def say(self, text: str) -> None:
        """A line of the result, on stdout; left out if stdout is for JSON."""
        if self.json_target != "-" and not self.quiet:
            _write(sys.stdout, f"{text}\n")

    def note(self, text: str) -> None:
        """A line about the run, on stderr."""
        if not self.quiet:
            _write(sys.stderr, f"{text}\n")

    def warn(self, text: str) -> None:
        """A warning, on stderr; shown even with `--quiet`."""
        _write(sys.stderr, f"warning: {text}\n")

    def error(self, text: str) -> None:
        """What went wrong with one of several things, on stderr, in one line."""
        _write(sys.stderr, f"error: {text}\n")

    def fault(self, error: BrainsegError, *, about: str = "") -> None:
        """What went wrong, on stderr, a line for each part."""
        _write(sys.stderr, f"error: {about}{fault_text(error)}\n")

    def record_problems(self, error: BrainsegError, about: Mapping[str, object] | None = None) -> None:
        """Writes every problem of a data set where `--json` says; `fault` shows only the first few of each kind.

        Args:
            error: What went wrong; anything but a `DatasetError` is ignored.
            about: What the JSON holds besides the fault.
        """
        if not isinstance(error, DatasetError):
            return
        if self.json_target is None:
            if len(error.summary) < len(error.problems):
                self.note(f"  all {len(error.problems)} by name: --json FILE")
            return
        try:
            self.emit({**(about or {}), "fault": error.to_json()})
        except FileWriteError as unwritten:
            self.fault(unwritten)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of the result, on stdout; left out if stdout is for JSON."""
        if self.json_target == "-" or self.quiet:
            return
        if sys.stdout.isatty():
            _rich_table(headers, rows)
        else:
            _write(sys.stdout, plain_table(headers, rows))

    def emit(self, value: object) -> None:
        """Writes a command's JSON where `--json` says; nothing without it.

        Raises:
            FileWriteError: The file or stdout cannot be written.
        """
        # A path that is not UTF-8 contains lone surrogates, which JSON can hold only as escapes.
        text = encode_json(value).encode("utf-8", "backslashreplace").decode("utf-8")
        if self.json_target == "-":
            if closed_from_the_start(sys.stdout):
                raise FileWriteError("standard output cannot be written", expected="an open stream", got="a closed one")
            _write(sys.stdout, text)
        elif self.json_target is not None:
            write_page(Path(self.json_target), text)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """A progress display on stderr.

        Args:
            what: What is being done, such as "slices".
            total: How many there are; None if that is not known beforehand.

        Yields:
            A function to call with how many more are done.
        """
        if self.quiet:
            yield _unseen
        elif sys.stderr.isatty():
            with _bar(what, total) as advance:
                yield advance
        else:
            yield _lines(what, total)


def write_page(path: Path, text: str) -> None:
    """Writes text to a file; makes its folder if needed.

    Raises:
        FileWriteError: The file cannot be written.
    """
    make_folder(path.parent)
    write_text(path, text)


def fault_text(error: BrainsegError) -> str:
    r"""An error for readers: what, then expected, got and remedy on lines of their own.

    >>> fault_text(BrainsegError("there is no model", remedy="name one"))
    'there is no model\n  remedy: name one'
    """
    named = (("expected", error.expected), ("got", error.got), ("remedy", error.remedy))
    parts = [f"  {name}: {value}" for name, value in named if value is not None]
    problems = [f"  - {problem}" for problem in getattr(error, "summary", ())]
    return "\n".join([error.what, *problems, *parts])


def one_line(error: Mapping[str, object], about: str = "") -> str:
    """An error's JSON in one line.

    Args:
        error: As `BrainsegError.to_json` gives it.
        about: What the caller's line begins with, such as a path, and is left out here.

    >>> one_line({"what": "a.tif: is blank", "got": "one value"}, "a.tif")
    'is blank; got one value'
    """
    parts = {"expected": "expected", "got": "got", "remedy": "remedy:"}
    named = (f"{word} {error[part]}" for part, word in parts.items() if error.get(part) is not None)
    what = str(error.get("what", "")).removeprefix(f"{about}: ").removeprefix(f"{about} ")
    return "; ".join([what, *named])


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""A table as aligned lines, as wide as it needs to be.

    Args:
        headers: One for each column.
        rows: As many cells each.

    >>> plain_table(["name", "n"], [["a", "12"]])
    'name  n\na     12\n'
    """
    lines = [tuple(headers), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    text = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "".join(f"{line}\n" for line in text)


def _write(stream: TextIO, text: str) -> None:
    """Writes and flushes, so that a log shows lines when they are said; control characters are shown, not obeyed."""
    stream.write(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text))
    stream.flush()


def _rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; long cells fold onto more lines."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))  # as text: a file name may hold rich's markup
    _rich(sys.stdout).print(drawn)


def _rich(stream: TextIO) -> RichConsole:
    """Rich's console on a stream."""
    from rich.console import Console as RichConsole

    return RichConsole(file=stream, markup=False, highlight=False)


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Advance]:
    """Rich's progress bar."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=_rich(sys.stderr)) as progress:
        task = progress.add_task(what, total=total)

        def advance(done: int = 1) -> None:
            progress.advance(task, done)

        yield advance


def _unseen(done: int = 1) -> None:
    """Progress that is not shown."""


def _lines(what: str, total: int | None) -> Advance:
    """Progress as a line from time to time, and one at the end."""
    begun = said = time.monotonic()
    count = 0

    def advance(done: int = 1) -> None:
        nonlocal count, said
        count += done
        now = time.monotonic()
        if count == total or now - said >= _QUIET_SECONDS:
            said = now
            _write(sys.stderr, f"{what}: {count}{f' of {total}' if total else ''} in {now - begun:.1f} s\n")

    return advance
