"""Where the processes of one start meet: a part of the launcher's store that no earlier start has written to.

`torchrun` keeps one store for as long as it runs, and starts its processes again when one has ended. What the processes
of the earlier start have left there, their network addresses among it, must not be taken for that of the new one:
PyTorch itself would connect to a process that is gone. So rank 0 names each start anew, every other process presents
itself under that name, and all begin once rank 0 has seen them.

Source: the store and its environment variables are those of PyTorch's elastic launcher, `torch.distributed.run`.
"""

from __future__ import annotations

import os
import secrets
import time
from datetime import timedelta
from typing import Final

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from brainseg_train.errors import GroupError

PATIENCE_S: Final = 300.0
"""How long processes may take from the first to the last one: torchrun starts all at once, and imports take seconds."""

_POLL_S: Final = 0.05
_ANSWER: Final = timedelta(seconds=60)  # the store answers at once, unless its machine is gone
_START: Final = "brainseg/start"


def launcher_store() -> Store | None:
    """The store that torchrun keeps for as long as it runs; None where it keeps none, and without torchrun."""
    if not dist.is_available() or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # PyTorch's annotations leave the class out.
    store: Store = dist.TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=_ANSWER)  # type: ignore[attr-defined]
    return store


def meet(store: Store, rank: int, size: int, *, patience: float = PATIENCE_S) -> Store:
    """Wait for the other processes of this start.

    Args:
        store: What all of them and those of earlier starts write to.
        rank: This process, from 0.
        size: How many there are.
        patience: Longest wait, seconds.

    Returns:
        A part of the store that is new and the same for all of them.

    Raises:
        GroupError: A process has not come.
    """
    deadline = time.monotonic() + patience
    name = _lead(store, size, deadline) if rank == 0 else _follow(store, rank, deadline)
    if name is None:
        raise GroupError(
            "the processes that train together have not all started",
            expected=f"{size} within {patience:.0f} s",
            got=f"rank {rank} has waited in vain",
            remedy="see what the launcher says on the other machines: its restarts may be used up there; then repeat "
            "the command with --resume on every machine",
        )
    return PrefixStore(f"{_START}/{name}", store)


def _lead(store: Store, size: int, deadline: float) -> str | None:
    """Rank 0: name this start, and tell which processes have come; None if one has not."""
    name = secrets.token_hex(8)
    store.set(_START, name)
    keys = [_presence(name, rank) for rank in range(1, size)]
    while not store.check(keys):
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_S)
    store.set(_complete(name), " ".join(store.get(key).decode() for key in keys))
    return name


def _follow(store: Store, rank: int, deadline: float) -> str | None:
    """Every other rank: present itself at each start that is named, until rank 0 has seen it at one."""
    own, presented = secrets.token_hex(8), ""
    while time.monotonic() < deadline:
        if store.check([_START]) and (name := store.get(_START).decode()):
            if name != presented:
                store.set(_presence(name, rank), own)
                presented = name
            if store.check([_complete(name)]) and own in store.get(_complete(name)).decode().split():
                return str(name)
        time.sleep(_POLL_S)
    return None


def _presence(name: str, rank: int) -> str:
    return f"{_START}/{name}/rank-{rank}"


def _complete(name: str) -> str:
    return f"{_START}/{name}/complete"
