"""What is deleted, and when: images, results, and in the end every trace of a study but its line in the audit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from brainseg_runtime.node.config import RetentionSettings
from brainseg_runtime.node.records import Expired
from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.faults import named
from brainseg_runtime.node.store.folder import NodeFolder, remove

_HOUR: Final = 3600.0

_INPUTS: Final = """
    SELECT key FROM study WHERE NOT inputs_deleted AND MAX(finished, last_received) <= CASE state
        WHEN 'done' THEN :now - :inputs WHEN 'quarantined' THEN :now - :quarantine END
"""
_RESULTS: Final = """
    SELECT result.id, result.key, result.revision FROM result JOIN study USING (key)
    WHERE NOT deleted AND audited AND finished <= CASE state
        WHEN 'done' THEN :now - :results WHEN 'quarantined' THEN :now - MAX(:results, :quarantine) END
    AND NOT EXISTS (
        SELECT 1 FROM delivery WHERE result_id = result.id AND (
            state IN ('waiting', 'sending')
            OR (state = 'sent' AND transaction_uid IS NOT NULL)
            OR (state = 'quarantined' AND finished > :now - MAX(:results, :quarantine))))
"""
_STUDIES: Final = """
    SELECT key FROM study WHERE state IN ('done', 'quarantined') AND inputs_deleted
    AND MAX(finished, last_received) <= :now - MAX(:inputs, :results, :quarantine)
    AND NOT EXISTS (SELECT 1 FROM result WHERE result.key = study.key AND NOT deleted)
"""


def expire(
    folder: NodeFolder,
    database: Database,
    retention: RetentionSettings,
    now: float,
    lock: Callable[[str], threading.Lock],
) -> Expired:
    """Deletes what has been kept for long enough.

    Rows say that files are deleted before they are, so that a kill in between leaves files that no row names;
    `cleaning` removes those.

    Args:
        folder: The state folder.
        database: Its database.
        retention: How long what is held is kept.
        now: s since 1970.
        lock: Gives the lock that is held while a study's files change.

    Raises:
        NodeFullError: The system refused; what is left is tried again the next time.
    """
    values = {
        "now": now,
        "inputs": retention.inputs_hours * _HOUR,
        "results": retention.results_hours * _HOUR,
        "quarantine": retention.quarantine_hours * _HOUR,
    }
    with database.read() as view:
        inputs = view.execute(_INPUTS, values).fetchall()
        results = view.execute(_RESULTS, values).fetchall()
    removed = sum(_inputs(folder, database, row["key"], values, lock(row["key"])) for row in inputs)
    deleted = sum(_result(folder, database, row, values) for row in results)
    with database.read() as view:
        studies = view.execute(_STUDIES, values).fetchall()
    forgotten = sum(_study(folder, database, row["key"], values, lock(row["key"])) for row in studies)
    if forgotten:
        database.forget_log()
    return Expired(inputs=removed, results=deleted, studies=forgotten)


def _inputs(folder: NodeFolder, database: Database, key: str, values: dict[str, float], lock: threading.Lock) -> bool:
    """Removes a study's images, unless it was opened again meanwhile."""
    with lock, named("images cannot be deleted"):
        with database.write("images cannot be deleted") as change:
            if not change.execute(
                f"UPDATE study SET inputs_deleted = 1 WHERE key = :key AND key IN ({_INPUTS})",  # noqa: S608 - constants
                {**values, "key": key},
            ).rowcount:
                return False
            change.execute("UPDATE image SET present = 0 WHERE key = ?", (key,))
        remove(folder.studies / key)
    return True


def _result(folder: NodeFolder, database: Database, row: sqlite3.Row, values: dict[str, float]) -> bool:
    """Removes a result's files, unless it is sent again meanwhile."""
    with named("a result cannot be deleted"):
        with database.write("a result cannot be deleted") as change:
            if not change.execute(
                f"UPDATE result SET deleted = 1 WHERE id = :id AND id IN (SELECT id FROM ({_RESULTS}))",  # noqa: S608 - constants
                {**values, "id": row["id"]},
            ).rowcount:
                return False
        remove(folder.results / row["key"] / str(row["revision"]))
    return True


def _study(folder: NodeFolder, database: Database, key: str, values: dict[str, float], lock: threading.Lock) -> bool:
    """Forgets a study of which nothing is left."""
    with lock, named("a study cannot be forgotten"):
        with database.write("a study cannot be forgotten") as change:
            if not change.execute(
                f"DELETE FROM study WHERE key = :key AND key IN ({_STUDIES})",  # noqa: S608 - constants
                {**values, "key": key},
            ).rowcount:
                return False
        remove(folder.studies / key)
        remove(folder.results / key)
    return True
