"""How a command starts and ends: interrupts at any moment, streams that are gone, faults outside a command's work.

Nothing heavy is imported here, so that an interrupt while the libraries are imported already finds its handler.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import NoReturn, Protocol

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.streams import guarded_streams

DONE, FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of every command."""


class Application(Protocol):
    """What typer makes."""

    def __call__(self, *, args: Sequence[str] | None, prog_name: str) -> object:
        """Reads the arguments and does the work."""


def take_interrupts() -> None:
    """From now on an interrupt outside a command's work ends the process at once, with a word and without a traceback.

    For a process that is a command and nothing else. While nothing has been written yet, or all is, there is nothing to
    clean up; in between `interrupt.interruptible` is in force. An interrupt that is ignored, as by a job in the
    background, stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, _end)


def run_command(name: str, make: Callable[[], Application], arguments: Sequence[str] | None) -> NoReturn:
    """Runs a command and ends the process with its exit code.

    Args:
        name: What the command is called.
        make: Makes the application; what it imports is imported here.
        arguments: What stands after the name; None: the process's own.
    """
    with guarded_streams():
        sys.exit(_run(name, make, arguments))


def _run(name: str, make: Callable[[], Application], arguments: Sequence[str] | None) -> int:
    """Runs a command; its exit code."""
    try:
        with _termination_as_interrupt():
            make()(args=arguments, prog_name=name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAULT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrainsegError as error:
        sys.stderr.write(f"error: {error}\n")
        return FAULT
    return DONE


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Lets SIGTERM raise `KeyboardInterrupt` where nobody handles it, as Ctrl-C does."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the form that `signal` calls
    """Ends the process."""
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
