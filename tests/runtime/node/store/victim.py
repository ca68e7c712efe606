"""A process that works on a store and is killed: by its test at a random moment, or by itself at a chosen step.

    victim once STATE UMASK    the whole way of one study, then an end without closing anything
    victim steps STATE LOG N   the same, but ends at the N-th step (a flush, a rename, a commit, ...)
    victim work STATE LOG      many studies at a time, in several threads, until it is killed

LOG gets a line for each thing that a store's method has promised by returning; each line is one write.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brainseg_runtime.errors import WorkerError
from brainseg_runtime.node.config import IntakeSettings, RetrySettings
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import ARCHIVE, PACS, arrival, result, sha256

QUIET = IntakeSettings(min_free_mib=0, complete_after_associations=1)
RETRY = RetrySettings(first_seconds=0.05, longest_seconds=0.05, attempts=1000)
KILLED = 77


class Log:
    """What was promised, one line each; the kernel keeps it when this process ends."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def send(store: Store, log: Log, study: str, images: int) -> None:
    """A modality: each image until it is accepted, then the end of the association."""
    for image in range(images):
        data = f"{study} {image}".encode()
        store.accept(arrival(store, study, image, data), QUIET)
        log("accepted", study, image, sha256(data))
    store.association_released([study])


def segment(store: Store, log: Log) -> bool:
    """A worker's turn; every third study's process ends once."""
    work = store.claim()
    if work is None:
        return False
    if int(work.key, 16) % 3 == 0 and not work.crashes:
        store.failed(work, WorkerError("the process ended"), crashed=True)
        return True
    if store.finish(work, result(work, data=f"revision {work.revision}".encode()), (PACS, ARCHIVE)):
        log("finished", work.key, work.revision)
    return True


def deliver(store: Store, log: Log, destination: str) -> bool:
    """A sender's turn. The peer's own list is the log: what it has been handed, and under which identity."""
    delivery = store.due(destination)
    if delivery is None:
        return False
    if delivery.id % 4 == 0 and delivery.attempts == 1:
        store.refused(delivery, "busy", RETRY, final=False)
        return True
    digest = sha256(delivery.path.read_bytes())
    log("handed", destination, delivery.object.sop_uid, digest, int(delivery.in_doubt))
    store.accepted(delivery)
    log("delivered", destination, delivery.object.sop_uid)
    return True


def whole_way(store: Store, log: Log, study: str) -> None:
    """One study from its first image to its last delivery, with a late image."""
    for images in (2, 3):
        send(store, log, study, images)
        store.close_quiet(QUIET)
        while segment(store, log):
            pass
        for name in ("pacs", "archive"):
            while deliver(store, log, name):
                pass
            time.sleep(0.06)  # what was refused is due again
            while deliver(store, log, name):
                pass


def once(state: Path, umask: int) -> None:
    """One study under a umask."""
    os.umask(umask)
    whole_way(Store.open(state), Log(Path(os.devnull)), "1.2.3")
    os._exit(0)


def steps(state: Path, log: Path, last: int) -> None:
    """One study, up to a step."""
    left = [last]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(KILLED)

    class Counted(sqlite3.Connection):
        """A connection whose statements that write are steps, before and after."""

        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as the class above
            writes = not sql.lstrip().startswith(("SELECT", "PRAGMA"))
            if writes:
                count()
            cursor = super().execute(sql, *rest)
            if writes and sql == "COMMIT":
                count()
            return cursor

    connect = sqlite3.connect

    def counted_connect(path: Path, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - sqlite3's own
        return connect(path, factory=Counted, **options)

    setattr(sqlite3, "connect", counted_connect)  # noqa: B010 - this process alone
    for owner, name in ((os, "fsync"), (os, "mkdir"), (os, "rename"), (os, "replace"), (os, "unlink"), (os, "rmdir")):
        setattr(owner, name, _stepped(getattr(owner, name), count))
    store = Store.open(state)
    whole_way(store, Log(log), "1.2.3")
    store.close()


def _stepped(call: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    def stepped(*args: object, **options: object) -> object:
        count()
        return call(*args, **options)

    return stepped


def work(state: Path, log_path: Path) -> None:
    """Modalities, workers and senders in threads, until somebody kills the process."""
    store, log = Store.open(state), Log(log_path)
    first = int(time.time() * 1000)  # studies that no earlier victim has sent

    def modality(number: int) -> None:
        study = 0
        while True:
            study += 1
            send(store, log, f"1.2.{first}.{number}.{study}", 1 + study % 4)

    def forever(turn: Callable[[], object]) -> None:
        while True:
            if not turn():
                time.sleep(0.002)

    jobs: list[tuple[Callable[..., None], object]] = [(modality, 1), (modality, 2)]
    jobs += [(forever, lambda: store.close_quiet(QUIET))]
    jobs += [(forever, lambda: segment(store, log)) for _ in range(2)]
    jobs += [(forever, lambda: deliver(store, log, "pacs")), (forever, lambda: deliver(store, log, "archive"))]
    threads = [threading.Thread(target=job, args=(argument,)) for job, argument in jobs]
    for each in threads:
        each.start()
    log("began")
    for each in threads:
        each.join()


if __name__ == "__main__":
    mode, state_path, *rest = sys.argv[1:]
    if mode == "once":
        once(Path(state_path), int(rest[0], 8))
    elif mode == "steps":
        steps(Path(state_path), Path(rest[0]), int(rest[1]))
    else:
        work(Path(state_path), Path(rest[0]))
