"""Where the files of a slice go in OUT: all side by side, or a folder for each patient."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.images.names import folder_name
from brainseg_runtime.images.writers import WRITERS

Layout: TypeAlias = Literal["flat", "by-patient"]

OUTPUTS: Final = tuple(WRITERS)
"""The kinds of file that a slice may get."""


def place(name: str, patient: Path | str | None, layout: Layout) -> str:
    """A slice's place: the common part of its files' names, from OUT on, with / on every system.

    Args:
        name: The input's file name without suffix.
        patient: The patient's folder, or None.
        layout: ``flat``, or ``by-patient``: a slice without a patient lies in OUT itself.

    >>> place("p_1", "data/p", "by-patient"), place("p_1", "data/p", "flat")
    ('p/p_1', 'p_1')
    """
    folder = "" if layout == "flat" or patient is None else folder_name(Path(patient))
    return path_text(f"{folder}/{name}" if folder else name)


def file_name(place: str, kind: str) -> str:
    """The name, from OUT on, of a slice's file of a kind that `OUTPUTS` lists.

    >>> file_name("p/p_1", "overlay")
    'p/p_1_overlay.png'
    """
    return f"{place}_{kind}{WRITERS[kind].suffix}"


def path_text(path: Path | str) -> str:
    """A path as text that JSON can hold: bytes that are not UTF-8 become escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
