"""The page's vocabulary is the runtime's."""

from __future__ import annotations

import json
from pathlib import Path

from tests.web.core.wording_table import table

FILE = Path(__file__).parents[3] / "web/src/studies/wording.json"


def test_the_pages_words_are_the_runtimes() -> None:
    assert json.loads(FILE.read_text()) == table(), f"run: python -m tests.web.core.wording_table > {FILE}"
