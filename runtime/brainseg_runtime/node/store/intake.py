"""An image that arrived is moved into its study, or refused; a study that was complete is opened again."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.errors import NodeError, NodeFullError, StudyTooLargeError
from brainseg_runtime.node.config import IntakeSettings
from brainseg_runtime.node.records import Arrival
from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.faults import named
from brainseg_runtime.node.store.folder import FILE_MODE, NodeFolder, private_folder
from brainseg_runtime.node.store.part import StorePart
from brainseg_runtime.safe_io.files import sync_folder

MIB: Final = 1 << 20
_LOCKS: Final = 64
"""Studies that are received at a time seldom share one of so many locks."""

Outcome = Literal["new", "same", "replaced"]


class Intake(StorePart):
    """Takes images."""

    def __init__(self, folder: NodeFolder, database: Database, clock: Callable[[], float]) -> None:
        super().__init__(folder, database, clock)
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self.draining = False

    def lock(self, key: str) -> threading.Lock:
        """Held while the files of a study's images change."""
        return self._locks[zlib.crc32(key.encode()) % _LOCKS]

    def accept(self, arrival: Arrival, limits: IntakeSettings) -> Outcome:
        """See `Store.accept`."""
        key = self._folder.key_of(arrival.study_uid)
        try:
            with self.lock(key), named("the image cannot be kept"):
                return self._accept(key, arrival, limits)
        finally:
            with contextlib.suppress(OSError):  # what is left in `incoming` is removed at the next start
                arrival.path.unlink(missing_ok=True)

    def _accept(self, key: str, arrival: Arrival, limits: IntakeSettings) -> Outcome:
        with self._database.read() as view:
            study = view.execute("SELECT * FROM study WHERE key = ?", (key,)).fetchone()
            image = view.execute("SELECT * FROM image WHERE key = ? AND sop = ?", (key, arrival.sop_uid)).fetchone()
        if study is not None and study["uid"] != arrival.study_uid:
            raise NodeError("the image cannot be kept", expected="one study for each key", got="two with the same")
        if image is not None and image["present"] and image["content_sha256"] == arrival.content_sha256:
            self._seen_again(key, study)
            return "same"
        self._refuse_if_draining(study)
        _refuse_beyond_caps(arrival, limits, study, image)
        self._refuse_if_full(arrival.size, limits)
        file = self._moved(key, arrival)
        try:
            with self._database.write("the image cannot be kept") as change:
                outcome = _record(change, key, arrival, file.name, self._names(arrival), self._clock())
        except BaseException:
            with contextlib.suppress(OSError):  # no row names it: the next start removes it
                file.unlink(missing_ok=True)
            raise
        if image is not None and image["file"] != file.name:
            with contextlib.suppress(OSError):
                (file.parent / image["file"]).unlink(missing_ok=True)
        return outcome

    def _seen_again(self, key: str, study: sqlite3.Row) -> None:
        """The same image again shows that its sender is still at work, and changes nothing else."""
        if study["state"] == "receiving":
            with self._database.write("the image cannot be kept") as change:
                change.execute(
                    "UPDATE study SET last_received = ? WHERE key = ? AND state = 'receiving'", (self._clock(), key)
                )

    def _refuse_if_draining(self, study: sqlite3.Row | None) -> None:
        """A study that is half received may be completed."""
        if self.draining and (study is None or study["state"] != "receiving"):
            raise NodeFullError(
                "the image cannot be kept", expected="a node that takes studies", got="one that is drained"
            )

    def full(self, limits: IntakeSettings, size: int = 1) -> str | None:
        """Which cap an image of so many bytes would be beyond; None if there is room."""
        with self._database.read() as view:
            total = view.execute("SELECT COALESCE(SUM(size), 0) FROM study WHERE NOT inputs_deleted").fetchone()[0]
        if total + size > limits.max_waiting_mib * MIB:
            return "beyond max_waiting_mib"
        if shutil.disk_usage(self._folder.path).free < limits.min_free_mib * MIB:
            return "beyond min_free_mib"
        return None

    def _refuse_if_full(self, size: int, limits: IntakeSettings) -> None:
        if full := self.full(limits, size):
            raise NodeFullError(
                "the image cannot be kept",
                expected="room within the node's caps",
                got=full,
                remedy="free space, wait until studies are done, shorten retention, or raise the cap",
            )

    def _moved(self, key: str, arrival: Arrival) -> Path:
        """The image under its lasting name. Another content has another name, so that no row's file changes."""
        home = self._folder.studies / key
        private_folder(home)
        file = home / f"{self._folder.key_of(arrival.sop_uid)}-{arrival.content_sha256[:16]}.dcm"
        if not arrival.path.is_file():
            raise NodeError("the image cannot be kept", expected="a whole file in incoming", got="none")
        arrival.path.chmod(FILE_MODE)
        arrival.path.replace(file)
        sync_folder(home)
        return file

    def _names(self, arrival: Arrival) -> tuple[str, str]:
        """The sender's title and address as the audit shows them."""
        caller = arrival.caller
        return self._folder.key_of(caller.aet) if caller.aet else "", self._folder.key_of(caller.host)


