"""The C library's heap, kept from growing over weeks.

glibc gives up to eight heaps a processor to a process whose threads come and go, as those of associations do, and each
keeps what it once had. One heap is enough here: Python runs one thread at a time.

Source: mallopt(3) and malloc_trim(3) of the GNU C library.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE: Final = 1 << 17
"""Blocks from this size on are given back when they are freed, bytes; glibc starts with it, and raises it with use."""


def keep_small(*, at_once: bool) -> bool:
    """Have all threads share one heap from now on; call it before there are threads.

    Args:
        at_once: Give large blocks back as soon as they are freed. Arithmetic on volumes then takes half as long again,
            since each of its arrays is made of new pages.

    Returns:
        Whether the C library does so; one other than glibc is left as it is.

    Examples:
        >>> keep_small(at_once=False) == (_glibc() is not None)
        True
    """
    library = _glibc()
    if library is None:
        return False
    settings = [(_ARENA_MAX, 1)]
    if at_once:
        settings += [(_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE)]
    taken = [library.mallopt(name, value) for name, value in settings]
    return all(taken)


def give_back() -> bool:
    """Give free memory back to the system; whether there was any.

    Examples:
        >>> give_back() in (True, False)
        True
    """
    library = _glibc()
    return library is not None and library.malloc_trim(0) == 1


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "malloc_trim") else None
