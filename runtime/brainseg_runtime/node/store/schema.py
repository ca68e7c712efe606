"""The database's tables, and the steps by which an older database becomes today's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from brainseg_runtime.errors import NodeFolderError

APPLICATION_ID: Final = 0x62734E44
"""Marks the file as a node's database: "bsND"."""

STEPS: Final[Sequence[str]] = (
    """
    CREATE TABLE study (
        key TEXT PRIMARY KEY,
        uid TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('receiving', 'waiting', 'segmenting', 'done', 'quarantined')),
        revision INTEGER NOT NULL DEFAULT 1,
        images INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0,
        received REAL NOT NULL,
        last_received REAL NOT NULL,
        associations INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        finished REAL,
        inputs_deleted INTEGER NOT NULL DEFAULT 0,
        turn REAL,
        claim TEXT
    );
    CREATE INDEX study_by_state ON study (state, turn);
    CREATE INDEX study_by_time ON study (received, key);

    CREATE TABLE image (
        key TEXT NOT NULL REFERENCES study (key) ON DELETE CASCADE,
        sop TEXT NOT NULL,
        file TEXT NOT NULL,
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        content_sha256 TEXT NOT NULL,
        aet TEXT NOT NULL,
        host TEXT NOT NULL,
        way TEXT NOT NULL,
        received REAL NOT NULL,
        revision INTEGER NOT NULL,
        present INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (key, sop)
    ) WITHOUT ROWID;

    CREATE TABLE result (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL REFERENCES study (key) ON DELETE CASCADE,
        revision INTEGER NOT NULL,
        made TEXT NOT NULL,
        received TEXT NOT NULL,
        created REAL NOT NULL,
        current INTEGER NOT NULL DEFAULT 1,
        deleted INTEGER NOT NULL DEFAULT 0,
        audited INTEGER NOT NULL DEFAULT 0,
        resent INTEGER NOT NULL DEFAULT 0,
        UNIQUE (key, revision)
    );

    CREATE TABLE delivery (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        result_id INTEGER NOT NULL REFERENCES result (id) ON DELETE CASCADE,
        destination TEXT NOT NULL,
        kind TEXT NOT NULL,
        file TEXT NOT NULL,
        sop_class TEXT NOT NULL,
        sop TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('waiting', 'sending', 'sent', 'committed', 'quarantined', 'superseded')),
        attempts INTEGER NOT NULL DEFAULT 0,
        in_doubt INTEGER NOT NULL DEFAULT 0,
        next_at REAL NOT NULL,
        accepted REAL,
        transaction_uid TEXT,
        error TEXT,
        UNIQUE (result_id, destination, sop)
    );
    CREATE INDEX delivery_due ON delivery (destination, state, next_at);
    CREATE INDEX delivery_of_study ON delivery (key);
    CREATE INDEX delivery_of_transaction ON delivery (transaction_uid) WHERE transaction_uid IS NOT NULL;

    -- What outlives retention: keyed hashes of the objects made here, and who has them.
    CREATE TABLE own (sop BLOB PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE held (
        sop BLOB NOT NULL,
        destination TEXT NOT NULL,
        accepted REAL NOT NULL,
        PRIMARY KEY (sop, destination)
    ) WITHOUT ROWID;

    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        month TEXT NOT NULL,
        line TEXT NOT NULL
    );
    """,
    """
    -- How often the node itself was killed while the study was segmented, in this revision.
    ALTER TABLE study ADD COLUMN interrupts INTEGER NOT NULL DEFAULT 0;
    -- When next_at was set: a clock that shows an earlier time has been set back.
    ALTER TABLE delivery ADD COLUMN paused_at REAL NOT NULL DEFAULT 0;
    """,
    """
    -- Studies whose fetch has begun and not ended: they are not complete, however quiet they are.
    CREATE TABLE fetching (key TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
)
"""Each step's script; a database of version n has had the first n. A step is never changed once released."""


def upgrade(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Brings a database to today's tables, each step in a transaction of its own.

    Raises:
        NodeFolderError: It is some other program's, or of a later version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    if version and kind != APPLICATION_ID:
        raise NodeFolderError("the database is not a node's", expected=hex(APPLICATION_ID), got=hex(kind))
    if version > len(steps):
        raise NodeFolderError(
            "the database is of a later version",
            expected=f"at most {len(steps)}",
            got=version,
            remedy="start the version of brainseg that wrote it, or a later one",
        )
    for number, step in enumerate(steps[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {step}; PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT;"
        )