def _refuse_beyond_caps(
    arrival: Arrival, limits: IntakeSettings, study: sqlite3.Row | None, image: sqlite3.Row | None
) -> None:
    images = (study["images"] if study else 0) + (image is None)
    size = (study["size"] if study else 0) + arrival.size - (image["size"] if image else 0)
    for what, most, got in (
        ("MiB of an image", limits.max_instance_mib, arrival.size / MIB),
        ("images of a study", limits.max_study_instances, images),
        ("MiB of a study", limits.max_study_mib, size / MIB),
    ):
        if got > most:
            raise StudyTooLargeError("the image cannot be kept", expected=f"at most {most} {what}", got=f"{got:.6g}")


def _record(
    change: sqlite3.Connection, key: str, arrival: Arrival, file: str, names: tuple[str, str], now: float
) -> Outcome:
    """Writes the image's row and opens its study again, if it is new or changed."""
    image = change.execute("SELECT * FROM image WHERE key = ? AND sop = ?", (key, arrival.sop_uid)).fetchone()
    change.execute(
        "INSERT INTO study (key, uid, state, received, last_received) VALUES (?, ?, 'receiving', ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET last_received = excluded.last_received",
        (key, arrival.study_uid, now, now),
    )
    outcome: Outcome = "new" if image is None else "replaced"
    if image is not None and image["content_sha256"] == arrival.content_sha256:
        outcome = "same"  # retention had removed its file
    _reopen(change, key, only_quarantined=outcome == "same")
    change.execute(
        "UPDATE study SET images = images + ?, size = size + ?, inputs_deleted = 0 WHERE key = ?",
        (int(image is None), arrival.size - (image["size"] if image else 0), key),
    )
    change.execute(
        "INSERT OR REPLACE INTO image"
        " (key, sop, file, size, sha256, content_sha256, aet, host, way, received, revision)"
        " SELECT key, ?, ?, ?, ?, ?, ?, ?, ?, ?, revision FROM study WHERE key = ?",
        (
            arrival.sop_uid,
            file,
            arrival.size,
            arrival.sha256,
            arrival.content_sha256,
            *names,
            arrival.caller.way,
            now,
            key,
        ),
    )
    return outcome


def _reopen(change: sqlite3.Connection, key: str, *, only_quarantined: bool) -> None:
    """Opens a study that was complete, as its next revision."""
    change.execute(
        "UPDATE study SET state = 'receiving', revision = revision + 1, associations = 0, crashes = 0, interrupts = 0,"
        " error = NULL, finished = NULL, turn = NULL, claim = NULL WHERE key = ? AND state <> 'receiving'"
        " AND (state = 'quarantined' OR NOT ?)",
        (key, only_quarantined),
    )
