"""Each object on its way to each destination: due, sent, committed, refused or replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import NodeConflictError, NodeError
from brainseg_runtime.node.config import Destination, RetrySettings
from brainseg_runtime.node.records import Delivery, DeliveryState, MadeObject, MadeResult
from brainseg_runtime.node.store import audit
from brainseg_runtime.node.store.faults import scrubbed
from brainseg_runtime.node.store.folder import NodeFolder
from brainseg_runtime.node.store.listing import known_study
from brainseg_runtime.node.store.part import StorePart

_JITTER: Final = 0.2
"""Pauses differ by up to so much of their length, so that what failed together is not tried again together."""

_DUE: Final = "(next_at <= :now OR paused_at > :now)"
"""A clock that was set back ends every pause, rather than making it longer by hours."""


def make(
    change: sqlite3.Connection,
    key: str,
    result_id: int,
    made: MadeResult,
    destinations: Sequence[Destination],
    folder: NodeFolder,
    now: float,
) -> None:
    """Makes a result's deliveries. What a destination already has under the same identity is not sent again.

    Raises:
        NodeError: An object has the identity of one that was made before, and other bytes.
    """
    for each in made.objects:
        sop = folder.hidden(each.sop_uid)
        before = change.execute("SELECT sha256 FROM own WHERE sop = ?", (sop,)).fetchone()
        if before is not None and before["sha256"] != each.sha256:
            raise NodeError(
                "a result cannot be kept",
                expected="a new identity for each object with other bytes",
                got=f"a {each.kind} with the identity of an earlier one",
            )
        change.execute("INSERT OR IGNORE INTO own (sop, sha256) VALUES (?, ?)", (sop, each.sha256))
        for destination in destinations:
            if destination.write is None or each.kind in destination.write:
                held = _held(change, sop, destination.name)
                change.execute(
                    "INSERT INTO delivery (key, result_id, destination, kind, file, sop_class, sop, sha256, state,"
                    " next_at, paused_at, accepted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        key,
                        result_id,
                        destination.name,
                        each.kind,
                        each.path,
                        each.sop_class,
                        each.sop_uid,
                        each.sha256,
                        "waiting" if held is None else "sent",
                        now,
                        now,
                        held,
                    ),
                )


def supersede_older(change: sqlite3.Connection, key: str, result_id: int, now: float) -> None:
    """What is not yet sent of a study's older results never will be; what is being sent right now ends by itself."""
    change.execute(
        "UPDATE delivery SET state = 'superseded' WHERE key = ? AND result_id <> ?"
        " AND state IN ('waiting', 'quarantined')",
        (key, result_id),
    )
    for row in change.execute("SELECT id FROM result WHERE key = ? AND id <> ?", (key, result_id)).fetchall():
        audit.note_if_ended(change, row["id"], now)


