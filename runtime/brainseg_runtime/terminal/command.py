"""The outermost edge of every command: faults, interrupts and lost streams become messages and exit codes here.

`start` runs a whole program and ends its process; `run` runs one command and returns its exit code.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, Protocol

from brainseg_runtime.errors import BrainsegError, UsageError
from brainseg_runtime.safe_io.system_faults import as_fault
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.terminal.interrupts import interruptible
from brainseg_runtime.terminal.streams import guarded_streams

DONE, FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of every command."""


class Application(Protocol):
    """What typer makes."""

    def __call__(self, *, args: Sequence[str] | None, prog_name: str) -> object:
        """Reads the arguments and does the work."""


def start(name: str, make: Callable[[], Application], arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a program and ends the process with its exit code.

    Args:
        name: The program's name.
        make: Makes the application; its imports happen here.
        arguments: The command line after the name; None: the process's own.
    """
    with guarded_streams():
        sys.exit(_exit_code(name, make, arguments))


def run(
    json_target: str | None, work: Callable[[Console], int], *, quiet: bool = False, interrupted: str = "interrupted"
) -> int:
    """Does a command's work.

    Args:
        json_target: The value of `--json`, if it was given.
        work: The command; returns its exit code.
        quiet: Whether to show warnings and errors only.
        interrupted: What to say when the user interrupts it.

    Returns:
        0 done, 1 a fault in the input or the result, 2 options that do not go together, 130 interrupted.
    """
    console = Console(json_target, quiet=quiet)
    try:
        with interruptible():
            return work(console)
    except BrainsegError as error:
        console.fault(error)
        console.record_problems(error)
        return USAGE if isinstance(error, UsageError) else FAULT
    except (OSError, MemoryError, RuntimeError) as error:
        if (fault := as_fault(error)) is None:
            raise
        console.fault(fault)
        return FAULT
    except KeyboardInterrupt:
        console.note(interrupted)
        return INTERRUPTED


def _exit_code(name: str, make: Callable[[], Application], arguments: Sequence[str] | None) -> int:
    """Runs the program; returns its exit code."""
    try:
        with _sigterm_as_interrupt():
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
def _sigterm_as_interrupt() -> Iterator[None]:
    """Lets SIGTERM raise `KeyboardInterrupt`, as Ctrl-C does, unless something handles it already."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
