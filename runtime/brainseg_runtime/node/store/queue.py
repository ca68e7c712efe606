"""Studies on their way: complete, claimed by a worker, done or quarantined; what a kill interrupted waits again."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError, NodeConflictError, NodeError, StudyError
from brainseg_runtime.node.config import Destination, IntakeSettings
from brainseg_runtime.node.records import MadeResult, StudyState, Work
from brainseg_runtime.node.store import audit, deliveries, results
from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.faults import named, scrubbed
from brainseg_runtime.node.store.folder import NodeFolder, discard, private_folder
from brainseg_runtime.node.store.listing import known_study
from brainseg_runtime.node.store.part import StorePart

MOST_CRASHES: Final = 2
"""A study that has ended its process so often is quarantined: once may be the machine's fault."""

MOST_INTERRUPTS: Final = 5
"""A study during which the node itself was killed so often is quarantined: it may be what kills it."""

_SUSPECT: Final = 2
"""From so many such kills on, studies are segmented one at a time, lest one is blamed for another."""

_NO_SUSPECT: Final = (
    f"(interrupts < {_SUSPECT} OR NOT EXISTS (SELECT 1 FROM study AS other"  # noqa: S608 - constants
    f" WHERE other.state = 'segmenting' AND other.interrupts >= {_SUSPECT}))"
)
_CLAIMABLE: Final = f"state = 'waiting' AND {_NO_SUSPECT}"

_BROKEN_OFF: Final = "the fetch of the study broke off, so that images may be missing"

_MINE: Final = "key = ? AND state = 'segmenting' AND revision = ? AND claim = ?"
"""Holds while nothing has taken the study from the worker that claimed it."""


