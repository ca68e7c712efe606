"""SQLite in WAL mode: a transaction is on the disk when it returns, and there is one writer at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import NodeFolderError
from brainseg_runtime.node.store.faults import named
from brainseg_runtime.node.store.folder import private_file
from brainseg_runtime.node.store.schema import upgrade

_PRAGMAS: Final = (
    "PRAGMA synchronous = FULL",  # each commit is flushed: what was acknowledged survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what retention removes is overwritten
    "PRAGMA trusted_schema = OFF",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA cache_size = -256",  # KiB a connection; the default of 2 MB is filled only as the database grows, for weeks
)
_IDLE: Final = 4
"""Most connections kept open while nobody reads."""


class Database:
    """The node's database.

    A connection is used by one thread at a time: writers take turns on one, readers borrow others, each with its own
    view of the last commit.

    Args:
        path: The file; it is made if it does not exist, mode 0600, and SQLite gives its other files the same mode.

    Raises:
        NodeFolderError: The file is damaged, another program's, or of a later version.
        NodeFullError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        with named("the database cannot be opened"):
            private_file(path, os.O_RDWR).close()
            with contextlib.closing(self._connect()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                upgrade(connection)
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise NodeFolderError("the database is damaged", got=found, remedy="restore the folder from a backup")

    def close(self) -> None:
        """Closes every connection; whoever still writes is waited for."""
        with self._turn:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    @contextlib.contextmanager
    def write(self, what: str) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; committed and flushed at the end, undone if anything is raised.

        Args:
            what: What cannot be done if it fails, as a clause.

        Raises:
            NodeFullError: The disk is full, read-only or failing; nothing was changed.
            NodeFolderError: The database is damaged or closed.
        """
        with self._turn, named(what):
            if self._closed:
                raise NodeFolderError(what, expected="an open store", got="a closed one")
            connection = self._writer or self._connect()
            self._writer = None  # put back below if it is still good
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                self._undone(connection, keep=not isinstance(error, sqlite3.Error))
                raise
            self._writer = connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A view of the last commit, the same until the end.

        Raises:
            NodeFolderError: The database is damaged or closed.
        """
        with named("the database cannot be read"):
            try:
                connection = self._idle.pop()
            except IndexError:
                if self._closed:
                    raise NodeFolderError("the database is closed") from None
                connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._give_back(connection)

    def forget_log(self) -> None:
        """Empties the write-ahead log, which else holds what was deleted until it is overwritten.

        Readers that are at work keep their part of it; the next call empties it.

        Raises:
            NodeFullError: The system refused.
            NodeFolderError: The database is damaged or closed.
        """
        with self.write("the database's log cannot be emptied") as change:
            change.execute("COMMIT")
            change.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            change.execute("BEGIN IMMEDIATE")

    def _undone(self, connection: sqlite3.Connection, *, keep: bool) -> None:
        """Rolls back; a connection that failed is not used again."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            keep = False
        if keep:
            self._writer = connection
        else:
            connection.close()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self._closed or len(self._idle) >= _IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.row_factory = sqlite3.Row
        for each in _PRAGMAS:
            connection.execute(each)
        return connection
