"""Results: the folder that the isolated process made is taken whole, and its row."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import NodeError
from brainseg_runtime.node.records import MadeObject, MadeResult, ResultRow, Work
from brainseg_runtime.node.store import audit
from brainseg_runtime.node.store.faults import named
from brainseg_runtime.node.store.folder import make_private, remove
from brainseg_runtime.safe_io.files import read_capped, sync_folder, sync_tree
from brainseg_runtime.safe_io.typed_json import from_json, to_json

_LARGEST: Final = 1 << 30
"""Most bytes of one object that is read to be checked, 1 GiB; a segmentation of 1000 slices has 50 MiB."""


def take(work: Work, made: MadeResult, home: Path) -> MadeResult:
    """Moves a result into the store, flushed and closed to other users.

    Args:
        work: What it was made of.
        made: The result; its folder lies in `work.out`.
        home: The folder of all results.

    Returns:
        The result, with the folder where it is now.

    Raises:
        NodeError: A file is missing, is not the one that the result names, or lies elsewhere.
        NodeFullError: The system refused.
    """
    target = home / work.key / str(work.revision)
    with named("a result cannot be kept"):
        inside = Path(os.path.realpath(made.folder)).is_relative_to(os.path.realpath(work.out))
        if not inside or not made.folder.is_dir():
            raise NodeError("a result cannot be kept", expected="a folder in the working folder", got="something else")
        make_private(made.folder)
        for each in made.objects:
            _check(made.folder, each)
        if made.preview is not None and not _within(made.folder, made.preview).is_file():
            raise NodeError("a result cannot be kept", expected="its preview", got="no such file")
        sync_tree(made.folder)
        remove(target)  # of a kill between the folder and its row; one that has a row is of another revision
        made.folder.replace(target)
        sync_folder(target.parent)
    return dataclasses.replace(made, folder=target)


def record(change: sqlite3.Connection, work: Work, made: MadeResult, now: float) -> int:
    """Writes a result's row; older ones are current no more.

    Returns:
        Its number.
    """
    text = json.dumps(to_json(dataclasses.replace(made, folder=Path(str(work.revision)))), allow_nan=False)
    change.execute("UPDATE result SET current = 0 WHERE key = ?", (work.key,))
    added = change.execute(
        "INSERT INTO result (key, revision, made, received, created) VALUES (?, ?, ?, ?, ?)",
        (work.key, work.revision, text, json.dumps(audit.received(change, work.key)), now),
    )
    return int(added.lastrowid or 0)


def row_of(row: sqlite3.Row, home: Path) -> ResultRow:
    """A result from its row.

    Args:
        row: Of the table `result`.
        home: The folder of all results.
    """
    made = from_json(MadeResult, json.loads(row["made"]), "a result", error=NodeError)
    return ResultRow(
        id=row["id"],
        key=row["key"],
        revision=row["revision"],
        made=dataclasses.replace(made, folder=home / row["key"] / str(row["revision"])),
        created=row["created"],
        current=bool(row["current"]),
        deleted=bool(row["deleted"]),
    )


def _check(folder: Path, made: MadeObject) -> None:
    data = read_capped(_within(folder, made.path), _LARGEST, error=NodeError)
    if hashlib.sha256(data).hexdigest() != made.sha256:
        raise NodeError("a result cannot be kept", expected="the objects that it names", got=f"another {made.kind}")


def _within(folder: Path, name: str) -> Path:
    """A file of a result's folder, by its relative name."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise NodeError("a result cannot be kept", expected="names within its folder", got="another")
    return folder / path
