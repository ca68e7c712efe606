"""The three packages' sources, parsed: what the architecture tests read."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FOR_TYPES = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
IMPORTERS = {"import_module", "resolve_name"}
FOLDERS = {"brainseg_runtime": "runtime", "brainseg_train": "train", "brainseg_export": "export"}


@dataclass(frozen=True)
class Source:
    """One file of a package."""

    package: str
    path: Path
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """The full name under which the file is imported."""
        path = self.path.relative_to(ROOT / FOLDERS[self.package]).with_suffix("")
        return ".".join(path.parts).removesuffix(".__init__")


@dataclass(frozen=True)
class Import:
    """One imported module: its full name, its line, and when the import runs.

    `from folder import name` imports `folder.name` where that is a module, and else `folder`. A string that is the full
    name of a module, alone or as "module:name", counts too: it is there to be imported, however that is done.
    """

    module: str
    line: int
    on_import: bool
    for_types_only: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@cache
def _files() -> frozenset[str]:
    """The full name of every module of the three packages."""
    return frozenset(source.module for source in sources())


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the three packages."""
    return tuple(
        Source(package, path, text, ast.parse(text, filename=str(path)))
        for package, folder in FOLDERS.items()
        for path in sorted((ROOT / folder / package).rglob("*.py"))
        for text in [path.read_text(encoding="utf-8")]
    )


def of_package(package: str) -> tuple[Source, ...]:
    return tuple(source for source in sources() if source.package == package)


def imports(source: Source) -> Iterator[Import]:
    """Every import of a file, those inside functions included."""
    yield from _imports(source, source.tree, on_import=True, for_types_only=False)


def computed_imports(source: Source) -> list[int]:
    """The lines that import a module whose name is not written out there, so that nobody can see which."""
    return [
        node.lineno
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.ImportFrom) and node.module == "importlib" and _names_of(node) & IMPORTERS)
        or (isinstance(node, ast.Attribute) and node.attr in IMPORTERS and not _written_out(node, source.tree))
    ]


def _imports(source: Source, node: ast.AST, *, on_import: bool, for_types_only: bool) -> Iterator[Import]:
    for_types = set(node.body) if isinstance(node, ast.If) and ast.unparse(node.test) in FOR_TYPES else set()
    for child in ast.iter_child_nodes(node):
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        types = for_types_only or child in for_types
        for module in _modules(source, child):
            yield Import(module, getattr(child, "lineno", 0), on_import, types)
        yield from _imports(source, child, on_import=on_import and not inside, for_types_only=types)


def _modules(source: Source, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = ".".join([*_above(source, node.level), *([node.module] if node.module else [])])
        names = [f"{base}.{alias.name}" for alias in node.names]
        return list(dict.fromkeys(name if name in _files() else base for name in names))
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {*IMPORTERS, "__import__"}:
        written = [
            item.value
            for item in (*node.args, *(keyword.value for keyword in node.keywords))
            if isinstance(item, ast.Constant)
        ]
        return [name for name in written if isinstance(name, str) and name not in _files()]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        module = node.value.partition(":")[0]
        return [module] if "." in module and module in _files() else []
    return []


def _above(source: Source, level: int) -> list[str]:
    """The parts of the package that a relative import starts from; none for an absolute one."""
    if not level:
        return []
    parts = source.module.split(".")
    drop = level - (source.path.name == "__init__.py")
    return parts[: len(parts) - drop]


def _names_of(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def _written_out(function: ast.Attribute, tree: ast.Module) -> bool:
    """Whether a function that imports is called, and its first argument is an absolute name in quotes."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func is function]
    return any(
        isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith(".")
        for call in calls
        for first in call.args[:1]
    )
