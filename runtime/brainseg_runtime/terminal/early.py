"""Interrupts from a command's first moment on: what stands first in a process that is a command and nothing else.

Only what Python itself has loaded by then is imported here, for everything else takes time in which an interrupt would
end in a traceback.
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
    """From now on an interrupt outside a command's work ends the process at once, with a word and without a traceback.

    While nothing has been written yet, or all is, there is nothing to clean up; in between `interrupt.interruptible` is
    in force. An interrupt that is ignored, as by a job in the background, stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the form that `signal` calls
    """Ends the process."""
    try:
        os.write(2, b"interrupted\n")
    except OSError:
        pass  # nobody hears it
    finally:
        os._exit(_INTERRUPTED)
