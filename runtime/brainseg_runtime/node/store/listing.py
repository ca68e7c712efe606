"""What is shown of the store: studies, and what it holds now."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import Final, get_args

from brainseg_runtime.errors import UnknownStudyError
from brainseg_runtime.node.records import Counts, DeliveryState, StudyRow, StudyState
from brainseg_runtime.node.store.folder import NodeFolder

MOST_STUDIES: Final = 1000
"""Most studies listed at a time."""


def known_study(view: sqlite3.Connection, key: str) -> sqlite3.Row:
    """The row of a study.

    Raises:
        UnknownStudyError: There is none.
    """
    row: sqlite3.Row | None = view.execute("SELECT * FROM study WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise UnknownStudyError("no study has this key", expected="a key that /studies lists", got="another")
    return row


def study_of(row: sqlite3.Row) -> StudyRow:
    """A study from its row."""
    return StudyRow(
        key=row["key"],
        uid=row["uid"],
        state=row["state"],
        revision=row["revision"],
        images=row["images"],
        size=row["size"],
        received=row["received"],
        last_received=row["last_received"],
        associations=row["associations"],
        crashes=row["crashes"],
        error=None if row["error"] is None else json.loads(row["error"]),
        finished=row["finished"],
        inputs_deleted=bool(row["inputs_deleted"]),
    )


def studies(view: sqlite3.Connection, limit: int, after: str | None) -> list[StudyRow]:
    """A page of the studies, the one that was received last first.

    Args:
        view: The database.
        limit: Most studies, up to 1000.
        after: The key of the last study on the page before; None for the first page.

    Raises:
        UnknownStudyError: No study has the key `after`.
    """
    limit = max(0, min(limit, MOST_STUDIES))
    if after is None:
        rows = view.execute("SELECT * FROM study ORDER BY received DESC, key DESC LIMIT ?", (limit,))
    else:
        last = known_study(view, after)
        rows = view.execute(
            "SELECT * FROM study WHERE (received, key) < (?, ?) ORDER BY received DESC, key DESC LIMIT ?",
            (last["received"], last["key"], limit),
        )
    return [study_of(row) for row in rows]


def counts(view: sqlite3.Connection, folder: NodeFolder) -> Counts:
    """What the node holds now."""
    by_state: dict[StudyState, int] = dict.fromkeys(get_args(StudyState), 0)
    by_state |= {row[0]: row[1] for row in view.execute("SELECT state, COUNT(*) FROM study GROUP BY state")}
    sent: dict[str, dict[DeliveryState, int]] = {}
    for destination, state, number in view.execute(
        "SELECT destination, state, COUNT(*) FROM delivery GROUP BY destination, state ORDER BY destination"
    ):
        sent.setdefault(destination, dict.fromkeys(get_args(DeliveryState), 0))[state] = number
    images, size = view.execute(
        "SELECT COALESCE(SUM(images), 0), COALESCE(SUM(size), 0) FROM study WHERE NOT inputs_deleted"
    ).fetchone()
    return Counts(
        studies=by_state,
        deliveries=sent,
        images=images,
        image_bytes=size,
        oldest_waiting=view.execute("SELECT MIN(turn) FROM study WHERE state = 'waiting'").fetchone()[0],
        oldest_delivery=view.execute(
            "SELECT MIN(created) FROM result WHERE id IN"
            " (SELECT result_id FROM delivery WHERE state IN ('waiting', 'sending'))"
        ).fetchone()[0],
        free_bytes=shutil.disk_usage(folder.path).free,
    )
