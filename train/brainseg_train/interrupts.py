"""Ctrl-C and a polite kill as a request that training meets between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from brainseg_runtime.terminal.interrupts import raise_interrupt

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered, the first SIGINT or SIGTERM only sets `requested`; the second acts as ever.

    Signals can only be caught in the main thread; in another one nothing is caught. A signal that the program handles
    itself already is left to it.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Start to catch."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if handler in (signal.default_int_handler, signal.SIG_DFL, raise_interrupt):
                    self._before[number] = handler
                    signal.signal(number, self._catch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to catch."""
        self._let_go()

    def _catch(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._let_go()

    def _let_go(self) -> None:
        """Put the handlers back that were there before."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
