"""Writes `docs/schemas/`: `python -m tests.schemas.make`, to be run whenever what a command writes has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.schemas.documents import DOCUMENTS, document

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def text_of(name: str) -> str:
    """A schema's file as it is to be."""
    return json.dumps(document(name), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes every schema."""
    FOLDER.mkdir(exist_ok=True)
    for name in DOCUMENTS:
        (FOLDER / f"{name}.schema.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
