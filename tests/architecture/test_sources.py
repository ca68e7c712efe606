"""An import is found however it is written, so that the other tests here cannot be got round."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import ROOT, Source, computed_imports, imports

HOME = ROOT / "runtime" / "brainseg_runtime" / "images" / "made_up.py"
UPWARDS = "brainseg_runtime.commands.options"


def made_up(text: str) -> Source:
    return Source("brainseg_runtime", HOME, text, ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        f"import {UPWARDS}",
        "from brainseg_runtime.commands import options as settings",
        f"from {UPWARDS} import THREADS",
        "from ..commands import options",
        "from ..commands.options import THREADS",
        f"def late():\n    import {UPWARDS}",
        f"class Late:\n    def method(self):\n        from {UPWARDS} import THREADS",
        f"if TYPE_CHECKING:\n    from {UPWARDS} import THREADS",
        f"try:\n    import {UPWARDS}\nexcept ImportError:\n    pass",
        f"importlib.import_module('{UPWARDS}')",
        f"machinery.import_module(name='{UPWARDS}')",
        f"__import__('{UPWARDS}')",
        f"name = '{UPWARDS}'\nimportlib.import_module(name)",
        f"Listed('{UPWARDS}:THREADS', 'Help.')",
        f"sys.modules['{UPWARDS}']",
    ],
)
def test_every_way_of_importing_is_seen(text: str) -> None:
    assert UPWARDS in {item.module for item in imports(made_up(text))}


@pytest.mark.parametrize(
    "text",
    [
        "importlib.import_module(f'brainseg_runtime.{name}')",
        "importlib.import_module('.options', 'brainseg_runtime.commands')",
        "machinery.import_module(name)",
        "load = importlib.import_module",
        "from importlib import import_module as load",
        "pkgutil.resolve_name(place)",
    ],
)
def test_a_name_that_is_computed_is_seen(text: str) -> None:
    assert computed_imports(made_up(text)) == [1]


def test_a_name_that_is_written_out_is_not_computed() -> None:
    assert not computed_imports(made_up("importlib.import_module('brainseg_runtime.cli')"))


@pytest.mark.parametrize(
    ("text", "on_import", "for_types_only"),
    [
        ("import typer", True, False),
        ("def late():\n    import typer", False, False),
        ("if TYPE_CHECKING:\n    import typer", True, True),
        ("if not TYPE_CHECKING:\n    import typer", True, False),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import typer", True, False),
        ("class Early:\n    import typer", True, False),
    ],
)
def test_when_an_import_runs_is_seen(text: str, *, on_import: bool, for_types_only: bool) -> None:
    (found,) = imports(made_up(text))
    assert (found.module, found.on_import, found.for_types_only) == ("typer", on_import, for_types_only)