class StudyQueue(StorePart):
    """The queue of studies."""

    def __init__(self, folder: NodeFolder, database: Database, clock: Callable[[], float]) -> None:
        super().__init__(folder, database, clock)
        self._owed: dict[Path, tuple[Work, bool]] = {}  # studies that a full disk kept from being given back

    def association_released(self, study_uids: Iterable[str]) -> None:
        """See `Store.association_released`."""
        keys = [(self._folder.key_of(each),) for each in set(study_uids)]
        with self._database.write("an association cannot be counted") as change:
            change.executemany(
                "UPDATE study SET associations = associations + 1 WHERE key = ? AND state = 'receiving'", keys
            )

    def close_quiet(self, intake: IntakeSettings) -> list[str]:
        """See `Store.close_quiet`."""
        # A clock that was set back by more than the pause completes a study too early rather than hours too late.
        enough = intake.complete_after_associations
        complete = (
            "state = 'receiving' AND key NOT IN (SELECT key FROM fetching)"
            " AND (ABS(:now - last_received) >= :quiet OR (:enough > 0 AND associations >= :enough))"
        )
        values = {"now": self._clock(), "quiet": intake.quiet_seconds, "enough": enough or 0}
        with self._database.read() as view:
            if view.execute(f"SELECT 1 FROM study WHERE {complete} LIMIT 1", values).fetchone() is None:  # noqa: S608 - constants
                return []
        with self._database.write("a study cannot be completed") as change:
            found = change.execute(f"SELECT key FROM study WHERE {complete} ORDER BY received", values)  # noqa: S608 - constants
            closed = [key for (key,) in found.fetchall() if self._is_whole(change, key)]
            change.executemany(
                "UPDATE study SET state = 'waiting', turn = ? WHERE key = ?", [(values["now"], key) for key in closed]
            )
        return closed

    def fetch_begins(self, key: str) -> None:
        """See `Store.fetching`."""
        with self._database.write("a fetch cannot begin") as change:
            change.execute("INSERT OR IGNORE INTO fetching (key) VALUES (?)", (key,))

    def fetch_ended(self, key: str, error: BrainsegError | None) -> None:
        """See `Store.fetching`. A whole fetch brings what an earlier one left out, so a quarantine for that ends."""
        with self._database.write("the end of a fetch cannot be noted") as change:
            change.execute("DELETE FROM fetching WHERE key = ?", (key,))
            if error is None:
                change.execute(
                    "UPDATE study SET state = 'receiving', revision = revision + 1, error = NULL, finished = NULL,"
                    " crashes = 0, interrupts = 0 WHERE key = ? AND state = 'quarantined' AND error LIKE ?",
                    (key, f'%"{_BROKEN_OFF}"%'),
                )
                return
            self._broken_off(change, key, str(error.got or error.what))

    def claim(self) -> Work | None:
        """See `Store.claim`."""
        for owed, last in list(self._owed.values()):
            self.release(owed, last=last)
        with self._database.read() as view:
            if view.execute(f"SELECT 1 FROM study WHERE {_CLAIMABLE} LIMIT 1").fetchone() is None:  # noqa: S608 - constants
                return None
        name = secrets.token_hex(6)
        with self._database.write("a study cannot be claimed") as change:
            row = change.execute(
                "UPDATE study SET state = 'segmenting', claim = ? WHERE key ="  # noqa: S608 - constants
                f" (SELECT key FROM study WHERE {_CLAIMABLE} ORDER BY turn, received, key LIMIT 1) RETURNING *",
                (name,),
            ).fetchone()
        if row is None:
            return None
        key, revision = row["key"], row["revision"]
        out = self._folder.results / key / f".{revision}.{name}"
        work = Work(key=key, revision=revision, inputs=self._folder.studies / key, out=out, crashes=row["crashes"])
        try:
            with named("a study cannot be claimed"):
                private_folder(out.parent)
                private_folder(out)
        except BaseException:
            self.release(work)
            raise
        return work

    def finish(self, work: Work, made: MadeResult, destinations: Sequence[Destination]) -> bool:
        """See `Store.finish`."""
        with self._database.read() as view:
            mine = view.execute(f"SELECT 1 FROM study WHERE {_MINE}", _claim(work)).fetchone()  # noqa: S608 - constants
        if mine is None:
            discard(work.out)
            return False
        made = results.take(work, made, self._folder.results)
        kept = False
        try:
            kept = self._kept(work, made, destinations)
        finally:
            if not kept:
                discard(made.folder)
        discard(work.out)
        return kept

    def failed(self, work: Work, error: BrainsegError, *, crashed: bool) -> StudyState | None:
        """See `Store.failed`."""
        now = self._clock()
        with self._database.write("a failure cannot be noted") as change:
            row = change.execute(f"SELECT crashes FROM study WHERE {_MINE}", _claim(work)).fetchone()  # noqa: S608 - constants
            state: StudyState | None = None
            if row is not None:
                crashes = row["crashes"] + crashed
                again = crashed and crashes < MOST_CRASHES
                state = "waiting" if again else "quarantined"
                change.execute(
                    "UPDATE study SET crashes = ?, state = ?, turn = ?, claim = NULL, error = ?, finished = ?"
                    " WHERE key = ?",
                    (crashes, state, now, None if again else _as_json(error), None if again else now, work.key),
                )
                if not again:
                    audit.note_quarantined(change, work.key, now)
        discard(work.out)
        return state

    def release(self, work: Work, *, last: bool = False) -> None:
        """See `Store.release`."""
        self._owed[work.out] = (work, last)
        discard(work.out)  # first: it may be what fills the disk
        turn = self._clock() if last else None
        with self._database.write("a study cannot be released") as change:
            change.execute(
                f"UPDATE study SET state = 'waiting', claim = NULL, turn = COALESCE(?, turn) WHERE {_MINE}",  # noqa: S608 - constants
                (turn, *_claim(work)),
            )
        self._owed.pop(work.out, None)

    def recover(self) -> None:
        """See `Store.recover`. An interrupted study goes to the end of the queue, lest it block others."""
        now = self._clock()
        with self._database.write("the queue cannot be recovered") as change:
            rows = change.execute(
                "UPDATE study SET state = 'waiting', claim = NULL, turn = ?, interrupts = interrupts + 1"
                " WHERE state = 'segmenting' RETURNING key, interrupts",
                (now,),
            ).fetchall()
            for row in rows:
                if row["interrupts"] >= MOST_INTERRUPTS:
                    error = NodeError(
                        "the node was killed each time that the study was segmented",
                        expected=f"fewer than {MOST_INTERRUPTS} times",
                        got=row["interrupts"],
                        remedy="see why the system killed it, give it more memory or cap work.memory_mib, run it again",
                    )
                    _give_up(change, row["key"], error, now)
            for (key,) in change.execute("SELECT key FROM fetching").fetchall():
                self._broken_off(change, key, "the node ended meanwhile")
            change.execute("DELETE FROM fetching")

    def rerun(self, key: str) -> None:
        """See `Store.rerun`."""
        with self._database.write("a study cannot be run again") as change:
            row = known_study(change, key)
            whole = change.execute("SELECT COUNT(*) > 0 AND MIN(present) FROM image WHERE key = ?", (key,)).fetchone()[
                0
            ]
            if row["state"] not in {"done", "quarantined"} or not whole:
                raise NodeConflictError(
                    "the study cannot be run again",
                    expected="a study that is done or quarantined, with its images",
                    got=row["state"] if whole else "one whose images were deleted",
                    remedy="wait until it is done" if whole else "send it again",
                )
            change.execute(
                "UPDATE study SET state = 'waiting', revision = revision + 1, crashes = 0, error = NULL,"
                " interrupts = 0, finished = NULL, turn = ? WHERE key = ?",
                (self._clock(), key),
            )

    def _kept(self, work: Work, made: MadeResult, destinations: Sequence[Destination]) -> bool:
        """Writes what a result that has been taken changes; False if the study was opened again meanwhile."""
        now = self._clock()
        with self._database.write("a result cannot be kept") as change:
            if not change.execute(
                f"UPDATE study SET state = 'done', finished = ?, claim = NULL, error = NULL WHERE {_MINE}",  # noqa: S608 - constants
                (now, *_claim(work)),
            ).rowcount:
                return False
            number = results.record(change, work, made, now)
            deliveries.supersede_older(change, work.key, number, now)
            deliveries.make(change, work.key, number, made, destinations, self._folder, now)
            audit.note_if_ended(change, number, now)
        return True

    def _broken_off(self, change: sqlite3.Connection, key: str, why: str) -> None:
        """A study of which a fetch brought a part, if anything, is quarantined."""
        if change.execute("SELECT 1 FROM study WHERE key = ? AND state = 'receiving'", (key,)).fetchone() is None:
            return
        error = NodeError(
            _BROKEN_OFF,
            expected="every image of the study",
            got=why,
            remedy="fetch it again (brainseg node fetch), or send the whole study from the PACS",
        )
        _give_up(change, key, error, self._clock())

    def _is_whole(self, change: sqlite3.Connection, key: str) -> bool:
        """Whether every image of a study is on the disk; if not, the study is quarantined."""
        lost = change.execute("SELECT COUNT(*) FROM image WHERE key = ? AND NOT present", (key,)).fetchone()[0]
        if not lost:
            return True
        error = StudyError(
            "images of the study are no longer on the disk",
            expected="every image",
            got=f"{lost} that retention or somebody else deleted",
            remedy="send the whole study again",
        )
        _give_up(change, key, error, self._clock())
        return False


def _give_up(change: sqlite3.Connection, key: str, error: BrainsegError, now: float) -> None:
    """Quarantines a study that no worker has."""
    change.execute(
        "UPDATE study SET state = 'quarantined', error = ?, finished = ? WHERE key = ?",
        (_as_json(error), now, key),
    )
    audit.note_quarantined(change, key, now)


def _claim(work: Work) -> tuple[str, int, str]:
    return work.key, work.revision, work.out.name.rpartition(".")[2]


def _as_json(error: BrainsegError) -> str:
    parts = {"kind": type(error).__name__, "what": error.what, "expected": error.expected, "got": error.got}
    parts["remedy"] = error.remedy
    return json.dumps({name: part if part is None else scrubbed(str(part)) for name, part in parts.items()})
