"""The folders of a package, the imports between them, and their order as the package's docstring gives it.

A folder here is a folder of the package or a file directly in it: `images`, `errors`. `python -m
tests.architecture.folders` counts folders, levels, arrows and circles of each package.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache

from tests.architecture.sources import FOLDERS, Source, imports, of_package

_NAME = r"`?\w+(?:\.py|/)?`?"
_ENTRY = re.compile(rf"^(?:- | +)(?P<names>{_NAME}(?:,? {_NAME})*?)(?:: | {{2,}}|$)", re.MULTILINE)
"""An entry of a map: names, then two spaces or a colon, then what they hold."""


@dataclass(frozen=True, order=True)
class Arrow:
    """One import from one module of a package to another."""

    importer: str
    imported: str
    line: int

    @property
    def ends(self) -> tuple[str, str]:
        """The two folders."""
        return folder_of(self.importer), folder_of(self.imported)

    def __str__(self) -> str:
        return f"{self.importer} (line {self.line}) imports {self.imported}"


def folder_of(module: str) -> str:
    """The folder that a module lies in, or the module's own name directly in the package; "" is the package itself."""
    return [*module.split("."), ""][1]


def is_folder(source: Source) -> bool:
    """Whether a file is the `__init__` of a folder."""
    return source.path.name == "__init__.py" and "." in source.module


@cache
def folders(package: str) -> tuple[str, ...]:
    """Every folder of a package and every file directly in it, apart from its `__init__` and `__main__`."""
    return tuple(sorted({folder_of(source.module) for source in of_package(package)} - {"", "__main__"}))


@cache
def mapped(package: str) -> tuple[str, ...]:
    """The folders in the order of the map in the package's docstring, from the ground up.

    The map is made of lines that are indented or begin with a dash: names, two spaces or a colon, what they hold. Lines
    that do not start with the name of a folder, such as examples, are not of the map.
    """
    (home,) = (source for source in of_package(package) if source.module == package)
    found = []
    for entry in _ENTRY.finditer(ast.get_docstring(home.tree) or ""):
        names = [name.strip("`/").removesuffix(".py") for name in re.split(r",? ", entry["names"])]
        if names[0] in folders(package):
            found += names
    return tuple(found)


@cache
def arrows(package: str) -> tuple[Arrow, ...]:
    """Every import within a package, those in functions and for annotations included.

    The package's `__init__`, which offers names from all of it, and `__main__`, which starts it, are left out.
    """
    modules = {source.module for source in of_package(package)}
    return tuple(
        Arrow(source.module, item.module, item.line)
        for source in of_package(package)
        if source.module not in {package, f"{package}.__main__"}
        for item in imports(source)
        if item.module in modules - {package, source.module}
    )


def circles(pairs: set[tuple[str, str]]) -> set[str]:
    """Whatever is left once all that imports nothing, or is imported by nothing, is taken away again and again."""
    while True:
        inner = {start for start, _ in pairs} & {end for _, end in pairs}
        left = {pair for pair in pairs if set(pair) <= inner}
        if left == pairs:
            return inner
        pairs = left


def levels(pairs: set[tuple[str, str]]) -> int:
    """How many stand above one another in the longest chain of imports."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((of(end) for start, end in pairs if start == name), default=0)
        return depth[name]

    return max((of(start) for start, _ in pairs), default=1)


def between(package: str) -> set[tuple[str, str]]:
    """Importing and imported folder, each pair once."""
    return {arrow.ends for arrow in arrows(package) if arrow.ends[0] != arrow.ends[1]}


def _counted(package: str) -> str:
    files = Counter(source.module.rpartition(".")[0] for source in of_package(package) if not is_folder(source))
    largest, most = files.most_common(1)[0]
    pairs = between(package)
    return (
        f"{package}: {len(folders(package))} folders and single files, {most} modules in the largest ({largest}), "
        f"{levels(pairs) if not circles(pairs) else 'no'} levels, {len(pairs)} arrows, {len(circles(pairs))} in circles"
    )


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(_counted, FOLDERS)) + "\n")
