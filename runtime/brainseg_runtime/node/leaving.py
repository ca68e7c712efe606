"""The process's end: threads of libraries that still wait for a peer do not keep a stopped node alive.

Requests run in threads that Python waits for at its end, such as a fetch from a PACS that does not answer. Once the
store is closed they can change nothing, and the next start finds what they left.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

GRACE_SECONDS: Final = 2.0
"""How long such threads may still take together, s."""


def leave(code: int, *, grace: float = GRACE_SECONDS) -> int:
    """The exit code, if the process can end by itself now; otherwise it ends here, with that code.

    Args:
        code: The exit code.
        grace: How long threads that Python would wait for may still take, s.

    Examples:
        >>> leave(0)
        0
    """
    end = time.monotonic() + grace
    for each in _waited_for():
        each.join(max(0.0, end - time.monotonic()))
    if _waited_for():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _waited_for() -> list[threading.Thread]:
    """The threads that Python waits for at its end, beside this one and the main one."""
    others = {threading.current_thread(), threading.main_thread()}
    return [each for each in threading.enumerate() if not each.daemon and each not in others]
