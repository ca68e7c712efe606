"""An example in a docstring that gives something else fails.

The examples themselves run in `tests/runtime/test_examples.py`, `tests/train/test_examples.py` and
`tests/export/test_examples.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.architecture.examples import run_examples


@pytest.mark.parametrize(
    ("example", "report"),
    [("1 + 1\n    3", "got:      2"), ("1 / 0\n    0", "ZeroDivisionError")],
    ids=["another value", "an error"],
)
def test_an_example_that_gives_something_else_fails(
    example: str, report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_with_example.py").write_text(f'"""Text.\n\n    >>> {example}\n"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "module_with_example", raising=False)
    with pytest.raises(pytest.fail.Exception, match=report):
        run_examples("module_with_example", tmp_path)
