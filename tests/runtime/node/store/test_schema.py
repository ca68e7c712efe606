"""An older database becomes today's, step by step; a later one, or another program's, is left alone."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from brainseg_runtime.errors import NodeFolderError
from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.schema import APPLICATION_ID, STEPS, upgrade

MORE = (*STEPS, "ALTER TABLE study ADD COLUMN note TEXT DEFAULT 'none'; CREATE INDEX by_note ON study (note)")
ADD = "INSERT INTO study (key, uid, state, received, last_received) VALUES ('k', '1.2', 'done', 1, 2)"


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_rows_of_an_older_version_are_kept() -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        upgrade(connection)
        assert version(connection) == len(STEPS)
        connection.execute(ADD)
        upgrade(connection, MORE)
        upgrade(connection, MORE)
        assert version(connection) == len(MORE)
        assert connection.execute("SELECT uid, note FROM study").fetchall() == [("1.2", "none")]


def test_a_step_that_fails_leaves_the_older_version() -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        upgrade(connection)
        connection.execute(ADD)
        with pytest.raises(sqlite3.OperationalError):
            upgrade(connection, (*STEPS, "ALTER TABLE study ADD COLUMN note TEXT; ALTER TABLE nothing ADD COLUMN x"))
        connection.rollback()
        assert version(connection) == len(STEPS)
        assert "note" not in {row[1] for row in connection.execute("PRAGMA table_info(study)")}


def test_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        upgrade(connection, MORE)
    with pytest.raises(NodeFolderError, match=rf"later version.*got {len(MORE)}"):
        Database(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert version(connection) == len(MORE)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(NodeFolderError, match="not a node's"):
        Database(path)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    Database(tmp_path / "node.sqlite3").close()
    assert (tmp_path / "node.sqlite3").read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"bsND"
