"""Interrupts of a command: each ends it as Ctrl-C does, or the first is a stop request, checked between slices.

Interrupts are SIGINT (Ctrl-C) and SIGTERM; on Windows, which cannot send SIGINT to one process, also SIGBREAK
(Ctrl-Break, `CTRL_BREAK_EVENT`). Outside the main thread Python handles no signals, and nothing here has an effect.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 0.01  # until an interrupt that came during an import is tried again


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Takes the first interrupt as a stop request, so that what is being written is finished; the second ends at once.

    Yields:
        A function that tells whether an interrupt came.
    """
    came = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form that `signal` calls
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    with _handled(_signals(), handle):
        yield came.is_set


@contextmanager
def interruptible() -> Iterator[None]:
    """Turns every interrupt into `KeyboardInterrupt`, as Python does with Ctrl-C by itself.

    Ctrl-C that is ignored stays so: a shell lets a job in the background ignore it.
    """
    with _handled(_not_ignored(), raise_interrupt):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Holds interrupts back, and raises `KeyboardInterrupt` at the end if one came."""
    came = threading.Event()
    with _handled(_not_ignored(), lambda number, frame: came.set()):  # noqa: ARG005 - the form that `signal` calls
        yield
    if came.is_set():
        raise KeyboardInterrupt


def raise_interrupt(number: int, frame: FrameType | None) -> None:
    """Raises `KeyboardInterrupt`, once no import is under way: libraries in C do not survive one that is cut off.

    Args:
        number: The signal's.
        frame: Where it came.

    Raises:
        KeyboardInterrupt: No import is under way.
    """
    here = frame
    while here is not None:
        if here.f_code.co_filename.startswith("<frozen importlib"):
            later = threading.Timer(_AGAIN_SECONDS, signal.raise_signal, (number,))
            later.daemon = True
            later.start()
            return
        here = here.f_back
    raise KeyboardInterrupt


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handles signals so for a while; one whose handler is no Python function cannot be put back, and is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _not_ignored() -> tuple[signal.Signals, ...]:
    """What counts as an interrupt, but Ctrl-C where it is ignored."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return tuple(number for number in _signals() if not (ignored and number is signal.SIGINT))


def _signals() -> tuple[signal.Signals, ...]:
    """What counts as an interrupt on this system."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM)
