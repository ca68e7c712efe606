"""Which study a launch of torchrun works on, remembered for the case that torchrun starts its processes again.

`torchrun --max-restarts N` starts every process again when one has ended, with the arguments of the first time. The
study's name is kept in the launcher's own store, which lives as long as the launch: processes that are started again go
on with exactly that study, and a new launch knows nothing of it, however alike its arguments are.

Source: PyTorch's elastic launcher, `torch.distributed.run`, "Environment Variables" and "Fault-tolerant".
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

from brainseg_train.learning.meeting import launcher_store

_LOOK_SECONDS: Final = 0.5  # how soon a process notices that its launcher is gone

_KEY: Final = "brainseg/study"


def remembered_study() -> str | None:
    """The name of the study that an earlier start of this launch worked on; None at the first, or without torchrun."""
    store = launcher_store()
    if store is None or not store.check([_KEY]):
        return None
    return str(store.get(_KEY).decode())


def remember_study(name: str) -> None:
    """Keep a study's name for as long as this launch lives; does nothing without torchrun."""
    if (store := launcher_store()) is not None:
        store.set(_KEY, name)


def restarted_blindly() -> bool:
    """Whether torchrun has started this process again without a store that could say what it worked on."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" and launcher_store() is None


def end_with_launcher() -> None:
    """End this process as soon as torchrun's own process on this machine is gone, as after a kill.

    It would train on beside the processes that a launcher started in its place, hold their trial's lock, and keep the
    other machines from noticing. What it was writing stays whole, as after a kill.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(launcher: int) -> None:
    """Look whether this process still has the parent that started it; the main thread may be waiting in a library."""
    while os.getppid() == launcher:
        time.sleep(_LOOK_SECONDS)
    sys.stderr.write("the launcher of this process is gone: ended; repeat the command with --resume\n")
    sys.stderr.flush()
    os._exit(1)
