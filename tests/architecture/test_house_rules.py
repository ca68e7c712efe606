"""What library code never does, read off every file of the three packages."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.sources import Source, imports, sources

EVERY = pytest.mark.parametrize("source", sources(), ids=str)

# Readers that run what they read, and ways out of the machine, which the node alone has.
NEVER_IMPORTED = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
NETWORK = {
    "aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "ssl", "urllib3", "xmlrpc",
}  # fmt: skip
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "print", "breakpoint", "input"} | {
    "os.system", "os.popen", "torch.load", "torch.save", "torch.hub.load", "urllib.request.urlopen",
}  # fmt: skip
VAGUE_NAMES = {"common.py", "helpers.py", "misc.py", "utils.py"}
MOST_LINES = 450
MOST_LINES_OF_A_FUNCTION = 60


def _calls(source: Source) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}


@EVERY
def test_nothing_unpickles_and_the_node_alone_speaks_to_a_network(source: Source) -> None:
    never = NEVER_IMPORTED if source.module.startswith("brainseg_runtime.node.") else NEVER_IMPORTED | NETWORK
    assert not {item.module for item in imports(source) if item.top in never}
    assert not {item.module for item in imports(source)} & {"urllib.request"}


@EVERY
def test_nothing_is_printed_evaluated_or_run_by_a_shell(source: Source) -> None:
    assert not _calls(source) & NEVER_CALLED
    through_a_shell = [
        node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.keyword)
        and node.arg in {"shell", "allow_pickle"}
        and ast.unparse(node.value) != "False"
    ]
    assert not through_a_shell


@EVERY
def test_validation_is_never_an_assert(source: Source) -> None:
    assert not [node.lineno for node in ast.walk(source.tree) if isinstance(node, ast.Assert)]


@EVERY
def test_no_fault_is_swallowed(source: Source) -> None:
    handlers = [node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler)]
    assert not [node.lineno for node in handlers if node.type is None], "bare except"
    broad = [node for node in handlers if node.type and {"Exception", "BaseException"} & _names(node.type)]
    silent = [node.lineno for node in broad if all(isinstance(line, (ast.Pass, ast.Continue)) for line in node.body)]
    assert not silent, "a broad except that does nothing"


@EVERY
def test_nothing_is_left_for_later(source: Source) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", source.text)
    assert not [node for node in ast.walk(source.tree) if _raises_not_implemented(node)]


@EVERY
def test_a_file_says_what_it_holds_and_stays_readable(source: Source) -> None:
    assert ast.get_docstring(source.tree), "the first line says what the file holds"
    assert source.path.name not in VAGUE_NAMES, "a function lives with the noun that it serves"
    assert len(source.text.splitlines()) <= MOST_LINES


@EVERY
def test_functions_fit_on_a_screen(source: Source) -> None:
    functions = [node for node in ast.walk(source.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = {node.name: _body_lines(node) for node in functions if _body_lines(node) > MOST_LINES_OF_A_FUNCTION}
    assert not long


@EVERY
def test_exemptions_from_lint_and_types_are_single_and_named(source: Source) -> None:
    bare = re.findall(r"#\s*(?:noqa(?!: ?[A-Z]+\d)|type:\s*ignore(?!\[)|ruff:\s*noqa|mypy:\s*ignore).*", source.text)
    assert not bare


@EVERY
def test_the_project_speaks_of_itself_alone(source: Source) -> None:
    assert not re.search(r"/work/|issue #?\d|DESIGN\.md|STYLE\.md", source.text)


def _names(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def _raises_not_implemented(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in _names(node.exc)


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
