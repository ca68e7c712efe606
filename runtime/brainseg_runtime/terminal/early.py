"""Interrupts from a command's first moment on; called before anything else is imported.

Only modules that Python itself has loaded by then are imported here: any other import takes time, in which an interrupt
would end in a traceback.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # the name is known to type checkers; importing `typing` for it would take longer than all else
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

_INTERRUPTED = 130


def take_interrupts() -> None:
    """From now on an interrupt ends the process at once, with one word and without a traceback.

    Before a command's work begins, and after it, there is nothing to clean up; in between `interrupts.interruptible`
    handles interrupts. One that is ignored, as in a background job, stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the form that `signal` calls
    """Ends the process."""
    try:
        os.write(2, b"interrupted\n")
    except OSError:
        pass  # standard error is closed
    finally:
        os._exit(_INTERRUPTED)
