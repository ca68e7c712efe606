"""A transaction is whole or undone, writers take turns, and a reader's view does not change under it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from brainseg_runtime.errors import NodeFolderError, NodeFullError
from brainseg_runtime.node.store.database import Database

ADD = "INSERT INTO own (sop, sha256) VALUES (?, 'x')"
COUNT = "SELECT COUNT(*) FROM own"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "node.sqlite3")
    yield database
    database.close()


def count(database: Database) -> int:
    with database.read() as view:
        return int(view.execute(COUNT).fetchone()[0])


def test_each_commit_is_flushed_before_it_returns(database: Database) -> None:
    with database.write("no") as change:
        assert change.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert change.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert change.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_transaction_that_fails_is_undone(database: Database) -> None:
    def fail() -> None:
        with database.write("no") as change:
            change.execute(ADD, (b"1",))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert count(database) == 0
    with database.write("no") as change:
        change.execute(ADD, (b"1",))
    assert count(database) == 1


def test_an_error_of_sqlite_leaves_a_database_that_works(database: Database) -> None:
    def add_twice() -> None:
        with database.write("no") as change:
            change.executemany(ADD, [(b"1",), (b"1",)])

    with pytest.raises(sqlite3.IntegrityError):
        add_twice()
    assert count(database) == 0
    with database.write("no") as change:
        change.execute(ADD, (b"1",))


def test_a_reader_keeps_its_view(database: Database) -> None:
    with database.read() as view:
        assert view.execute(COUNT).fetchone()[0] == 0
        with database.write("no") as change:
            change.execute(ADD, (b"1",))
        assert view.execute(COUNT).fetchone()[0] == 0
    assert count(database) == 1


def test_writers_take_turns(database: Database) -> None:
    inside, most = [0], [0]

    def add(number: int) -> None:
        with database.write("no") as change:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            change.execute(ADD, (str(number).encode(),))
            inside[0] -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(200)))
    assert most == [1]
    assert count(database) == 200


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.write("no") as change:
        change.execute(ADD, (b"1",))
        found: list[int] = []
        readers = [threading.Thread(target=lambda: found.append(count(database))) for _ in range(12)]
        for each in readers:
            each.start()
        for each in readers:
            each.join(10)
        assert found == [0] * 12


def test_a_full_database_refuses_and_recovers(database: Database) -> None:
    def fill() -> None:
        with database.write("the image cannot be kept") as change:
            pages = change.execute("PRAGMA page_count").fetchone()[0]
            change.execute(f"PRAGMA max_page_count = {pages}")
            change.executemany(ADD, [(bytes([number]) * 3000,) for number in range(200)])

    with pytest.raises(NodeFullError, match=r"the image cannot be kept.*full"):
        fill()
    assert count(database) == 0
    with database.write("no") as change:
        change.executemany(ADD, [(bytes([number]) * 3000,) for number in range(200)])
    assert count(database) == 200


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite3"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(NodeFolderError, match="damaged"):
        Database(path)
    assert path.read_bytes() == b"this is no database" * 100


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite3"
    database = Database(path)
    with database.write("no") as change:
        change.executemany(ADD, [(str(number).encode() * 50,) for number in range(2000)])
    database.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(NodeFolderError, match="damaged"):
        Database(path)
