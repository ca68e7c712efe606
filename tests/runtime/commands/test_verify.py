"""`brainseg verify` and `brainseg doctor`: PASS for what is whole, FAIL with a name for what is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.bundles.bundle import open_bundle
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.onnx_bytes import brightest_channel
from tests.runtime.tiny import replace_file


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))


def checks(done_out: str) -> dict[str, str]:
    found: dict[str, Any] = json.loads(done_out)
    return {check["name"]: check["status"] for check in found["checks"]}


def test_a_whole_bundle_passes_with_every_variant_run() -> None:
    done = brainseg("verify", BUNDLE, "--json", "-")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["ok"] is True
    assert found["digest"] == open_bundle(BUNDLE).digest
    names = checks(done.out)
    for variant in open_bundle(BUNDLE).manifest.variants:
        assert names[f"contract {variant}"] == "PASS"
        assert names[f"golden {variant}"] == "PASS"


@pytest.mark.parametrize("name", [".DS_Store", "._model.onnx", "Thumbs.db", "desktop.ini", "@eaDir", "model.onnx~"])
def test_litter_in_the_bundles_folder_changes_nothing(copy: Path, name: str) -> None:
    (copy / name).mkdir() if name == "@eaDir" else (copy / name).write_bytes(b"shadow")
    done = brainseg("verify", copy, "--json", "-")
    assert done.code == 0, done.err
    assert name not in done.out


def test_the_pinned_digest_passes_and_another_fails() -> None:
    digest = open_bundle(BUNDLE).digest
    assert checks(brainseg("verify", BUNDLE, "--digest", digest, "--json", "-").out)["digest"] == "PASS"
    done = brainseg("verify", BUNDLE, "--digest", "0" * 64, "--json", "-")
    assert done.code == 1
    assert checks(done.out)["digest"] == "FAIL"


def test_one_changed_bit_fails_and_names_the_file(copy: Path) -> None:
    path = copy / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    done = brainseg("verify", copy)
    assert done.code == 1
    assert "FAIL" in done.out
    assert "model.onnx" in done.out


def test_a_folder_that_is_no_bundle_fails(tmp_path: Path) -> None:
    done = brainseg("verify", tmp_path, "--json", "-")
    assert done.code == 1
    assert json.loads(done.out)["digest"] is None


@pytest.mark.parametrize("damaged", [False, True])
def test_the_page_says_pass_or_fail_and_stands_alone(copy: Path, tmp_path: Path, damaged: bool) -> None:
    if damaged:
        (copy / "extra.bin").write_bytes(b"not listed")
    report = tmp_path / "pages" / "check.html"
    done = brainseg("verify", copy, "--report", report)
    assert done.code == int(damaged)
    text = report.read_text(encoding="utf-8")
    assert f"Installation check: {'FAIL' if damaged else 'PASS'}" in text
    assert ("extra.bin" in text) == damaged
    assert "<script" not in text
    assert "src=" not in text


def test_golden_cases_are_written_beside_the_checks(tmp_path: Path) -> None:
    done = brainseg("verify", BUNDLE, "--write-golden", tmp_path / "golden")
    assert done.code == 0, done.err
    assert "2 golden cases written" in done.out
    assert (tmp_path / "golden" / "index.json").is_file()


def test_no_golden_cases_of_a_bundle_that_is_not_the_approved_one(tmp_path: Path) -> None:
    done = brainseg("verify", BUNDLE, "--digest", "0" * 64, "--write-golden", tmp_path / "golden")
    assert done.code == 1
    assert "no golden cases" in done.err
    assert not (tmp_path / "golden").exists()


def test_golden_cases_are_written_although_this_machine_computes_others(copy: Path, tmp_path: Path) -> None:
    replace_file(copy, "model.onnx", brightest_channel())
    done = brainseg("verify", copy, "--write-golden", tmp_path / "golden")
    assert (done.code, checks(brainseg("verify", copy, "--json", "-").out)["golden fp32"]) == (1, "FAIL")
    assert (tmp_path / "golden" / "index.json").is_file()


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_other_outputs_lie_outside_the_golden_cases(tmp_path: Path, option: str) -> None:
    golden = tmp_path / "golden"
    done = brainseg("verify", BUNDLE, "--write-golden", golden, option, golden / "found")
    assert done.code == 1
    assert not golden.exists()


def test_golden_cases_stay_out_of_the_bundle(copy: Path) -> None:
    before = sorted(path.name for path in copy.iterdir())
    for place in (copy, copy / "golden"):
        assert brainseg("verify", copy, "--write-golden", place).code == 1
    assert sorted(path.name for path in copy.iterdir()) == before


def test_doctor_tells_what_is_there_and_what_auto_would_choose() -> None:
    done = brainseg("doctor", BUNDLE, "--json", "-")
    found = json.loads(done.out)
    assert done.code == (0 if found["ok"] else 1)
    assert {"numpy", "onnxruntime"} <= set(found["versions"])
    assert next(each for each in found["providers"] if each["name"] == "cpu")["available"] is True
    assert found["choice"]["provider"] in {each["name"] for each in found["providers"] if each["available"]}
    assert found["choice"]["reasons"]


def test_doctor_without_a_bundle_speaks_to_people() -> None:
    done = brainseg("doctor")
    assert "onnxruntime" in done.out
    assert "auto, on this machine:" in done.out
