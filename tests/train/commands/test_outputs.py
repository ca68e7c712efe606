"""`brainseg-train` keeps to the rules that all commands share: where JSON may go, quiet, streams, plain help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.studies import run_command, tiny


def test_json_never_goes_into_the_data_a_run_or_over_another_result(
    small_patients: Path, compared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = next(path for path in sorted(small_patients.iterdir()) if path.is_dir())
    image = next(patient.glob("*_1.tif"))
    run = next(compared.glob("*/run.json"))
    before = {path: path.read_bytes() for path in (image, run, compared / "leaderboard.md", compared / "report.html")}
    (tmp_path / "link.json").symlink_to(image)
    options = tiny(small_patients, tmp_path / "runs")
    for arguments in (
        ["check", str(small_patients), "--json", str(image)],
        ["check", str(small_patients), "--json", str(tmp_path / "link.json")],
        ["fit", "unet", *options, "--json", str(image)],
        ["all", *options, "--json", str(patient / "new.json")],
        ["report", str(compared), "--json", str(run)],
        ["report", str(compared), "--json", str(compared / "leaderboard.md")],
        ["report", str(compared), "--json", str(compared / "report.html")],
    ):
        assert run_command(*arguments) == 1
        assert "--json" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert not (patient / "new.json").exists()
    assert not (tmp_path / "runs").exists()


def test_an_empty_argument_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["check", ""], ["fit", "unet", "--data", ""], ["all", "--runs="], ["report", ""]):
        assert run_command(*arguments) == 2
        assert "empty" in capsys.readouterr().err


def test_quiet_says_nothing(small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["check", str(small_patients)],
        ["fit", "unet", *tiny(small_patients, tmp_path)],
    ):
        assert run_command(*arguments, "--quiet") == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="the shell's redirections are POSIX's")
@pytest.mark.parametrize("package", ["brainseg_train", "brainseg_export"])
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--help | head -c1", 0),
        ("--help >&-", 0),
        ("--help >&- 2>&-", 0),
        ("--help > /dev/full", 1),
        ("--nonsense 2> /dev/full", 2),
        ("--nonsense 2>&-", 2),
    ],
)
def test_streams_that_are_gone(package: str, line: str, code: int) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m {package} {line}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if line == "--help > /dev/full":
        assert "standard output cannot be written" in done.stderr
