"""Keeps the text of other libraries out of stderr: it holds titles, UIDs and values of data sets.

While `quieted` lasts, a warning of any library's logger, a Python warning, and an exception that nobody caught become
events that name the library or the kind of error and the line of code, and nothing else.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from brainseg_runtime.node.watching.log import Label, Log, kind_of

_SEVERITIES: Final = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (0, "info"))


@contextmanager
def quieted(log: Log) -> Iterator[None]:
    """No library's text reaches stderr; the log is told that there was some. For the whole process, so enter it once.

    Args:
        log: Where it is told.
    """
    with _loggers_quieted(log), _warnings_quieted(log), _hooks_quieted(log):
        yield


class _Scrubber(logging.Handler):
    """Logs that a library logged, without what."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the library, how severe it is, and the error's kind; the record is never formatted."""
        severity = next(name for level, name in _SEVERITIES if record.levelno >= level)
        error = record.exc_info[1] if record.exc_info else None
        library = Label(record.name.partition(".")[0])
        place = Label(record.module)
        if error is None:
            self._log.event("library", library=library, severity=Label(severity), module=place, line=record.lineno)
        else:
            self._log.event(
                "library",
                library=library,
                severity=Label(severity),
                module=place,
                line=record.lineno,
                error=kind_of(error),
            )


@contextmanager
def _loggers_quieted(log: Log) -> Iterator[None]:
    """The root logger has our handler alone, and every other logger none."""
    loggers = [
        logging.root,
        *(each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)),
    ]
    before = [(each, each.handlers[:], each.propagate) for each in loggers]
    scrubber = _Scrubber(log)
    for each in loggers:
        each.handlers[:] = [scrubber] if each is logging.root else []
        each.propagate = True
    try:
        yield
    finally:
        for each, handlers, propagate in before:
            each.handlers[:] = handlers
            each.propagate = propagate


@contextmanager
def _warnings_quieted(log: Log) -> Iterator[None]:
    """Python's warnings, whose texts quote values of data sets, are told by category."""

    def tell(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        del message, file, line
        module = Label(Path(filename).stem)
        log.event("library", library=Label("warnings"), error=Label(category.__name__), module=module, line=lineno)

    before = warnings.showwarning
    warnings.showwarning = tell
    try:
        yield
    finally:
        warnings.showwarning = before


@contextmanager
def _hooks_quieted(log: Log) -> Iterator[None]:
    """An exception that ends a thread, or is raised where nobody can catch it, is told by kind and place."""

    def tell(error: BaseException | None, trace: TracebackType | None) -> None:
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = Path(trace.tb_frame.f_code.co_filename).stem if trace is not None else "unknown"
        kind = kind_of(error) if error is not None else Label("unknown")
        log.event("thread_failed", error=kind, module=Label(place), line=trace.tb_lineno if trace is not None else 0)

    def of_thread(fault: threading.ExceptHookArgs) -> None:
        if not issubclass(fault.exc_type, SystemExit):
            tell(fault.exc_value, fault.exc_traceback)

    def unraisable(fault: sys.UnraisableHookArgs) -> None:
        tell(fault.exc_value, fault.exc_traceback)

    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = of_thread, unraisable
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before
