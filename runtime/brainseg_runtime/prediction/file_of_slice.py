"""The part of `predictions.json` that tells which file belongs to which slice, read without trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from brainseg_runtime.errors import DataError
from brainseg_runtime.prediction.record import FILE, MAX_BYTES
from brainseg_runtime.safe_io.files import read_capped

_SCHEMA = "brainseg/predictions/"  # of any version: names and files have kept their places


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedSlice:
    """What a run of `brainseg predict` left of one slice.

    Attributes:
        patient: The patient's folder name; empty for a file that came without one.
        name: The slice's name.
        status: "done", "failed" or "pending".
        mask: The mask's file, or None.
        probability: The probability map's file, or None.
    """

    patient: str
    name: str
    status: str
    mask: Path | None
    probability: Path | None


def read_record(folder: Path) -> tuple[RecordedSlice, ...]:
    """The slices in a folder's `predictions.json`; none where it has none, or one of another program.

    Raises:
        DataError: It cannot be read, or names a file outside the folder.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        found = json.loads(read_capped(path.resolve(), MAX_BYTES, error=DataError))
        if not isinstance(found, dict) or not str(found.get("schema", "")).startswith(_SCHEMA):
            return ()
        return tuple(_slice(one, folder) for one in found["slices"])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read",
            expected="what brainseg predict wrote",
            got=repr(error)[:200],
            remedy="move it away to have the masks found by their names",
        ) from error


def _slice(found: Any, folder: Path) -> RecordedSlice:  # noqa: ANN401 - from JSON, any type until looked at
    """One slice of the record."""
    return RecordedSlice(
        patient=_text(found["patient"] or ""),
        name=_text(found["name"]),
        status=_text(found["status"]),
        mask=_file(found["mask"], folder),
        probability=_file(found["probability"], folder),
    )


def _file(found: Any, folder: Path) -> Path | None:  # noqa: ANN401 - from JSON, any type until looked at
    """A file that the record names, inside its folder."""
    if found is None:
        return None
    name = PurePosixPath(_text(found["file"]))
    if name.is_absolute() or ".." in name.parts or "\\" in str(name) or not name.parts:
        raise ValueError(f"{name} is not inside the folder")
    return folder / name


def _text(value: object) -> str:
    """The value, if it is text."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value
