"""Interrupts of a command: each ends it as Ctrl-C does, or the first is a stop request, checked between slices.

Interrupts are SIGINT (Ctrl-C) and SIGTERM; on Windows, which cannot send SIGINT to one process, also SIGBREAK
(Ctrl-Break, `CTRL_BREAK_EVENT`). Python handles signals in the main thread only; in others nothing here has an effect.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_AGAIN_SECONDS = 0.01  # until an interrupt that came during an import is tried again


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Takes the first interrupt as a stop request, so that what is being written is finished; the second acts as ever.

    A signal that the program ignores, or handles in a way of its own, is left to it.

    Yields:
        A function that tells whether a stop was requested.
    """
    before: dict[signal.Signals, Any] = {}
    came = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form that `signal` calls
        came.set()
        _put_back(before)

    if threading.current_thread() is threading.main_thread():
        usual = (signal.default_int_handler, signal.SIG_DFL, raise_interrupt)
        before |= {number: now for number in _signals() if (now := signal.getsignal(number)) in usual}
        for number in before:
            signal.signal(number, handle)
    try:
        yield came.is_set
    finally:
        if not came.is_set():
            _put_back(before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turns every interrupt into `KeyboardInterrupt`, as Python does with Ctrl-C by itself.

    Ctrl-C that is ignored stays ignored: a shell lets a job in the background ignore it.
    """
    with _handled(raise_interrupt):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Holds interrupts back, and raises `KeyboardInterrupt` at the end if one came."""
    came = threading.Event()
    with _handled(lambda number, frame: came.set()):  # noqa: ARG005 - the form that `signal` calls
        yield
    if came.is_set():
        raise KeyboardInterrupt


def raise_interrupt(number: int, frame: FrameType | None) -> None:
    """Raises `KeyboardInterrupt`, once no import is under way: libraries in C do not survive one that is cut off.

    Args:
        number: The signal's number.
        frame: Where the program was when it came.

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
def _handled(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handles interrupts so for a while; one whose handler is no Python function cannot be put back, and is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    numbers = (number for number in _signals() if not (ignored and number is signal.SIGINT))
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        _put_back(before)


def _put_back(handlers: dict[signal.Signals, Any]) -> None:
    """Restores the handlers that were there before."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _signals() -> tuple[signal.Signals, ...]:
    """What counts as an interrupt on this system."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM)
