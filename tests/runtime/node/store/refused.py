"""A process without root's rights whose store the system refuses to write, and then lets write again."""

from __future__ import annotations

import fcntl  # noqa: F401 - loaded while it can be; the user that this becomes may not read the interpreter's folder
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from brainseg_runtime.errors import NodeFullError
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import LIMITS, arrival, files

_NOBODY = 65534


def main(state: Path, fault: str) -> None:
    """Accepts, is refused, accepts again."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    if fault == "another user's folder":
        _refused_at_the_start(state)
    else:
        _refused_for_now(Store.open(state), *_FAULTS[fault])
    sys.stdout.write("as it should\n")


def _refused_at_the_start(state: Path) -> None:
    try:
        Store.open(state)
    except NodeFullError:
        return
    sys.exit("a folder of another user was opened")


def _refused_for_now(store: Store, refuse: Callable[[Store], None], allow: Callable[[Store], None]) -> None:
    store.accept(arrival(store, image=0), LIMITS)
    refuse(store)
    before = (files(store.folder.studies), store.counts().images)
    for image in range(1, 4):
        try:
            store.accept(arrival(store, f"1.2.{image}"), LIMITS)
        except NodeFullError as error:
            sys.stdout.write(f"refused: {error}\n")
        else:
            sys.exit("an image was taken although the system refuses to write")
    if (files(store.folder.studies), store.counts().images) != before:
        sys.exit("a refused image left something")
    if store.writable() is None:
        sys.exit("the store says that it can be written")
    allow(store)
    if (why := store.writable()) is not None:
        sys.exit(f"the store says that it cannot be written: {why}")
    if store.accept(arrival(store, image=5), LIMITS) != "new" or store.counts().images != before[1] + 1:
        sys.exit("an image was not taken")
    store.close()
    store = Store.open(store.folder.path)
    if store.counts().images != len(files(store.folder.studies)):
        sys.exit("rows and files differ")


def _limit_size(_: Store) -> None:
    """No file may be longer than 4 KiB, while the database's is longer already; Python ignores the signal."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def _lift_limit(_: Store) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _close_folder(store: Store) -> None:
    store.folder.studies.chmod(0o500)


def _open_folder(store: Store) -> None:
    store.folder.studies.chmod(0o700)


_FAULTS: dict[str, tuple[Callable[[Store], None], Callable[[Store], None]]] = {
    "file size limit": (_limit_size, _lift_limit),
    "read-only folder": (_close_folder, _open_folder),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
