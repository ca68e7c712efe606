"""Runs the examples in docstrings: each module's, in an empty folder beside the shipped models.

Each package's tests hold a `test_examples.py`, so that the runtime's examples run where there is no torch.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from brainseg_runtime.errors import MissingExtraError
from tests.architecture.sources import ROOT, of_package

PROMPT = ">>> "


def modules_with_examples(package: str) -> list[str]:
    """The package's modules whose docstrings hold examples, by full name; none is imported yet."""
    return [source.module for source in of_package(package) if PROMPT in source.text]


def run_examples(module: str, folder: Path) -> None:
    """Runs a module's examples with `folder` as the working directory; `models/` there leads to the shipped bundles.

    Skips where an example needs an extra that is not installed; fails with doctest's own report otherwise.
    """
    (folder / "models").symlink_to(ROOT / "models", target_is_directory=True)
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    tests = [test for test in doctest.DocTestFinder().find(importlib.import_module(module)) if test.examples]
    assert tests, f"{module} holds '{PROMPT}' where no docstring is"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for test in tests:
            _run(runner, test)


def _run(runner: doctest.DebugRunner, test: doctest.DocTest) -> None:
    try:
        runner.run(test)
    except doctest.DocTestFailure as failure:
        pytest.fail(
            f"{test.name}, line {_line(test, failure.example)}: {failure.example.source.strip()}\n"
            f"expected: {failure.example.want.strip()}\ngot:      {failure.got.strip()}",
            pytrace=False,
        )
    except doctest.UnexpectedException as failure:
        error = failure.exc_info[1]
        if isinstance(error, (MissingExtraError, ModuleNotFoundError)):
            pytest.skip(f"an example of {test.name} needs an extra: {error}")
        pytest.fail(
            f"{test.name}, line {_line(test, failure.example)}: {failure.example.source.strip()}\n"
            f"raised {type(error).__name__}: {error}",
            pytrace=False,
        )


def _line(test: doctest.DocTest, example: doctest.Example) -> int:
    return (test.lineno or 0) + example.lineno + 1
