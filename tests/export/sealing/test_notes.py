"""Notes stand in the card as they were written; what is no text, or names a path, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainseg_export.errors import ExportError
from brainseg_export.sealing.notes import read_notes


def test_the_text_is_returned_without_white_space_around_it(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("\n## What to expect\n\nDice 0.84 ± 0.01.\n\n", encoding="utf-8")
    assert read_notes(tmp_path / "notes.md") == "## What to expect\n\nDice 0.84 ± 0.01."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"Dice \xff", "is not text"),
        (b"see /home/ann/table.txt", "path of this machine"),
        (b"a" * (65 << 10), "too large"),
    ],
)
def test_others_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "notes.md").write_bytes(content)
    with pytest.raises(ExportError, match=told):
        read_notes(tmp_path / "notes.md")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError):
        read_notes(tmp_path / "none.md")
