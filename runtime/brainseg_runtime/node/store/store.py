"""`Store`: the node's memory, through one door. Any number of threads may use it at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError, NodeConflictError, NodeError, NodeFullError
from brainseg_runtime.node.config import Destination, IntakeSettings, RetentionSettings, RetrySettings
from brainseg_runtime.node.records import (
    Arrival,
    Counts,
    Delivery,
    DeliveryState,
    Expired,
    MadeResult,
    ResultRow,
    StudyRow,
    StudyState,
    Work,
)
from brainseg_runtime.node.store import listing, results
from brainseg_runtime.node.store.audit import Audit
from brainseg_runtime.node.store.cleaning import clean, note_lost
from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.deliveries import Deliveries, rows_of
from brainseg_runtime.node.store.folder import NodeFolder
from brainseg_runtime.node.store.intake import Intake, Outcome
from brainseg_runtime.node.store.queue import StudyQueue
from brainseg_runtime.node.store.retention import expire

_PROBE: Final = b"\0" * 65536
"""What is written to see whether the disk takes anything again: more than the blocks that some systems keep back."""


class Store:
    """Images, queue, results and deliveries of a node.

    What a method has returned is on the disk. A method that raises has changed nothing. While the disk is full,
    read-only or failing, whatever writes raises `NodeFullError`, and works again once it is not.

    Args:
        folder: The state folder, open.
        database: Its database.
        clock: Tells the time, s since 1970.

    Examples:
        >>> store = Store.open(Path("state"))
        >>> store.counts().studies["waiting"], store.writable()
        (0, None)
        >>> store.close()
    """

    def __init__(self, folder: NodeFolder, database: Database, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._database = database
        self._clock = clock
        self._intake = Intake(folder, database, clock)
        self._queue = StudyQueue(folder, database, clock)
        self._deliveries = Deliveries(folder, database, clock)
        self._audit = Audit(folder.audit, database)
        self._refused = False
        self._fetched: set[str] = set()
        self._fetching_lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], float] = time.time) -> Store:
        """Opens a store, which is made if it does not exist; what a kill left is removed and waits again (`recover`).

        Args:
            folder: The state folder.
            clock: Tells the time, s since 1970.

        Raises:
            NodeFolderError: Another node has it, or it is damaged or of a later version.
            NodeFullError: It cannot be written.
        """
        state = NodeFolder.open(folder)
        with contextlib.ExitStack() as undone:
            undone.callback(state.close)
            database = Database(state.database)
            undone.callback(database.close)
            store = cls(state, database, clock)
            note_lost(state, database)
            clean(state, database, store._intake.lock)
            store.recover()
            undone.pop_all()
        return store

    def close(self) -> None:
        """Ends the use of the folder, so that another node can open it."""
        self._database.close()
        self.folder.close()

    def key_of(self, study_uid: str) -> str:
        """The key of a study: 16 hexadecimal digits of the HMAC-SHA256 of its UID under the folder's key."""
        return self.folder.key_of(study_uid)

    def label(self, text: str) -> str:
        """The same of any UID, title or address that a log must not show."""
        return self.folder.key_of(text)

    # Images

    def accept(self, arrival: Arrival, limits: IntakeSettings) -> Outcome:
        """Takes an image; its file is in the study's folder, or gone, when this returns or raises.

        A study that was complete is opened again, with the next revision, by an image that is new or changed. The same
        image again changes nothing, unless retention had removed its file, which is then restored.

        Args:
            arrival: The image; its file lies in `folder.incoming`, flushed.
            limits: The caps.

        Returns:
            "new", "same" or "replaced".

        Raises:
            NodeFullError: Beyond the caps for all images, the disk is full or read-only, or the node is drained; the
                sender may try again later.
            StudyTooLargeError: Beyond the caps for an image or a study.
        """
        with self._noticing():
            return self._intake.accept(arrival, limits)

    def own(self, sop_uid: str) -> bool:
        """Whether this node made the object of this SOPInstanceUID: a result that comes back, a loop."""
        with self._database.read() as view:
            found = view.execute("SELECT 1 FROM own WHERE sop = ?", (self.folder.hidden(sop_uid),)).fetchone()
        return found is not None

    def association_released(self, study_uids: Iterable[str]) -> None:
        """Counts an association that brought images of these studies and was released."""
        self._queue.association_released(study_uids)

    def writable(self, limits: IntakeSettings | None = None) -> str | None:
        """Why no study can be taken now; None if one can.

        Args:
            limits: Given: its caps for all images and for free space are looked at too.

        Returns:
            "draining", "read-only", "disk full", "beyond max_waiting_mib", "beyond min_free_mib" or None.
        """
        if self.draining:
            return "draining"
        homes = (self.folder.incoming, self.folder.studies)
        if not all(os.access(each, os.W_OK) for each in homes) or _mounted_read_only(self.folder.path):
            return "read-only"
        if self._refused and not self._takes_again():
            return "disk full"
        if limits is not None:
            return self._intake.full(limits)
        return None

    def drain(self, on: bool) -> None:
        """Takes no new study from now on (True), or again (False). What is here is finished. Ends with the process."""
        self._intake.draining = on

    @property
    def draining(self) -> bool:
        """Whether the node is drained."""
        return self._intake.draining

    # Studies

    def close_quiet(self, intake: IntakeSettings) -> list[str]:
        """Studies that are complete wait for a worker from now on.

        Returns:
            Their keys.
        """
        closed = self._queue.close_quiet(intake)
        self._write_audit()
        return closed

    @contextlib.contextmanager
    def fetching(self, key: str) -> Iterator[None]:
        """Keeps a study from being complete while its images are fetched; if that fails, it is quarantined.

        Args:
            key: The study's key; it need not have an image yet.

        Raises:
            NodeConflictError: It is being fetched already.
            NodeFullError: The disk is full or read-only.
        """
        with self._fetching_lock:
            if key in self._fetched:
                raise NodeConflictError("the study is being fetched", expected="one fetch at a time", got="another")
            self._fetched.add(key)
        try:
            self._queue.fetch_begins(key)
            try:
                yield
            except BaseException as error:
                told = error if isinstance(error, BrainsegError) else NodeError(type(error).__name__)
                with contextlib.suppress(NodeFullError):  # then it is held until the next start, which does the same
                    self._queue.fetch_ended(key, told)
                    self._write_audit()
                raise
            self._queue.fetch_ended(key, None)
        finally:
            self._fetched.discard(key)

    def claim(self) -> Work | None:
        """The study that has waited longest, for a worker; None if none waits."""
        return self._queue.claim()

    def finish(self, work: Work, made: MadeResult, destinations: Sequence[Destination]) -> bool:
        """Takes a study's result and queues what is to be sent of it; `work.out` is removed.

        An older result of the study is current no more, and what is not yet sent of it never will be. What a
        destination has already under the same identity, byte for byte, counts as sent.

        Args:
            work: As claimed.
            made: The result; its folder lies in `work.out`, its files are those of the digests.
            destinations: Where it goes.

        Returns:
            False if the study was opened again meanwhile; nothing is kept then.

        Raises:
            NodeError: The result's folder is not what `made` says. The study is still claimed.
            NodeFullError: The disk is full or read-only. The study is still claimed.
        """
        with self._noticing():
            kept = self._queue.finish(work, made, destinations)
        self._write_audit()
        return kept

    def failed(self, work: Work, error: BrainsegError, *, crashed: bool) -> StudyState | None:
        """Notes that a study could not be segmented.

        Args:
            work: As claimed.
            error: Why.
            crashed: Whether the process ended or outlasted its deadline: then the study is tried once more. Otherwise
                it is quarantined at once, since it would fail again.

        Returns:
            The study's state now, "waiting" or "quarantined"; None if it was opened again meanwhile.
        """
        state = self._queue.failed(work, error, crashed=crashed)
        self._write_audit()
        return state

    def release(self, work: Work, *, last: bool = False) -> None:
        """Gives a claimed study back.

        Args:
            work: As claimed.
            last: Whether it goes to the end of the queue, as after a result that did not fit on the disk; otherwise it
                keeps its place: the node stops.

        Raises:
            NodeFullError: The disk is full or read-only. The study is given back by the next `claim` that can.
        """
        self._queue.release(work, last=last)

    def recover(self) -> None:
        """What a kill interrupted waits again; what was being sent is in doubt. Part of `open`."""
        self._queue.recover()
        self._deliveries.recover()
        self._write_audit()

    def rerun(self, key: str) -> None:
        """Segments a study again, as its next revision.

        Raises:
            UnknownStudyError: No study has this key.
            NodeConflictError: It is neither done nor quarantined, or its images were deleted.
        """
        self._queue.rerun(key)

    # Deliveries

    def due(self, destination: str) -> Delivery | None:
        """The delivery that has been due longest, now being sent; None if none is due."""
        return self._deliveries.due(destination)

    def next_due(self, destination: str) -> float | None:
        """When the next delivery to a destination is due, s since 1970; None if none waits."""
        return self._deliveries.next_due(destination)

    def accepted(self, delivery: Delivery, *, transaction_uid: str | None = None) -> None:
        """Notes that the destination accepted an object; called again once its commitment is asked for."""
        self._deliveries.accepted(delivery, transaction_uid=transaction_uid)
        self._write_audit()

    def committed(self, transaction_uid: str, sop_uids: Iterable[str]) -> int:
        """Notes that objects are committed.

        Returns:
            How many of them belong to the transaction.
        """
        count = self._deliveries.committed(transaction_uid, sop_uids)
        self._write_audit()
        return count

    def not_committed(
        self, transaction_uid: str, sop_uids: Iterable[str], reason: str, retry: RetrySettings | None = None
    ) -> int:
        """Sends objects again that the destination does not commit to, with pauses and a last attempt as in `refused`.

        Returns:
            How many of them belong to the transaction.
        """
        count = self._deliveries.not_committed(transaction_uid, sop_uids, reason, retry or RetrySettings())
        self._write_audit()
        return count

    def overdue_commitments(self, destination: str, seconds: float) -> list[Delivery]:
        """Deliveries that were accepted so many seconds ago or more and whose commitment is still awaited."""
        return self._deliveries.overdue_commitments(destination, seconds)

    def refused(
        self, delivery: Delivery, reason: str, retry: RetrySettings, *, final: bool, in_doubt: bool = False
    ) -> DeliveryState:
        """Notes that an object was not accepted; it is tried again after a pause, or given up.

        Args:
            delivery: As `due` gave it.
            reason: Why; UIDs and addresses are removed from it.
            retry: The pauses, and the number of attempts.
            final: Whether trying again is of no use.
            in_doubt: Whether the destination may have the object nevertheless, since its answer did not arrive.

        Returns:
            The delivery's state now: "waiting", "quarantined", or "superseded" if a newer result was made meanwhile.
        """
        state = self._deliveries.refused(delivery, reason, retry, final=final, in_doubt=in_doubt)
        self._write_audit()
        return state

    def resend(self, key: str) -> int:
        """Sends a study's current result again, whatever has become of its deliveries.

        Returns:
            Number of deliveries that are due now.

        Raises:
            UnknownStudyError: No study has this key.
            NodeConflictError: It has no result, or the result's files were deleted.
        """
        return self._deliveries.resend(key)

    # What is shown, and what is deleted

    def studies(self, limit: int, after: str | None = None) -> list[StudyRow]:
        """A page of studies, those that were received last first; `after` is the last key of the page before.

        Raises:
            UnknownStudyError: No study has the key `after`.
        """
        with self._database.read() as view:
            return listing.studies(view, limit, after)

    def study(self, key: str) -> StudyRow:
        """One study.

        Raises:
            UnknownStudyError: No study has this key.
        """
        with self._database.read() as view:
            return listing.study_of(listing.known_study(view, key))

    def results(self, key: str) -> list[ResultRow]:
        """A study's results, oldest first; none if no study has this key."""
        with self._database.read() as view:
            rows = view.execute("SELECT * FROM result WHERE key = ? ORDER BY id", (key,)).fetchall()
        return [results.row_of(row, self.folder.results) for row in rows]

    def deliveries(self, key: str) -> list[Delivery]:
        """A study's deliveries, oldest first; none if no study has this key."""
        with self._database.read() as view:
            return rows_of(view, key, self.folder.results)

    def counts(self) -> Counts:
        """What the node holds now."""
        with self._database.read() as view:
            return listing.counts(view, self.folder)

    def expire(self, retention: RetentionSettings) -> Expired:
        """Deletes what has been kept for long enough, and what no row names; call it every minute or so."""
        self._write_audit()
        clean(self.folder, self._database, self._intake.lock)
        return expire(self.folder, self._database, retention, self._clock(), self._intake.lock)

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        """Remembers that the disk did not take what was to be written, for `writable`."""
        try:
            yield
        except NodeFullError as error:
            self._refused |= error.__cause__ is not None  # a cap has no cause
            raise

    def _write_audit(self) -> None:
        """Copies new audit lines to their file; on a full disk they stay in the database until the next time."""
        with contextlib.suppress(NodeFullError):
            self._audit.write()

    def _takes_again(self) -> bool:
        """Whether the disk takes a file and a transaction."""
        probe = self.folder.incoming / ".probe"
        try:
            with self._database.write("the disk takes nothing") as change:
                change.execute("CREATE TABLE probe (x)")
                change.execute("DROP TABLE probe")
            probe.write_bytes(_PROBE)
        except (NodeFullError, OSError):
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        self._refused = False
        return True


def _mounted_read_only(path: Path) -> bool:
    """Whether the file system is read-only; False where the system cannot tell."""
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
