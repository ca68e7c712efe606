"""Imports in a package run downwards only, in the order of the map in its docstring, and tests mirror the folders."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.folders import arrows, circles, folders, is_folder, mapped
from tests.architecture.sources import FOLDERS, ROOT, Source, sources

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
def test_no_two_modules_need_each_other(package: str) -> None:
    assert not circles({(arrow.importer, arrow.imported) for arrow in arrows(package)})


@EVERY_FOLDER
def test_a_folders_docstring_names_each_of_its_modules(home: Source) -> None:
    text = ast.get_docstring(home.tree) or ""
    assert not [name for name in _modules(home) if not _is_named(name, text)]


@pytest.mark.parametrize("source", MODULES, ids=str)
def test_a_module_has_tests_of_its_name_or_its_folder_says_where_it_is_tested(source: Source) -> None:
    """Such as "`bins` and `curves` are tested by `test_histogram`" in the docstring of the folder."""
    *parents, name = source.module.split(".")[1:]
    mirrored = ROOT.joinpath("tests", FOLDERS[source.package], *parents, f"test_{name}.py")
    home = source.path.with_name("__init__.py")
    if not mirrored.is_file() and not _tests_named_for(name, home):
        pytest.fail(
            f"no {mirrored.relative_to(ROOT)}, and no 'tested by' for it in {home.relative_to(ROOT)}", pytrace=False
        )


@EVERY_PACKAGE
def test_every_folder_of_tests_mirrors_a_folder(package: str) -> None:
    """`oracles` and `examples` aside, which hold tests against other programs and of `examples/`."""
    tested = {path.parent.name for path in (ROOT / "tests" / FOLDERS[package]).glob("*/test_*.py")}
    assert tested - {"oracles", "examples"} <= set(folders(package))


def _modules(home: Source) -> list[str]:
    return sorted(path.stem for path in home.path.parent.glob("*.py") if path.name != "__init__.py")


def _is_named(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){name}(?!\w)", text) is not None


def _tests_named_for(name: str, home: Path) -> list[str]:
    """The existing tests that stand in one sentence, or one entry of a map, of the docstring with a module's name.

    "All ..." and "Tested together ..." speak of every module of the folder.
    """
    text = ast.get_docstring(ast.parse(home.read_text(encoding="utf-8"))) or ""
    entries = re.split(r"\n\s*\n|\n(?= +\w+(?:\.py)? {2,}|- )|(?<=\.)\s", text)
    of_it = [entry for entry in entries if _is_named(name, entry) or re.match(r"All |Tested together", entry)]
    tests = [test for entry in of_it for test in re.findall(r"\btests/[\w/]*\w|\btest_\w+", entry)]
    return [test for test in tests if (ROOT / test).is_dir() or any(TESTS.glob(f"**/{Path(test).name}.py"))]
