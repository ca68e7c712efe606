"""The two wheels: the same runtime in both, and nothing more than each promises."""

from __future__ import annotations

import configparser
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from tests.packaging.conftest import Wheel

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    "brainseg": "brainseg_runtime.__main__:main",
    "brainseg-train": "brainseg_train.__main__:main",
    "brainseg-export": "brainseg_export.__main__:main",
}


def _runtime_files(wheel: Wheel) -> dict[str, bytes]:
    return {name: data for name, data in wheel.files.items() if name.startswith("brainseg_runtime/")}


def _requirements(wheel: Wheel, extra: str | None = None) -> set[str]:
    parsed = [Requirement(text) for text in wheel.metadata.get_all("Requires-Dist") or []]
    if extra is None:
        return {item.name for item in parsed if item.marker is None}
    return {item.name for item in parsed if item.marker is not None and item.marker.evaluate({"extra": extra})}


def _scripts(wheel: Wheel) -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read_string(wheel.dist_info("entry_points.txt").decode())
    return dict(parser["console_scripts"])


def test_the_runtime_is_byte_identical_in_both_wheels(whole_wheel: Wheel, runtime_wheel: Wheel) -> None:
    files = _runtime_files(runtime_wheel)
    assert files
    assert files == _runtime_files(whole_wheel)


def test_the_wheels_hold_every_file_of_their_packages_and_no_other(whole_wheel: Wheel, runtime_wheel: Wheel) -> None:
    def expected(*folders: str) -> set[str]:
        return {
            path.relative_to(ROOT / folder).as_posix()
            for folder in folders
            for path in (ROOT / folder).glob("brainseg_*/**/*")
            if path.is_file() and path.suffix != ".pyc"
        }

    def held(wheel: Wheel) -> set[str]:
        return {name for name in wheel.files if ".dist-info/" not in name}

    assert held(runtime_wheel) == expected("runtime")
    assert held(whole_wheel) == expected("runtime", "train", "export")


def test_the_runtime_wheel_needs_numpy_and_onnxruntime_alone(runtime_wheel: Wheel) -> None:
    assert _requirements(runtime_wheel) == {"numpy", "onnxruntime"}


def test_the_whole_wheel_brings_the_command_but_not_torch(whole_wheel: Wheel) -> None:
    assert _requirements(whole_wheel) == {"jinja2", "numpy", "onnxruntime", "pillow", "rich", "tifffile", "typer"}


def test_extras_are_those_that_the_documents_name(whole_wheel: Wheel, runtime_wheel: Wheel) -> None:
    of_runtime = set(runtime_wheel.metadata.get_all("Provides-Extra") or [])
    assert of_runtime == {"archive", "cli", "io", "node", "openvino", "sign", "study"}
    assert set(whole_wheel.metadata.get_all("Provides-Extra") or []) == {
        "archive",
        "dev",
        "export",
        "node",
        "openvino",
        "sign",
        "study",
        "tensorboard",
        "train",
    }
    assert {"tifffile", "pillow"} <= _requirements(runtime_wheel, "io")
    assert "onnxruntime-ep-openvino" in _requirements(runtime_wheel, "openvino")
    assert "torch" in _requirements(whole_wheel, "train")


@pytest.mark.parametrize("extra", ["archive", "node", "openvino", "sign", "study"])
def test_an_extra_of_both_wheels_asks_for_the_same(whole_wheel: Wheel, runtime_wheel: Wheel, extra: str) -> None:
    def asked(wheel: Wheel) -> set[tuple[str, str, tuple[str, ...]]]:
        parsed = [Requirement(text) for text in wheel.metadata.get_all("Requires-Dist") or []]
        of_it = [item for item in parsed if item.marker is not None and item.marker.evaluate({"extra": extra})]
        own = {"brainseg", "brainseg-runtime"}  # a wheel names its own extras by its own name
        return {
            ("brainseg" if item.name in own else item.name, str(item.specifier), tuple(sorted(item.extras)))
            for item in of_it
        }

    assert asked(runtime_wheel)
    assert asked(runtime_wheel) == asked(whole_wheel)


def test_the_runtime_wheel_holds_the_pages_of_the_node(runtime_wheel: Wheel) -> None:
    assert "brainseg_runtime/node/watching/studies.html" in runtime_wheel.files


def test_the_commands_point_at_functions_that_exist(whole_wheel: Wheel, runtime_wheel: Wheel) -> None:
    assert _scripts(whole_wheel) == SCRIPTS
    assert _scripts(runtime_wheel) == {"brainseg": SCRIPTS["brainseg"]}
    for target in SCRIPTS.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_both_wheels_carry_one_version_licence_and_typing_marker(whole_wheel: Wheel, runtime_wheel: Wheel) -> None:
    brainseg_runtime = importlib.import_module("brainseg_runtime")
    versions = {wheel.metadata["Version"] for wheel in (whole_wheel, runtime_wheel)}
    assert versions == {brainseg_runtime.__version__}
    for wheel in (whole_wheel, runtime_wheel):
        assert wheel.metadata["License-Expression"] == "Apache-2.0"
        assert wheel.dist_info("licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert "brainseg_runtime/py.typed" in wheel.files


@pytest.mark.parametrize("name", ["jinja2", "numpy", "onnxruntime", "pillow", "tifffile", "typer", "rich"])
def test_both_wheels_ask_for_the_same_ranges(whole_wheel: Wheel, runtime_wheel: Wheel, name: str) -> None:
    def ranges(wheel: Wheel) -> set[str]:
        parsed = [Requirement(text) for text in wheel.metadata.get_all("Requires-Dist") or []]
        return {str(item.specifier) for item in parsed if item.name == name}

    assert len(ranges(whole_wheel)) == 1
    assert ranges(whole_wheel) == ranges(runtime_wheel)
