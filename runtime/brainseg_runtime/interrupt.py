"""Ctrl-C as a wish that is asked for between two slices, so that what is being written is finished first."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Turns the first interrupt into a wish, and the second into `KeyboardInterrupt`.

    Interrupts are SIGINT (Ctrl-C) and SIGTERM; on Windows, which cannot send SIGINT to one process, also SIGBREAK
    (Ctrl-Break, `CTRL_BREAK_EVENT`). Outside the main thread, where Python handles no signals, the wish never comes.

    Yields:
        A function that tells whether an interrupt came.
    """
    came = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form that `signal` calls
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before = {number: signal.signal(number, handle) for number in _signals()}
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> tuple[signal.Signals, ...]:
    """What counts as an interrupt on this system."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM)
