"""`constraints.txt` pins everything that was tested, and the ranges admit what it pins."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = {
    canonicalize_name(item.name): str(item.specifier).removeprefix("==")
    for line in TEXT.splitlines()
    if line and not line.startswith("#")
    for item in [Requirement(line)]
}
# What every environment has of itself, at whatever version.
OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel"}


def _declared() -> list[Requirement]:
    found = []
    for project in (ROOT, ROOT / "runtime"):
        table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = table["optional-dependencies"].values()
        found += [Requirement(text) for text in [*table["dependencies"], *(text for extra in extras for text in extra)]]
    return [item for item in found if not item.name.startswith("brainseg")]


def _closure(names: set[str]) -> set[str]:
    """The installed distributions that `names` bring on this machine."""
    done: set[str] = set()
    waiting = [(name, "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        done.add(canonicalize_name(name))
        for item in map(Requirement, wanted):
            if canonicalize_name(item.name) in done or (item.marker and not item.marker.evaluate({"extra": extra})):
                continue
            waiting += [(item.name, part) for part in item.extras or {""}]
    return done


def test_every_line_pins_one_version_and_names_no_index() -> None:
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in TEXT.splitlines())


def test_torch_is_the_version_that_was_tested() -> None:
    assert PINS[canonicalize_name("torch")] == "2.13.0"


def test_every_range_admits_its_pin() -> None:
    for item in _declared():
        pin = PINS[canonicalize_name(item.name)]
        assert item.specifier.contains(pin), f"{item} does not admit the pinned {pin}"


def test_everything_that_an_install_brings_is_pinned() -> None:
    unpinned = _closure({item.name for item in _declared()}) - set(PINS) - OF_THE_ENVIRONMENT
    assert not unpinned


def test_floors_hold_the_security_fixes() -> None:
    floors = {item.name: item.specifier for item in _declared()}
    assert not floors["onnxruntime"].contains("1.30.9")
    assert not floors["torch"].contains("2.9.1")
    assert not floors["onnx"].contains("1.20.1")
