"""The command: its choices, its exit codes, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.conftest import run_export


def test_help_shows_an_example_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_export("--help") == 0
    shown = capsys.readouterr().out
    for part in ("--best", "--all", "--run", "--checkpoint", "--require", "--sign", "Example:", "Exit codes:"):
        assert part in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["--runs", "x"],
        ["--best", "--all"],
        ["--best", "--run", "x"],
        ["--best", "--require", "int4"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_export(*arguments) == 2
    assert capsys.readouterr().err


def test_a_fault_ends_with_1_and_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_export("--best", "--runs", str(tmp_path)) == 1
    told = capsys.readouterr().err
    assert "no study to export from" in told
    assert "remedy" in told


def test_a_key_that_is_not_there_is_told_before_any_work(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--best",
        "--runs",
        str(runs),
        "--out",
        str(tmp_path / "out"),
        "--sign",
        str(tmp_path / "k.pem"),
    ]
    assert run_export(*arguments) == 1
    assert "no private key" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_data_set_is_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from brainseg_train.phantom.patients import write_phantom

    other = write_phantom(tmp_path / "other", patients=4, seed=9, slices=(2, 2), side=64)
    arguments = ["--best", "--runs", str(runs), "--out", str(tmp_path / "out"), "--data", str(other)]
    assert run_export(*arguments) == 1
    assert "is not the data set of this run" in capsys.readouterr().err
