"""What `brainseg predict --resume` takes over from an earlier run: only what is done and proved unchanged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, InputError
from brainseg_runtime.files import read_capped
from brainseg_runtime.inputs import Item
from brainseg_runtime.predictions import (
    DECISIVE,
    FILE,
    MAX_BYTES,
    OUTPUTS,
    SCHEMA,
    Origin,
    OutputFile,
    SliceEntry,
    sha256,
)


def read_previous(out: Path, origin: Origin) -> dict[str, SliceEntry]:
    """The finished slices that an earlier run in the same folder left, by name.

    Args:
        out: Where that run wrote.
        origin: What runs now; a run of another origin counts as none.

    Returns:
        Entries whose files are still to be checked, see `still_holds`; empty where there was no run.

    Raises:
        InputError: The file is there and is not what `save` writes.
    """
    path = out / FILE
    if not path.exists():
        return {}
    try:
        found = json.loads(read_capped(path, MAX_BYTES))
        if found["schema"] != SCHEMA:
            return {}
        before = Origin(
            digest=found["bundle"]["digest"],
            provider=found["provider"],
            variant=found["variant"],
            versions={name: _text(found["versions"][name]) for name in DECISIVE},
        )
        entries = [_entry(one) for one in found["slices"] if one["status"] == "done"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be resumed from",
            expected="what an earlier run wrote",
            got=repr(error),
            remedy="run without --resume",
        ) from error
    return {entry.name: entry for entry in entries} if before == origin else {}


def taken_over(before: SliceEntry | None, item: Item) -> SliceEntry:
    """The entry that a slice has until its turn comes: an earlier run's, at its place in this one, or a pending one.

    Args:
        before: What the earlier run left, or None.
        item: The slice as it is asked for now.
    """
    entry = SliceEntry.pending(item)
    return entry if before is None else replace(before, input=entry.input, patient=entry.patient, number=entry.number)


def still_holds(entry: SliceEntry, input_sha256: str, out: Path, wanted: Sequence[str]) -> bool:
    """Whether an earlier run's slice can be kept: same input bytes, every wanted file there with the bytes it had.

    Args:
        entry: What the earlier run left.
        input_sha256: Of the input as it is now.
        out: Where the files are.
        wanted: Which of "mask", "probability", "overlay" this run is to make.
    """
    files = [getattr(entry, kind) for kind in wanted]
    if entry.input_sha256 != input_sha256 or None in files:
        return False
    try:
        return all(sha256(read_capped(out / file.file, MAX_BYTES)) == file.sha256 for file in files)
    except BrainsegError:
        return False  # gone or unreadable: it is made again


def _entry(found: Mapping[str, Any]) -> SliceEntry:
    """A finished slice as read back; `input`, `patient` and `number` are set anew by the run that takes it over."""
    files = {kind: None if found[kind] is None else _file(found[kind]) for kind in OUTPUTS}
    return SliceEntry(
        name=_text(found["name"]),
        input="",
        patient=None,
        number=None,
        status="done",
        input_sha256=_text(found["input_sha256"]),
        height=_count(found["height"]),
        width=_count(found["width"]),
        area_px=_count(found["area_px"]),
        mask=files["mask"],
        probability=files["probability"],
        overlay=files["overlay"],
        warnings=tuple(_text(line) for line in found["warnings"]),
    )


def _file(found: Mapping[str, Any]) -> OutputFile:
    """A file's record, whose name must not lead out of the folder."""
    name = _text(found["file"])
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no plain file name")
    return OutputFile(file=name, sha256=_text(found["sha256"]))


def _text(value: object) -> str:
    """The value, if it is text."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _count(value: object) -> int:
    """The value, if it counts pixels."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= DEFAULT_LIMITS.max_side**2:
        raise TypeError(f"expected a number of pixels, got {value!r}")
    return value
