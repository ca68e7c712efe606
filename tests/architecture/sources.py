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

    `from folder import name` imports `folder.name` where that is a module, and else `folder`.
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
    yield from _imports(source.tree, on_import=True, for_types_only=False)


def _imports(node: ast.AST, *, on_import: bool, for_types_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        types = for_types_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test))
        for module in _modules(child):
            yield Import(module, getattr(child, "lineno", 0), on_import, types)
        yield from _imports(child, on_import=on_import and not inside, for_types_only=types)


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        names = [f"{base}.{alias.name}" for alias in node.names]
        return list(dict.fromkeys(name if name in _files() else base for name in names))
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {
        "import_module",
        "importlib.import_module",
        "__import__",
    }:
        name = node.args[0] if node.args else None
        return [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
    return []
