"""Public functions have an example in their docstring, and an example that gives something else fails.

The examples themselves run in `tests/runtime/test_examples.py`, `tests/train/test_examples.py` and
`tests/export/test_examples.py`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from pathlib import Path

import pytest

from tests.architecture.examples import PROMPT, run_examples
from tests.architecture.sources import Source, sources

PUBLIC = ("brainseg_runtime", "brainseg_runtime.metrics", "brainseg_runtime.images", "brainseg_train.models")
"""Whose `__all__` the documents promise to callers."""


def public_callables() -> dict[str, object]:
    """What callers of those call: functions, and classes that do work, not those that are an error or hold values."""
    homes = [importlib.import_module(name) for name in PUBLIC]
    offered = {f"{home.__name__}.{name}": getattr(home, name) for home in homes for name in home.__all__}
    return {name: value for name, value in offered.items() if _does_work(value)}


def _does_work(value: object) -> bool:
    if inspect.isclass(value):
        return not issubclass(value, (Exception, tuple)) and not dataclasses.is_dataclass(value)
    return callable(value)


def test_public_functions_have_an_example() -> None:
    missing = [name for name, value in public_callables().items() if PROMPT not in (value.__doc__ or "")]
    assert not missing


@pytest.mark.parametrize("source", sources(), ids=str)
def test_no_example_is_skipped(source: Source) -> None:
    assert "+SKIP" not in source.text


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
