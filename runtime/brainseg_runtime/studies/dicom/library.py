"""pydicom, imported where it is used and kept quiet: its warnings and its log quote values, even a patient's."""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Final

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy

FAULTS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and the codecs raise on damaged data; they have no error of their own for it. RuntimeError holds
RecursionError and NotImplementedError, MemoryError is a damaged length."""

_LOCK: Final = threading.RLock()
"""Python's filters of warnings and its loggers belong to the whole process."""


def require_pydicom() -> None:
    """Check that pydicom is there before files are read.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pydicom  # noqa: F401 - asked for only
    except ImportError as error:
        raise MissingExtraError(
            "DICOM files cannot be read", expected="pydicom", got=error, remedy=install_remedy("study")
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps pydicom from warning and logging in here."""
    log = logging.getLogger("pydicom")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = log.disabled
        log.disabled = True
        try:
            yield
        finally:
            log.disabled = before
