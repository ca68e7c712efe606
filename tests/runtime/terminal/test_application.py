"""What all three commands share: help without the names of Python's types, empty arguments, and `--quiet`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brainseg_runtime.installation import benchmark
from brainseg_runtime.terminal.command import DONE, FAULT, INTERRUPTED, USAGE
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data, made_patient
from tests.runtime.tiny import copy_tiny

COMMANDS = ("predict", "evaluate", "bench", "verify", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_arguments_plainly(command: str) -> None:
    text = brainseg(command, "--help").out
    usage = text.partition("\n\n")[0]
    assert "{" not in usage
    assert not re.search(r"<(?:list|path|str|int|float|Path)\b", text)
    assert not re.search(r"\.{4}", text)
    assert "--quiet" in text


def test_usage_is_as_the_documents_have_it() -> None:
    assert brainseg("predict", "--help").out.startswith("Usage: brainseg predict [OPTIONS] BUNDLE [INPUT...]\n")
    assert "Usage: brainseg verify [OPTIONS] BUNDLE\n" in brainseg("verify").err
    assert "Usage: brainseg evaluate [OPTIONS] [BUNDLE] DATA\n" in brainseg("evaluate", "--help").out
    assert "Usage: brainseg doctor [OPTIONS] [BUNDLE]\n" in brainseg("doctor", "--help").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", BUNDLE, "", "-o", "out"],
        ["predict", "", "x.tif", "-o", "out"],
        ["predict", BUNDLE, "x.tif", "-o", ""],
        ["predict", BUNDLE, "x.tif", "-o", "out", "--json="],
        ["evaluate", BUNDLE, "data", "--report", ""],
        ["verify", BUNDLE, "--public-key", ""],
        ["doctor", ""],
        ["bench", ""],
    ],
)
def test_an_empty_argument_is_wrong_usage_and_not_the_current_folder(
    arguments: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    monkeypatch.chdir(tmp_path / "TCGA_X_1_19990101")
    done = brainseg(*arguments)
    assert done.code == 2
    assert "empty" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "--json", "LONG"],
        ["verify", BUNDLE, "--public-key", "LONG"],
        ["verify", BUNDLE, "--report", "LONG"],
        ["bench", BUNDLE, "--json", "LONG"],
        ["predict", BUNDLE, "LONG", "-o", "out"],
        ["predict", BUNDLE, "data", "-o", "LONG"],
        ["evaluate", BUNDLE, "LONG"],
        ["evaluate", BUNDLE, "data", "--report", "LONG"],
        ["evaluate", "data", "--predictions", "LONG"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments[::2])),
)
def test_a_name_that_the_system_refuses_is_a_fault_and_no_traceback(
    arguments: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_data(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    done = brainseg(*("x" * 300 if each == "LONG" else each for each in arguments))
    assert done.code == 1
    assert "error: " in done.err
    assert "Traceback" not in done.err


def test_quiet_says_nothing_but_warnings(tmp_path: Path) -> None:
    data, target = made_data(tmp_path / "data"), tmp_path / "result.json"
    for arguments in (
        ["predict", BUNDLE, data, "-o", tmp_path / "out"],
        ["predict", BUNDLE, data, "-o", tmp_path / "out", "--resume"],
        ["evaluate", BUNDLE, data, "--report", tmp_path / "page.html"],
        ["bench", BUNDLE, "--provider", "cpu", "--batch", 1, "--side", 16, "--seconds", 0],
        ["verify", BUNDLE],
    ):
        done = brainseg(*arguments, "--quiet", "--json", target)
        beside_warnings = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
        assert (done.code, done.out, beside_warnings) == (0, "", [])
        assert target.stat().st_size > 2
        target.unlink()


def test_quiet_still_tells_warnings_and_faults(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    (folder / f"{folder.name}_2.tif").unlink()
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "-q")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("warning: ")
    done = brainseg("doctor", "nowhere", "-q")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: no bundle at nowhere")


def test_quiet_json_on_standard_output_is_there() -> None:
    assert brainseg("verify", BUNDLE, "--json", "-", "-q").out.startswith("{")


@pytest.mark.parametrize(
    "arguments",
    [["doctor"], ["bench"], ["verify"], ["predict", "{data}", "-o", "{out}"], ["evaluate", "{data}"]],
)
def test_a_folder_of_bundles_is_told_from_a_bundle(arguments: list[str], tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", patients=1)
    copy_tiny(tmp_path, "models/unet")
    copy_tiny(tmp_path, "models/resunet")
    command, *rest = (each.format(data=data, out=tmp_path / "out") for each in arguments)
    done = brainseg(command, tmp_path / "models", *rest)
    assert done.code == 1
    assert f"give {tmp_path / 'models' / 'resunet'} or {tmp_path / 'models' / 'unet'}" in done.out + done.err
    done = brainseg(command, tmp_path / "models" / "unet" / "manifest.json", *rest)
    assert f"give {tmp_path / 'models' / 'unet'}" in done.out + done.err


@pytest.mark.parametrize("content", [None, b"no key", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"])
def test_a_public_key_that_is_none_is_a_fault_of_the_caller(tmp_path: Path, content: bytes | None) -> None:
    key = tmp_path / "missing.pem"
    if content is not None:
        key.write_bytes(content)
    done = brainseg("verify", BUNDLE, "--public-key", key)
    assert (done.code, done.out) == (1, "")
    assert "public key" in done.err
    assert "missing.pem" in done.err


@pytest.mark.parametrize("option", [["--variant", "int4"], ["--provider", "directml"], ["--provider", "abacus"]])
def test_bench_starts_no_process_for_what_is_not_there(option: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(benchmark, "measure_apart", started.append)
    done = brainseg("bench", BUNDLE, *option)
    assert (done.code, started) == (1, [])
    assert option[1] in done.err


def test_the_exit_codes_are_those_that_the_documents_state() -> None:
    assert (DONE, FAULT, USAGE, INTERRUPTED) == (0, 1, 2, 130)
