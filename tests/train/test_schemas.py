"""What `brainseg-train`'s commands write, and the records of runs, keep to the schemas in `docs/schemas/`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.schemas.validation import violations
from tests.train.studies import run_command, tiny


def test_the_leaderboard(compared: Path) -> None:
    board = json.loads((compared / "leaderboard.json").read_text(encoding="utf-8"))
    assert board["comparisons"]
    assert not violations("leaderboard", board)


def test_the_records_of_runs(compared: Path) -> None:
    records = sorted(compared.glob("*/run.json"))
    assert records
    for path in records:
        assert not violations("run", json.loads(path.read_text(encoding="utf-8")))
        for line in (path.parent / "history.jsonl").read_text(encoding="utf-8").splitlines():
            assert not violations("history", json.loads(line))


def test_a_fit(small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("fit", "unet", *tiny(small_patients, tmp_path, "--json", "-")) == 0
    assert not violations("fit", json.loads(capsys.readouterr().out))


def test_a_check_of_a_good_and_of_a_faulty_set(
    small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("check", str(small_patients), "--json", "-") == 0
    assert not violations("check", json.loads(capsys.readouterr().out))
    shutil.copytree(small_patients, tmp_path / "faulty")
    next((tmp_path / "faulty").glob("*/*_1_mask.tif")).unlink()
    assert run_command("check", str(tmp_path / "faulty"), "--json", "-") == 1
    assert not violations("check", json.loads(capsys.readouterr().out))


def test_a_phantom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("phantom", str(tmp_path / "out"), "--patients", "1", "--json", "-") == 0
    assert not violations("phantom", json.loads(capsys.readouterr().out))
