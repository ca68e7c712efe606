"""Interrupts of a command: each ends it as Ctrl-C does, or the first is a stop request, checked between slices.

Interrupts are SIGINT (Ctrl-C) and SIGTERM; on Windows, which cannot send SIGINT to one process, also SIGBREAK
(Ctrl-Break, `CTRL_BREAK_EVENT`). Python handles signals in the main thread only; in others nothing here has an effect.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
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
        before |= {number: now for number in _signals() if _is_usual(now := signal.getsignal(number))}
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

    Ctrl-C that is ignored stays ignored: a shell lets a job in the background ignore it. An interrupt is never lost:
    if it came where nothing can be raised, as while an object is destroyed, `KeyboardInterrupt` is raised at the end.
    """
    handler = _Raising()
    with _handled(handler):
        yield
    if handler.came:
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Holds interrupts back, and raises `KeyboardInterrupt` at the end if one came."""
    came = threading.Event()
    with _handled(lambda number, frame: came.set()):  # noqa: ARG005 - the form that `signal` calls
        yield
    if came.is_set():
        raise KeyboardInterrupt


class _Raising:
    """Raises `KeyboardInterrupt`, once no import is under way: libraries in C do not survive one that is cut off."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal; see the class."""
        self.came = True
        here = frame
        while here is not None:
            if here.f_code.co_filename.startswith("<frozen importlib"):
                # `threading` would wait here for the thread to begin, and the thread perhaps for a lock that the
                # interrupted code holds.
                _thread.start_new_thread(_raise_later, (number,))
                return
            here = here.f_back
        raise KeyboardInterrupt


def _raise_later(number: int) -> None:
    """Sends a signal in a moment: to the main thread itself, which it then wakes where it waits."""
    time.sleep(_AGAIN_SECONDS)
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        signal.raise_signal(number)
    else:
        signal.pthread_kill(main, number)


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


def _is_usual(handler: object) -> bool:
    """Whether a handler is Python's own or a command's."""
    return isinstance(handler, _Raising) or handler in (signal.default_int_handler, signal.SIG_DFL)


def _put_back(handlers: dict[signal.Signals, Any]) -> None:
    """Restores the handlers that were there before."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _signals() -> tuple[signal.Signals, ...]:
    """What counts as an interrupt on this system."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM)
