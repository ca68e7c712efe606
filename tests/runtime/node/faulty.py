"""A node with a fault on purpose, which the kill test must find: `python -m tests.runtime.node.faulty FAULT serve ...`.

- `early`: an image is acknowledged before it is in the queue.
- `random`: a result's identifiers are random, instead of made from its images.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

LATE_SECONDS: Final = 1.0
"""How long after its acknowledgement an image is kept, s."""


def early() -> None:
    """Acknowledges an image before it is in the queue."""
    from brainseg_runtime.node.store.store import Store

    accept = Store.accept

    def later(store: Store, arrival: Any, limits: Any) -> str:  # noqa: ANN401 - as the store takes them
        path = arrival.path.with_name(f"{arrival.path.name}.late")
        os.link(arrival.path, path)
        thread = threading.Timer(LATE_SECONDS, accept, (store, replace(arrival, path=path), limits))
        thread.daemon = True
        thread.start()
        return "new"

    Store.accept = cast("Any", later)  # type: ignore[method-assign]  # the fault


def random() -> None:
    """Has the isolated process make random identifiers."""
    from brainseg_runtime.node.working import worker
    from brainseg_runtime.node.working.server import BOOT

    here = "from tests.runtime.node.faulty import random_identifiers; random_identifiers(); "
    vars(worker)["BOOT"] = here + BOOT


def random_identifiers() -> None:
    """Within that process."""
    from brainseg_runtime.node.working import server
    from brainseg_runtime.studies.written.writing import write_study as made

    def write_study(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the writer takes them
        return made(*arguments, **{**options, "deterministic_uids": False})

    vars(server)["write_study"] = write_study


FAULTS: Final[dict[str, Callable[[], None]]] = {"early": early, "random": random}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    runpy.run_module("brainseg_runtime", run_name="__main__", alter_sys=True)
