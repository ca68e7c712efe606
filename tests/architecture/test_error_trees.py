"""The tree of errors that each package's `errors` draws in its docstring is the tree of its classes."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.architecture.sources import FOLDERS

_BRANCH = re.compile(r"^(?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+Error)(?: |$)", re.MULTILINE)


@pytest.mark.parametrize("package", FOLDERS)
def test_the_drawn_tree_is_the_tree_of_classes(package: str) -> None:
    errors = importlib.import_module(f"{package}.errors")
    classes = {
        name: value.__base__.__name__
        for name, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, Exception) and value.__module__ == errors.__name__ and value.__base__
    }
    drawn = _drawn(inspect.getdoc(errors) or "")
    assert {name: drawn.get(name) for name in classes} == classes
    assert set(drawn) <= {*classes, "BrainsegError"}


def _drawn(text: str) -> dict[str, str]:
    """The parent of each class as the indentation of the drawing has it; the root's is Exception."""
    above: list[tuple[int, str]] = []
    parents = {}
    for branch in _BRANCH.finditer(text):
        depth, name = len(branch["indent"]), branch["name"]
        above = [entry for entry in above if entry[0] < depth]
        parents[name] = above[-1][1] if above else "Exception"
        above.append((depth, name))
    return parents
