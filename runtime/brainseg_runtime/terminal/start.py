"""How a command starts and ends: streams that are gone, interrupts and faults outside a command's work."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, Protocol

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.terminal.streams import guarded_streams

DONE, FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of every command."""


class Application(Protocol):
    """What typer makes."""

    def __call__(self, *, args: Sequence[str] | None, prog_name: str) -> object:
        """Reads the arguments and does the work."""


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
