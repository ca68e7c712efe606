"""Notes for a model card: what whoever exports knows of a network and this export does not measure.

Such as the figures of a cross-validation, or scanners on which it was seen to fail. The card shows them as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from brainseg_export.errors import ExportError
from brainseg_export.machine_paths import machine_paths
from brainseg_runtime.safe_io.files import read_capped

_MAX_BYTES: Final = 64 << 10
"""A page of text takes some 5 KiB."""


def read_notes(path: Path) -> str:
    """The text of a Markdown file, without white space around it.

    Raises:
        ExportError: The file is missing, too large, not UTF-8 or empty, or names a path of this machine.
    """
    try:
        text = read_capped(path, _MAX_BYTES, error=ExportError).decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ExportError(f"{path} is not text", expected="Markdown in UTF-8", got=f"byte {error.start}") from None
    if not text:
        raise ExportError(f"{path} is empty", expected="Markdown for the card", got="nothing")
    if found := machine_paths(text):
        raise ExportError(f"{path} holds a path of this machine", expected="text for readers", got=found[0])
    return text
