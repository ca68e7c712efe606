"""How many threads a process computes with, and how they wait for each other: set before PyTorch is loaded.

PyTorch computes with GNU's or LLVM's OpenMP. Unless told otherwise, their threads spin while they wait for the others
of a layer: where another process wants the same cores, each spends the time that the other would need to finish.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

from brainseg_runtime.inference.processor import usable_cores

_WAITING: Final = "OMP_WAIT_POLICY"


def wait_asleep(environment: MutableMapping[str, str] | None = None) -> None:
    """Let threads sleep while they wait, unless the user has set how they wait.

    It takes effect in processes started with the environment, and in this one if PyTorch is not loaded yet.

    Args:
        environment: Where it is set; this process's own by default.

    Source: OpenMP 5.2, section 21.1.6, OMP_WAIT_POLICY.
    """
    where = os.environ if environment is None else environment
    if not {"GOMP_SPINCOUNT", "KMP_BLOCKTIME", _WAITING} & where.keys():
        where[_WAITING] = "PASSIVE"


def requested_threads() -> int | None:
    """Threads that OMP_NUM_THREADS asks for, at most the usable cores; None where it is not set to a number."""
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if not text.isdecimal() or int(text) < 1:
        return None
    return min(int(text), usable_cores())
