"""Imports run one way: runtime ← train ← export; the runtime needs numpy and onnxruntime alone."""

from __future__ import annotations

import sys

import pytest

from tests.architecture.sources import FOLDERS, Source, imports, of_package, sources

MAY_IMPORT = {
    "brainseg_runtime": set(),
    "brainseg_train": {"brainseg_runtime"},
    "brainseg_export": {"brainseg_runtime", "brainseg_train"},
}
RUNTIME_EXTRAS = {
    "PIL",
    "cryptography",
    "jinja2",
    "markupsafe",
    "model_signing",
    "onnxruntime_ep_openvino",
    "rich",
    "tifffile",
    "typer",
}
TRAIN_NEVER = {"onnx", "onnxruntime", "onnxscript"}


def test_all_three_packages_are_read() -> None:
    assert {source.package for source in sources()} == set(FOLDERS)


@pytest.mark.parametrize("source", sources(), ids=str)
def test_imports_follow_the_one_direction(source: Source) -> None:
    allowed = MAY_IMPORT[source.package] | {source.package}
    wrong = [f"{item.module} (line {item.line})" for item in imports(source) if item.top in set(FOLDERS) - allowed]
    assert not wrong, f"{source} imports {wrong}"


@pytest.mark.parametrize("source", of_package("brainseg_runtime"), ids=str)
def test_the_runtime_imports_only_what_its_wheel_brings(source: Source) -> None:
    brought = set(sys.stdlib_module_names) | {"numpy", "onnxruntime", "brainseg_runtime"} | RUNTIME_EXTRAS
    assert {item.top for item in imports(source)} <= brought


@pytest.mark.parametrize("source", of_package("brainseg_runtime"), ids=str)
def test_the_runtime_imports_extras_and_onnxruntime_where_they_are_used(source: Source) -> None:
    late = RUNTIME_EXTRAS | {"onnxruntime"}
    if source.path.parent.name == "commands":  # the one place that uses typer; imported by a command alone
        late -= {"typer"}
    early = {item.module for item in imports(source) if item.on_import and not item.for_types_only and item.top in late}
    assert not early, f"{source} imports {early} when it is itself imported"


@pytest.mark.parametrize("source", of_package("brainseg_train"), ids=str)
def test_training_knows_nothing_of_onnx(source: Source) -> None:
    assert not {item.module for item in imports(source) if item.top in TRAIN_NEVER}
