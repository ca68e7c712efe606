"""What `brainseg-export` writes keeps to the schemas in `docs/schemas/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.export.conftest import run_export
from tests.schemas.validation import violations

if TYPE_CHECKING:
    from tests.export.conftest import Exported


def test_an_export_and_its_manifest(exported: Exported) -> None:
    assert not violations("export", exported.report)
    manifest = json.loads((exported.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert not violations("manifest", manifest)


def test_an_export_that_was_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out" / "unet").mkdir(parents=True)
    (tmp_path / "out" / "deeplab").mkdir()
    for model in ("unet", "deeplab"):
        (tmp_path / "out" / model / "mine.txt").write_text("no bundle", encoding="utf-8")
    assert run_export("--best", "--runs", str(runs), "--out", str(tmp_path / "out"), "--json", "-") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["faults"]
    assert not violations("export", report)
