"""Imports run one way: runtime ← train ← export; the runtime needs numpy and onnxruntime alone."""

from __future__ import annotations

import sys

import pytest

from tests.architecture.sources import FOLDERS, Source, computed_imports, imports, of_package, sources

MAY_IMPORT = {
    "brainseg_runtime": set(),
    "brainseg_train": {"brainseg_runtime"},
    "brainseg_export": {"brainseg_runtime", "brainseg_train"},
}
RUNTIME_EXTRAS = {
    "PIL",
    "SimpleITK",
    "cryptography",
    "dicomweb_client",
    "fastapi",
    "fsspec",
    "h11",
    "highdicom",
    "jinja2",
    "markupsafe",
    "model_signing",
    "onnxruntime_ep_openvino",
    "prometheus_client",
    "pyarrow",
    "pydantic",
    "pydicom",
    "pynetdicom",
    "ray",
    "requests",
    "rich",
    "starlette",
    "tifffile",
    "typer",
    "uvicorn",
}
DERIVED = {
    "runtime/brainseg_runtime/node/receiving/guarded.py": "subclasses of pynetdicom's; imported when a receiver starts",
    "runtime/brainseg_runtime/node/receiving/stow.py": "routes, which fastapi reads off annotations; imported for them",
    "runtime/brainseg_runtime/node/sending/hanging_up.py": "subclasses of pynetdicom's; imported to connect",
}
"""Files that may import an extra when they are imported, which they are only where it is used."""
COMPUTED = {
    "runtime/brainseg_runtime/__init__.py": "its public names, when they are first used",
    "runtime/brainseg_runtime/inference/processor.py": "numpy's module of processor features, which has had two names",
    "runtime/brainseg_runtime/inference/providers/openvino.py": "the plug-in",
    "runtime/brainseg_runtime/metrics/__init__.py": "its public names, so that help lists the scores without numpy",
    "runtime/brainseg_runtime/studies/__init__.py": "its public names, when they are first used",
    "runtime/brainseg_runtime/terminal/application.py": "commands, which each `cli` names",
    "train/brainseg_train/models/__init__.py": "networks, which its table names",
}
"""Files that import a module whose name they compute, and which."""
TRAIN_NEVER = {"onnx", "onnxruntime", "onnxscript"}


def test_all_three_packages_are_read() -> None:
    assert {source.package for source in sources()} == set(FOLDERS)


@pytest.mark.parametrize("source", sources(), ids=str)
def test_imports_follow_the_one_direction(source: Source) -> None:
    allowed = MAY_IMPORT[source.package] | {source.package}
    wrong = [f"{item.module} (line {item.line})" for item in imports(source) if item.top in set(FOLDERS) - allowed]
    assert not wrong, f"{source} imports {wrong}"


@pytest.mark.parametrize("source", sources(), ids=str)
def test_a_module_imported_by_a_computed_name_is_one_of_those_listed_here(source: Source) -> None:
    """Else an import could run in any direction unseen."""
    assert bool(computed_imports(source)) == (str(source) in COMPUTED), computed_imports(source)


@pytest.mark.parametrize("source", of_package("brainseg_runtime"), ids=str)
def test_the_runtime_imports_only_what_its_wheel_brings(source: Source) -> None:
    brought = set(sys.stdlib_module_names) | {"numpy", "onnxruntime", "brainseg_runtime"} | RUNTIME_EXTRAS
    assert {item.top for item in imports(source) if not item.for_types_only} <= brought


@pytest.mark.parametrize("source", of_package("brainseg_runtime"), ids=str)
def test_the_runtime_imports_extras_and_onnxruntime_where_they_are_used(source: Source) -> None:
    late = RUNTIME_EXTRAS | {"onnxruntime"}
    if source.path.parent.name == "commands":  # the one place that uses typer; imported by a command alone
        late -= {"typer"}
    if str(source) in DERIVED:
        late = set()
    early = {item.module for item in imports(source) if item.on_import and not item.for_types_only and item.top in late}
    assert not early, f"{source} imports {early} when it is itself imported"


@pytest.mark.parametrize("source", of_package("brainseg_train"), ids=str)
def test_training_knows_nothing_of_onnx(source: Source) -> None:
    assert not {item.module for item in imports(source) if item.top in TRAIN_NEVER}
