"""Imports in a package run downwards only, in the order of the map in its docstring, and tests mirror the folders."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.folders import arrows, circles, folders, is_folder, mapped
from tests.architecture.sources import FOLDERS, ROOT, Source, imports, sources

EVERY_PACKAGE = pytest.mark.parametrize("package", FOLDERS)
TESTS = ROOT / "tests"
MODULES = [source for source in sources() if source.path.name not in {"__init__.py", "__main__.py"}]
EVERY_FOLDER = pytest.mark.parametrize("home", [source for source in sources() if is_folder(source)], ids=str)


@EVERY_PACKAGE
def test_the_map_in_the_docstring_names_each_folder_once(package: str) -> None:
    assert sorted(mapped(package)) == [*folders(package)]


@EVERY_PACKAGE
def test_folders_import_only_from_those_named_before_them_in_the_map(package: str) -> None:
    order = {name: place for place, name in enumerate(mapped(package))}
    upwards = [arrow for arrow in arrows(package) if order[arrow.ends[0]] < order[arrow.ends[1]]]
    assert not upwards, "\n".join(map(str, upwards))


@EVERY_PACKAGE
def test_no_module_imports_its_own_package_which_offers_names_from_all_folders(package: str) -> None:
    wrong = [
        f"{source} (line {item.line})"
        for source in sources()
        if source.package == package and source.path.name != "__main__.py"
        for item in imports(source)
        if item.module == package and source.module != package
    ]
    assert not wrong


@EVERY_PACKAGE
def test_no_two_modules_need_each_other(package: str) -> None:
    assert not circles({(arrow.importer, arrow.imported) for arrow in arrows(package)})


@EVERY_FOLDER
def test_a_folders_docstring_names_each_of_its_modules(home: Source) -> None:
    text = ast.get_docstring(home.tree) or ""
    assert not [name for name in _contents(home) if not _is_named(name, text)]


@pytest.mark.parametrize("source", MODULES, ids=str)
def test_a_module_lies_in_a_folder_that_says_what_it_holds(source: Source) -> None:
    assert source.path.with_name("__init__.py").is_file()


@pytest.mark.parametrize("source", MODULES, ids=str)
def test_a_module_has_tests_of_its_name_or_its_folder_says_where_it_is_tested(source: Source) -> None:
    """Such as "`bins` and `curves` are tested by `test_histogram`" in the docstring of the folder."""
    *parents, name = source.module.split(".")[1:]
    mirrored = ROOT.joinpath("tests", FOLDERS[source.package], *parents, f"test_{name}.py")
    home = source.path.with_name("__init__.py")
    if not (mirrored.is_file() and _holds_tests(mirrored)) and not _tests_named_for(name, home):
        pytest.fail(
            f"no {mirrored.relative_to(ROOT)}, and no 'tested by' for it in {home.relative_to(ROOT)}", pytrace=False
        )


@EVERY_PACKAGE
def test_every_folder_of_tests_mirrors_a_folder(package: str) -> None:
    """`oracles` and `examples` aside, which hold tests against other programs and of `examples/`."""
    tested = {path.parent.name for path in (ROOT / "tests" / FOLDERS[package]).glob("*/test_*.py")}
    assert tested - {"oracles", "examples"} <= set(folders(package))


def _contents(home: Source) -> list[str]:
    """The folder's modules, and the folders in it."""
    modules = {path.stem for path in home.path.parent.glob("*.py") if path.name != "__init__.py"}
    return sorted(modules | {path.parent.name for path in home.path.parent.glob("*/__init__.py")})


def _is_named(name: str, text: str) -> bool:
    """Whether a module is named as one, not by a word that happens to be its name: `name`, name.py, or in a map."""
    return (
        re.search(rf"`{name}(\.\w+)*`|(?<!\w){name}\.py\b|^ +(\w+, )*{name}(, \w+)* {{2,}}", text, re.MULTILINE)
        is not None
    )


def _tests_named_for(name: str, home: Path) -> list[str]:
    """The existing tests that stand in one sentence, or one entry of a map, of the docstring with a module's name."""
    text = ast.get_docstring(ast.parse(home.read_text(encoding="utf-8"))) or ""
    entries = re.split(r"\n\s*\n|\n(?= +\w+(?:\.py)? {2,}|- )|(?<=\.)\s", text)
    of_it = [entry for entry in entries if _is_named(name, entry)]
    tests = [test for entry in of_it for test in re.findall(r"\btests/[\w/]*\w|\btest_\w+", entry)]
    return [
        test
        for test in tests
        if (ROOT / test).is_dir() or any(map(_holds_tests, TESTS.glob(f"**/{Path(test).name}.py")))
    ]


def _holds_tests(path: Path) -> bool:
    return re.search(r"^\s*def test_", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