class Deliveries(StorePart):
    """The queue of deliveries."""

    def due(self, destination: str) -> Delivery | None:
        """See `Store.due`."""
        upcoming = self.next_due(destination)
        if upcoming is None or upcoming > self._clock():
            return None
        now = self._clock()
        with self._database.write("a delivery cannot be begun") as change:
            self._count_held_as_sent(change, destination, now)
            row = change.execute(
                "UPDATE delivery SET state = 'sending', attempts = attempts + 1 WHERE id ="  # noqa: S608 - constants
                f" (SELECT id FROM delivery WHERE destination = :destination AND state = 'waiting' AND {_DUE}"
                " ORDER BY next_at, id LIMIT 1) RETURNING *",
                {"destination": destination, "now": now},
            ).fetchone()
            return None if row is None else _delivery(change, row, self._folder.results)

    def next_due(self, destination: str) -> float | None:
        """See `Store.next_due`."""
        with self._database.read() as view:
            found = view.execute(
                "SELECT MIN(CASE WHEN paused_at > :now THEN :now ELSE next_at END) FROM delivery"
                " WHERE destination = :destination AND state = 'waiting'",
                {"destination": destination, "now": self._clock()},
            ).fetchone()[0]
        return None if found is None else float(found)

    def accepted(self, delivery: Delivery, *, transaction_uid: str | None) -> None:
        """See `Store.accepted`."""
        now = self._clock()
        with self._database.write("a delivery cannot be noted") as change:
            change.execute(
                "UPDATE delivery SET state = 'sent', in_doubt = 0, error = NULL, accepted = COALESCE(accepted, ?),"
                " transaction_uid = COALESCE(?, transaction_uid) WHERE id = ? AND state <> 'committed'",
                (now, transaction_uid, delivery.id),
            )
            change.execute(
                "INSERT OR IGNORE INTO held (sop, destination, accepted) VALUES (?, ?, ?)",
                (self._folder.hidden(delivery.object.sop_uid), delivery.destination, now),
            )
            audit.note_if_ended(change, delivery.result_id, now)

    def committed(self, transaction_uid: str, sop_uids: Iterable[str]) -> int:
        """See `Store.committed`."""
        now, count = self._clock(), 0
        with self._database.write("a commitment cannot be noted") as change:
            for row in _of_transaction(change, transaction_uid, sop_uids):
                change.execute("UPDATE delivery SET state = 'committed' WHERE id = ?", (row["id"],))
                audit.note_if_ended(change, row["result_id"], now)
                count += 1
        return count

    def not_committed(self, transaction_uid: str, sop_uids: Iterable[str], reason: str, retry: RetrySettings) -> int:
        """See `Store.not_committed`."""
        count = 0
        with self._database.write("a commitment cannot be noted") as change:
            for row in _of_transaction(change, transaction_uid, sop_uids):
                change.execute(
                    "DELETE FROM held WHERE sop = ? AND destination = ?",
                    (self._folder.hidden(row["sop"]), row["destination"]),
                )
                change.execute("UPDATE delivery SET accepted = NULL, transaction_uid = NULL WHERE id = ?", (row["id"],))
                self._again(change, row, reason, retry, final=False)
                count += 1
        return count

    def overdue_commitments(self, destination: str, seconds: float) -> list[Delivery]:
        """See `Store.overdue_commitments`."""
        with self._database.read() as view:
            rows = view.execute(
                "SELECT * FROM delivery WHERE destination = ? AND state = 'sent' AND transaction_uid IS NOT NULL"
                " AND accepted + ? <= ? ORDER BY id",
                (destination, seconds, self._clock()),
            ).fetchall()
            return [_delivery(view, row, self._folder.results) for row in rows]

    def refused(
        self, delivery: Delivery, reason: str, retry: RetrySettings, *, final: bool, in_doubt: bool
    ) -> DeliveryState:
        """See `Store.refused`."""
        with self._database.write("a delivery cannot be noted") as change:
            row = change.execute("SELECT * FROM delivery WHERE id = ?", (delivery.id,)).fetchone()
            if row is None or row["state"] != "sending":
                return row["state"] if row else "superseded"
            if in_doubt:
                change.execute("UPDATE delivery SET in_doubt = 1 WHERE id = ?", (delivery.id,))
            return self._again(change, row, reason, retry, final=final)

    def resend(self, key: str) -> int:
        """See `Store.resend`."""
        now = self._clock()
        with self._database.write("results cannot be sent again") as change:
            known_study(change, key)
            result = change.execute("SELECT * FROM result WHERE key = ? AND current", (key,)).fetchone()
            if result is None or result["deleted"]:
                raise NodeConflictError(
                    "results cannot be sent again",
                    expected="a study with a result",
                    got="none" if result is None else "one whose files were deleted",
                    remedy="run the study again" if result is None else "send the study again",
                )
            rows = change.execute(
                "UPDATE delivery SET state = 'waiting', attempts = 0, next_at = :now, paused_at = :now,"
                " accepted = NULL, error = NULL, transaction_uid = NULL"
                " WHERE result_id = :result AND state IN ('waiting', 'sent', 'committed', 'quarantined')"
                " RETURNING sop, destination",
                {"now": now, "result": result["id"]},
            ).fetchall()
            change.executemany(
                "DELETE FROM held WHERE sop = ? AND destination = ?",
                [(self._folder.hidden(row["sop"]), row["destination"]) for row in rows],
            )
            if rows and result["audited"]:
                change.execute("UPDATE result SET audited = 0, resent = resent + 1 WHERE id = ?", (result["id"],))
            return len(rows)

    def recover(self) -> None:
        """See `Store.recover`."""
        now = self._clock()
        with self._database.write("the queue cannot be recovered") as change:
            change.execute(
                "UPDATE delivery SET in_doubt = 1, next_at = :now, paused_at = :now, state ="
                " CASE WHEN (SELECT current FROM result WHERE result.id = result_id)"
                " THEN 'waiting' ELSE 'superseded' END WHERE state = 'sending'",
                {"now": now},
            )
            for row in change.execute("SELECT id FROM result WHERE NOT audited AND NOT current").fetchall():
                audit.note_if_ended(change, row["id"], now)

    def _count_held_as_sent(self, change: sqlite3.Connection, destination: str, now: float) -> None:
        """What the destination accepted of an older result, while this one was made, is not sent to it once more."""
        rows = change.execute(
            "SELECT id, result_id, sop FROM delivery"  # noqa: S608 - constants
            f" WHERE destination = :destination AND state = 'waiting' AND {_DUE}",
            {"destination": destination, "now": now},
        ).fetchall()
        for row in rows:
            held = _held(change, self._folder.hidden(row["sop"]), destination)
            if held is not None:
                change.execute("UPDATE delivery SET state = 'sent', accepted = ? WHERE id = ?", (held, row["id"]))
                audit.note_if_ended(change, row["result_id"], now)

    def _again(
        self, change: sqlite3.Connection, row: sqlite3.Row, reason: str, retry: RetrySettings, *, final: bool
    ) -> DeliveryState:
        """What did not work is tried again later, given up, or dropped because a newer result is there."""
        now = self._clock()
        current = change.execute("SELECT current FROM result WHERE id = ?", (row["result_id"],)).fetchone()[0]
        state: DeliveryState = "waiting"
        if not current:
            state = "superseded"
        elif final or row["attempts"] >= retry.attempts:
            state = "quarantined"
        change.execute(
            "UPDATE delivery SET state = ?, error = ?, next_at = ?, paused_at = ? WHERE id = ?",
            (state, scrubbed(reason), now + self._pause(row, retry), now, row["id"]),
        )
        audit.note_if_ended(change, row["result_id"], now)
        return state

    def _pause(self, row: sqlite3.Row, retry: RetrySettings) -> float:
        """The pause before the next attempt, s."""
        exponent = min(max(row["attempts"] - 1, 0), 64)  # beyond it every pause is the longest
        pause = min(retry.first_seconds * retry.factor**exponent, retry.longest_seconds)
        part = self._folder.hidden(f"{row['id']} {row['attempts']}")[0] / 255
        return float(pause * (1 - _JITTER * part))


