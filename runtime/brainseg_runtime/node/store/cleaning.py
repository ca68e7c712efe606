"""Files and rows brought together: what no row names is removed, what a row names and is gone is noted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from brainseg_runtime.node.store.database import Database
from brainseg_runtime.node.store.faults import named
from brainseg_runtime.node.store.folder import NodeFolder, remove

_CANNOT = "the node's folder cannot be cleaned"


def note_lost(folder: NodeFolder, database: Database) -> None:
    """Notes which images and results are gone from the disk or cut short, and removes what no row names.

    For the start, while nothing else uses the folder.

    Raises:
        NodeFullError: The system refused.
    """
    with named(_CANNOT):
        with database.read() as view:
            images = view.execute("SELECT key, sop, file, size FROM image WHERE present").fetchall()
            results = view.execute("SELECT id, key, revision FROM result WHERE NOT deleted").fetchall()
        sizes = {(row["key"], row["file"]): row["size"] for row in images}
        whole = set()
        for file in folder.studies.glob("*/*"):
            name = (file.parent.name, file.name)
            if sizes.get(name) == file.stat().st_size:
                whole.add(name)
            else:
                remove(file)
        lost = [(row["key"], row["sop"]) for row in images if (row["key"], row["file"]) not in whole]
        kept = {(row["key"], str(row["revision"])) for row in results}
        for each in folder.results.glob("*/*"):
            if (each.parent.name, each.name) not in kept:
                remove(each)
        gone = [(row["id"],) for row in results if not (folder.results / row["key"] / str(row["revision"])).is_dir()]
        if lost or gone:
            with database.write(_CANNOT) as change:
                change.executemany("UPDATE image SET present = 0 WHERE key = ? AND sop = ?", lost)
                change.executemany("UPDATE result SET deleted = 1 WHERE id = ?", gone)


def clean(folder: NodeFolder, database: Database, lock: Callable[[str], threading.Lock]) -> None:
    """Removes folders that no row names, of a kill, of a failure or of retention; others may be at work meanwhile.

    The folders are listed before the rows are read: what is made after that is not looked at, and what a worker still
    writes into is named by its claim.

    Args:
        folder: The state folder.
        database: Its database.
        lock: Gives the lock that is held while a study's images change.

    Raises:
        NodeFullError: The system refused.
    """
    with named(_CANNOT):
        for home in folder.studies.iterdir():
            with lock(home.name), database.read() as view:
                row = view.execute("SELECT 1 FROM image WHERE key = ? AND present LIMIT 1", (home.name,)).fetchone()
                if row is None:
                    remove(home)
        found = [each for home in folder.results.iterdir() for each in _within(home)]
        named_by_rows = _results(database)
        for each in found:
            if (each.parent.name, each.name) not in named_by_rows:
                remove(each)


def _within(home: Path) -> list[Path]:
    return list(home.iterdir()) if home.is_dir() else []


def _results(database: Database) -> set[tuple[str, str]]:
    """The folders of results that rows name, those that workers write into, and those that are about to have a row."""
    with database.read() as view:
        names = {(row[0], str(row[1])) for row in view.execute("SELECT key, revision FROM result WHERE NOT deleted")}
        for key, revision, claim in view.execute(
            "SELECT key, revision, claim FROM study WHERE state IN ('receiving', 'waiting', 'segmenting')"
        ):
            names |= {(key, str(revision)), (key, f".{revision}.{claim}")}
    return names
