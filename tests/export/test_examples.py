"""The examples in brainseg_export's docstrings run and give what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.examples import modules_with_examples, run_examples


@pytest.mark.parametrize("module", modules_with_examples("brainseg_export"))
def test_examples_give_what_they_say(module: str, tmp_path: Path) -> None:
    run_examples(module, tmp_path)
