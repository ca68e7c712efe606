"""The doctor: what is here, what auto takes, and each collision with its remedy."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import brainseg_runtime
from brainseg_runtime.errors import BundleMissingError
from brainseg_runtime.inference.providers import PROVIDERS
from brainseg_runtime.installation.doctor import diagnose, find_collisions, find_extras, installed_versions
from brainseg_runtime.segmenter import Segmenter
from tests.runtime.inference.pretended import installed
from tests.runtime.tiny import TINY


def test_it_tells_what_is_here() -> None:
    found = diagnose()
    assert [status.name for status in found.providers] == [provider.name for provider in PROVIDERS]
    assert found.choice is None
    assert found.default_threads == Segmenter.load(TINY, provider="cpu").info.threads
    assert found.rule


def test_for_a_bundle_it_tells_what_loading_would_take() -> None:
    choice = diagnose(TINY).choice
    info = Segmenter.load(TINY).info
    assert choice is not None
    assert (choice.provider, choice.variant, choice.reasons) == (info.provider, info.variant, info.reasons)


def test_its_json_is_json() -> None:
    value = json.loads(json.dumps(diagnose(TINY).to_json()))
    assert value["providers"][0]["name"] == "cpu"
    assert value["choice"]["variant"] in {"fp32", "int8"}


def test_a_plug_in_that_is_there_and_does_not_load_is_a_problem() -> None:
    with installed(["cpu", "openvino"], faults={"openvino": "a library is missing"}):
        found = diagnose()
    assert not found.ok
    assert any("a library is missing" in p.what and "--force-reinstall" in p.remedy for p in found.problems)
    assert not {status.name: status.available for status in found.providers}["openvino"]


def test_the_rule_names_every_provider_that_auto_considers() -> None:
    with installed(["cpu", "openvino", "cuda"]):
        rule = diagnose().rule
    assert rule[-4:] == (
        "provider: not tensorrt, which is not available",
        "provider: cuda if the bundle was measured on it",
        "provider: openvino if the bundle was measured on it, except in fp32",
        "provider: cpu otherwise",
    )


def test_a_bundle_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BundleMissingError):
        diagnose("no-such-bundle")


def test_the_versions_name_the_engine() -> None:
    versions = installed_versions()
    assert "numpy" in versions
    assert any(name.startswith("onnxruntime") for name in versions)


def test_the_package_is_said_to_be_where_it_was_imported_from() -> None:
    (folder,) = brainseg_runtime.__path__
    assert installed_versions()["brainseg_runtime (imported)"].endswith(f" from {folder}")


@pytest.mark.parametrize(
    ("versions", "what", "remedy"),
    [
        ({"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.32.0"}, "overwrites", "pip install onnxruntime-gpu"),
        ({"onnxruntime": "1.32.0", "onnxruntime-openvino": "1.32.0"}, "overwrites", "pip uninstall -y onnxruntime "),
        ({"onnxruntime": "1.32.0", "brainseg": "1", "brainseg-runtime": "1"}, "removing one breaks", "pip uninstall"),
        ({"onnxruntime": "1.30.9"}, "memory-safety", "onnxruntime>=1.31"),
        ({"onnxruntime-gpu": "1.9.0"}, "memory-safety", "onnxruntime-gpu>=1.31"),
        ({"brainseg": "1"}, "not installed", "pip install onnxruntime"),
    ],
)
def test_each_collision_is_found_and_has_its_remedy(versions: dict[str, str], what: str, remedy: str) -> None:
    (problem,) = find_collisions(versions)
    assert what in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    "versions",
    [
        {"onnxruntime": "1.32.0", "brainseg": "1"},
        {"onnxruntime": "1.31.0", "brainseg-runtime": "1", "onnxruntime-ep-openvino": "1.8.1"},
        {"onnxruntime-gpu": "2.0.0"},
        {"onnxruntime": "1.40.dev1"},
    ],
)
def test_what_goes_together_is_no_problem(versions: dict[str, str]) -> None:
    assert find_collisions(versions) == ()


def test_the_extras_are_those_of_the_wheel_with_what_they_bring() -> None:
    wheel = tomllib.loads((Path(__file__).parents[3] / "runtime" / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {
        name: {re.split(r"[\[><=]", one)[0].lower() for one in brought if not one.startswith("brainseg-runtime[")}
        for name, brought in wheel["project"]["optional-dependencies"].items()
    }
    told = {extra.name: set(extra.missing) for extra in find_extras({})}
    assert told.keys() == declared.keys()
    for name in ("io", "cli", "node", "archive", "openvino"):
        assert told[name] == declared[name]
    assert {"highdicom", "pydicom", "pyjpegls", "pylibjpeg", "simpleitk"} == (told["study"] & declared["study"])


def test_an_extra_that_is_missing_says_how_to_install_it() -> None:
    versions = installed_versions()
    versions.pop("simpleitk", None)
    study = next(extra for extra in find_extras(versions) if extra.name == "study")
    assert study.missing == ("simpleitk",) or {"simpleitk"} < set(study.missing)
    assert "[study]" in str(study.remedy)
