"""A format whose reader is listed in the runtime is checked and trained on like any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from brainseg_runtime.images.formats import also_reading
from tests.runtime.images.bsraw import BSRAW, in_bsraw
from tests.train.studies import run_command


def test_check_finds_the_same_set_in_it(
    small_patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patients = sorted(path for path in small_patients.iterdir() if path.is_dir())[:3]
    found = []
    for name, form in (("plain", Path), ("raw", in_bsraw)):
        for patient in patients:
            shutil.copytree(patient, tmp_path / name / patient.name)
        with also_reading(BSRAW):
            assert run_command("check", str(form(tmp_path / name)), "--json", "-") == 0
        report = json.loads(capsys.readouterr().out)
        found.append({key: value for key, value in report.items() if key != "data"})
    assert found[0] == found[1]
