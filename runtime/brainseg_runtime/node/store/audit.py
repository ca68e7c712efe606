"""The audit: one JSON line for each revision of a study that ended, in a file a month.

A line is made in the transaction that ends the revision, and is then copied from the database to the file. Lines are
numbered; a copy that a kill cut short is cut off, and goes on after the last number that the file holds, so that no
line is lost and none is there twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.faults import named, scrubbed
from brainseg_runtime.node.store.folder import private_file
from brainseg_runtime.safe_io.files import sync_folder

SCHEMA: Final = "brainseg/audit/1"
_LONGEST_LINE: Final = 1 << 22
"""A line of a study with 16 destinations and hundreds of senders has less than 1 MiB."""


def received(view: sqlite3.Connection, key: str) -> dict[str, object]:
    """What came of a study and who sent it, as its lines say it."""
    study = view.execute("SELECT * FROM study WHERE key = ?", (key,)).fetchone()
    senders = view.execute(
        "SELECT way, aet, host, COUNT(*) AS images FROM image WHERE key = ? GROUP BY way, aet, host ORDER BY 1, 2, 3",
        (key,),
    ).fetchall()
    digests = view.execute("SELECT content_sha256 FROM image WHERE key = ? ORDER BY content_sha256", (key,)).fetchall()
    return {
        "received": time_text(study["received"]),
        "last_received": time_text(study["last_received"]),
        "images": study["images"],
        "bytes": study["size"],
        "images_sha256": hashlib.sha256("".join(row[0] for row in digests).encode()).hexdigest(),
        "senders": [dict(row) for row in senders],
    }


def note_if_ended(change: sqlite3.Connection, result_id: int, now: float) -> None:
    """Makes the line of a result, once, when nothing of it is on its way any more."""
    result = change.execute("SELECT * FROM result WHERE id = ? AND NOT audited", (result_id,)).fetchone()
    if result is None:
        return
    rows = change.execute("SELECT * FROM delivery WHERE result_id = ? ORDER BY id", (result_id,)).fetchall()
    if any(_on_its_way(row) for row in rows):
        return
    made = json.loads(result["made"])
    change.execute("UPDATE result SET audited = 1 WHERE id = ?", (result_id,))
    line = {
        "event": "resent" if result["resent"] else "done",
        "revision": result["revision"],
        "current": bool(result["current"]),
        **json.loads(result["received"]),
        "made": time_text(result["created"]),
        "input_sha256": made["input_sha256"],
        "provenance": made["provenance"],
        "warnings": made["warnings"],
        "objects": [{"kind": each["kind"], "sha256": each["sha256"]} for each in made["objects"]],
        "sent": [_sent(row) for row in rows],
    }
    _note(change, result["key"], now, line)


def note_quarantined(change: sqlite3.Connection, key: str, now: float) -> None:
    """Makes the line of a study that was given up."""
    row = change.execute("SELECT revision, error FROM study WHERE key = ?", (key,)).fetchone()
    line = {"event": "quarantined", "revision": row["revision"], **received(change, key)}
    _note(change, key, now, {**line, "error": json.loads(row["error"] or "null")})


def time_text(seconds: float) -> str:
    """A time in UTC, to the millisecond.

    >>> time_text(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    return _utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Audit:
    """Copies lines from the database to the files.

    Args:
        home: The folder of the files.
        database: Where the lines are made.
    """

    def __init__(self, home: Path, database: Database) -> None:
        self._home = home
        self._database = database
        self._turn = threading.Lock()

    def write(self) -> int:
        """Copies what is not yet in the files.

        Returns:
            Number of lines that were waiting.

        Raises:
            NodeFullError: The disk is full or read-only; the lines stay in the database.
        """
        with self._turn, named("the audit cannot be written"):
            with self._database.read() as view:
                rows = view.execute("SELECT id, month, line FROM audit ORDER BY id").fetchall()
            months: dict[str, list[sqlite3.Row]] = {}
            for row in rows:
                months.setdefault(row["month"], []).append(row)
            for month, lines in months.items():
                _append(self._home / f"{month}.jsonl", lines)
            if rows:
                with self._database.write("the audit cannot be written") as change:
                    change.execute("DELETE FROM audit WHERE id <= ?", (rows[-1]["id"],))
        return len(rows)


def _on_its_way(row: sqlite3.Row) -> bool:
    asked = row["state"] == "sent" and row["transaction_uid"] is not None
    return asked or row["state"] in {"waiting", "sending"}


def _sent(row: sqlite3.Row) -> dict[str, object]:
    return {
        "destination": row["destination"],
        "kind": row["kind"],
        "state": row["state"],
        "attempts": row["attempts"],
        "accepted": None if row["accepted"] is None else time_text(row["accepted"]),
        "error": row["error"],
    }


def _note(change: sqlite3.Connection, key: str, now: float, fields: dict[str, object]) -> None:
    """Writes a line into the database, under the next number."""
    number = change.execute(
        "INSERT INTO audit (month, line) VALUES (?, '') RETURNING id", (f"{_utc(now):%Y-%m}",)
    ).fetchone()[0]
    line = {"schema": SCHEMA, "id": number, "ended": time_text(now), "study": key, **fields}
    text = json.dumps(_without_uids(line), allow_nan=False)
    change.execute("UPDATE audit SET line = ? WHERE id = ?", (text, number))


def _without_uids(value: object) -> object:
    """A line's texts scrubbed, whatever the isolated process put into them."""
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, dict):
        return {str(key): _without_uids(item) for key, item in value.items()}
    return [_without_uids(item) for item in value] if isinstance(value, list | tuple) else value


def _append(path: Path, rows: list[sqlite3.Row]) -> None:
    """Appends the lines that the file does not hold yet, and flushes them."""
    new = not path.exists()
    with contextlib.closing(private_file(path, os.O_RDWR)) as file:
        last = _last_number(file)
        text = "".join(f"{row['line']}\n" for row in rows if row["id"] > last).encode()
        while text:
            text = text[file.write(text) :]
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def _last_number(file: IO[bytes]) -> int:
    """The number of the file's last whole line, 0 if it has none; half a line is cut off. The file's end is next."""
    size = os.fstat(file.fileno()).st_size
    start = max(0, size - 2 * _LONGEST_LINE)
    file.seek(start)
    tail = file.read(size - start)
    whole = tail[: tail.rfind(b"\n") + 1]
    file.truncate(start + len(whole))
    file.seek(0, os.SEEK_END)
    for line in reversed(whole.splitlines()):
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that somebody else wrote
            return int(json.loads(line)["id"])
    return 0


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
