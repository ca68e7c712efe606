"""The brainseg-train command as a user meets it: help, faults, exit codes, JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.version import __version__
from brainseg_train import models
from brainseg_train.commands import patients
from brainseg_train.phantom.patients import write_phantom
from tests.train.studies import run_command

COMMANDS = ["all", "fit", "check", "import", "phantom", "report"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"Example: brainseg-train {command}" in " ".join(text.split())
    for part in ("Exit codes: 0 done", "--json", "--quiet"):
        assert part in text
    assert "{" not in text.partition("\n\n")[0]
    for part in ("<str>", "<path>"):
        assert part not in text


def test_the_commands_take_the_networks_from_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("all", "--help") == 0
    assert f"[default: {','.join(models.NAMES)}]" in " ".join(capsys.readouterr().out.split())
    assert run_command("fit", "--help") == 0
    about_model = capsys.readouterr().out.partition("Options:")[0]
    assert all(name in about_model for name in models.NAMES)


@pytest.mark.parametrize(
    "arguments",
    [
        ("all", "--preset", "slow"),
        ("fit",),
        ("fit", "unet", "--folds", "2"),
        ("check",),
        ("all", "--epochs", "0"),
        ("nothing",),
        ("all", "--models", "vgg"),
        ("all", "--models", "unet,unet"),
        ("all", "--models", ","),
        ("all", "--trials", "3"),
        ("all", "--split-by", "slice", "--folds", "3"),
        ("fit", "unet", "--rate", "fast"),
        ("fit", "unet", "--rate=-1"),
        ("fit", "unet", "--initial", "nowhere"),
        ("fit", "unet", "--rate", "inf"),
        ("fit", "unet", "--rate", "3e-4:nan"),
        ("fit", "unet", "--person-from", "no group"),
        ("all", "--person-from", "(x)", "--split-by", "slice"),
    ],
)
def test_wrong_usage_is_2_before_any_data_is_read_or_generated(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = ["--cache", str(tmp_path / "cache")] if arguments[0] in ("all", "fit") else []
    assert run_command(*arguments, *cache) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("all", "--data", "nowhere"), "nowhere does not exist"),
        (("fit", "unet", "--data", "{data}", "--device", "abacus"), "abacus"),
        (("fit", "unet", "--data", "{data}", "--device", "meta"), "device meta"),
        (("fit", "unet", "--data", "{data}", "--split-file", "nowhere.csv"), "nowhere.csv"),
        (("fit", "unet", "--data", "{data}", "--person-from", "(x)"), "finds no person"),
        (("report", "nowhere"), "no complete study"),
        (("check", "nowhere"), "nowhere"),
        (("phantom", "{data}/TCGA_P1_0001_20000101"), "is not replaced"),
    ],
)
def test_a_fault_is_1_and_is_named_without_a_traceback(
    arguments: tuple[str, ...], said: str, small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.format(data=small_patients) for argument in arguments]
    runs = ["--runs", str(tmp_path)] if given[0] in ("all", "fit") else []
    assert run_command(*given, *runs) == 1
    text = capsys.readouterr().err
    assert said in text
    assert "error: " in text
    assert "Traceback" not in text


def test_check_tells_what_a_set_holds(small_patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("check", str(small_patients), "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n_patients"] == 20
    assert run_command("check", str(small_patients)) == 0
    told = capsys.readouterr()
    assert "20 patients" in told.out
    assert f"slices read: {document['n_slices']} of {document['n_slices']} in" in told.err


def test_check_lists_every_problem_of_a_faulty_set_as_json_too(
    small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "faulty"
    shutil.copytree(small_patients, root)
    broken = sorted(root.glob("*/*_1_mask.tif"))[:2]
    broken[0].unlink()
    broken[1].write_bytes(b"no image")
    assert run_command("check", str(root), "--json", "-") == 1
    told = capsys.readouterr()
    problems = json.loads(told.out)["fault"]["problems"]
    assert len(problems) == 2
    assert all(problem in told.err for problem in problems)


def test_phantom_writes_the_patients_that_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = lambda out, **asked: write_phantom(out, slices=(1, 1), side=32, **asked)  # noqa: E731 - of the real writer's form
    monkeypatch.setattr("brainseg_train.phantom.patients.write_phantom", small)
    assert run_command("phantom", str(tmp_path / "out"), "--patients", "2", "--seed", "5", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == {"data": str(tmp_path / "out"), "patients": 2, "seed": 5}
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_dir()]) == 2


def test_without_data_the_phantom_stands_in_and_it_says_so(
    tmp_path: Path, small_patients: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(patients, "PHANTOM_PATIENTS", 20)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"phantom-{__version__}-20").symlink_to(small_patients, target_is_directory=True)
    options = ["--cache", "cache", "--width", "2", "--epochs", "1", "--models", "unet"]
    options += ["--workers", "1", "--threads", "1"]
    assert run_command("all", *options) == 0
    said = capsys.readouterr().err
    assert "data/kaggle_3m does not exist" in said.replace(os.sep, "/")
    assert "preset quick" in said
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kaggle_3m").symlink_to(small_patients, target_is_directory=True)
    assert run_command("all", *options, "--resume", "--preset", "quick") == 0
    said = capsys.readouterr().err
    assert "does not exist" not in said
    assert "is complete" in said  # the same patients under another name


def test_the_command_answers_without_importing_torch() -> None:
    program = "import sys; from brainseg_train import cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("--version") == 0
    assert capsys.readouterr().out.strip() == __version__
