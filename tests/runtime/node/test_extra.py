"""A node without one of its libraries says so before it takes an image."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from brainseg_runtime.node.extra import LIBRARIES, require_extra
from tests.runtime.command_line import BUNDLE, environment

PROJECT = Path(__file__).resolve().parents[3] / "runtime" / "pyproject.toml"


def asked_for() -> set[str]:
    """What the extra asks for, extras of its own and of others included."""
    if not PROJECT.is_file():
        pytest.skip("the project's sources are not here")
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    found = {re.split(r"[>=\[]", text)[0].lower() for text in (*extras["node"], *extras["study"])}
    return (found | {"pylibjpeg-libjpeg", "pylibjpeg-openjpeg"}) - {"brainseg-runtime"}


def test_every_library_that_the_extra_asks_for_is_looked_for() -> None:
    brought_by = metadata.packages_distributions()
    looked_for = {name.lower().replace("_", "-") for each in LIBRARIES for name in brought_by[each]}
    assert looked_for == asked_for()


def test_an_installation_that_is_whole_passes() -> None:
    require_extra()


@pytest.mark.parametrize("name", ["pynetdicom", "openjpeg"])
@pytest.mark.parametrize("more", [[], ["--check"]], ids=["start", "check"])
def test_one_that_is_missing_is_named_before_anything_is_made(tmp_path: Path, name: str, more: list[str]) -> None:
    hidden = (
        "import importlib.util as util, sys\n"
        "found = util.find_spec\n"
        f"util.find_spec = lambda each, package=None: None if each == {name!r} else found(each, package)\n"
        "from brainseg_runtime.__main__ import main\n"
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", hidden, "serve", str(BUNDLE), "--folder", str(tmp_path / "state"), *more]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=60)
    assert done.returncode == 1, done.stderr
    assert f"{name} missing" in done.stderr
    assert "[node]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()