def _held(view: sqlite3.Connection, sop: bytes, destination: str) -> float | None:
    """When a destination accepted an object, under whichever result; None if it does not have it."""
    row = view.execute("SELECT accepted FROM held WHERE sop = ? AND destination = ?", (sop, destination)).fetchone()
    return None if row is None else float(row["accepted"])


def _of_transaction(change: sqlite3.Connection, transaction_uid: str, sop_uids: Iterable[str]) -> list[sqlite3.Row]:
    """The sent deliveries of a storage commitment that hold these objects."""
    rows = change.execute(
        "SELECT * FROM delivery WHERE transaction_uid = ? AND state = 'sent' ORDER BY id", (transaction_uid,)
    ).fetchall()
    named = set(sop_uids)
    return [row for row in rows if row["sop"] in named]


def _delivery(view: sqlite3.Connection, row: sqlite3.Row, home: Path) -> Delivery:
    """A delivery from its row."""
    (revision,) = view.execute("SELECT revision FROM result WHERE id = ?", (row["result_id"],)).fetchone()
    made = MadeObject(
        kind=row["kind"], path=row["file"], sop_class=row["sop_class"], sop_uid=row["sop"], sha256=row["sha256"]
    )
    return Delivery(
        id=row["id"],
        key=row["key"],
        result_id=row["result_id"],
        destination=row["destination"],
        object=made,
        path=home / row["key"] / str(revision) / row["file"],
        state=row["state"],
        attempts=row["attempts"],
        in_doubt=bool(row["in_doubt"]),
        next_at=row["next_at"],
        accepted=row["accepted"],
        transaction_uid=row["transaction_uid"],
        error=row["error"],
    )


def rows_of(view: sqlite3.Connection, key: str, home: Path) -> list[Delivery]:
    """All deliveries of a study, oldest first."""
    rows = view.execute("SELECT * FROM delivery WHERE key = ? ORDER BY id", (key,)).fetchall()
    return [_delivery(view, row, home) for row in rows]
