"""What `brainseg`'s commands write keeps to the schemas in `docs/schemas/`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data, made_patient
from tests.runtime.tiny import copy_tiny
from tests.schemas.validation import violations

ROOT = Path(__file__).resolve().parents[2]


def written(*arguments: object, code: int = 0) -> dict[str, Any]:
    done = brainseg(*arguments, "--json", "-")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--overlay", "--probability", "--spacing", "1", "1", "5"],
        ["--threshold", "0.25", "--by-patient"],
    ],
)
def test_predictions(tmp_path: Path, more: list[str]) -> None:
    data, out = made_data(tmp_path / "data"), tmp_path / "out"
    assert not violations("predictions", written("predict", BUNDLE, data, "-o", out, *more))
    assert not violations("predictions", json.loads((out / "predictions.json").read_text(encoding="utf-8")))


def test_predictions_with_a_faulty_slice_and_those_of_an_earlier_run(tmp_path: Path) -> None:
    first, second = (made_patient(tmp_path / f"TCGA_X_{n}_19990101") for n in (1, 2))
    (second / f"{second.name}_2.tif").write_bytes(b"no image")
    written("predict", BUNDLE, first, "-o", tmp_path / "out")
    found = written("predict", BUNDLE, second, "-o", tmp_path / "out", code=1)
    assert len(found["earlier"]) == 3
    assert found["slices"][1]["error"]
    assert not violations("predictions", found)


@pytest.mark.parametrize("patients", [1, 2])
def test_evaluation(tmp_path: Path, patients: int) -> None:
    assert not violations("evaluation", written("evaluate", BUNDLE, made_data(tmp_path / "data", patients=patients)))


@pytest.mark.parametrize("more", [[], ["--spacing", "1", "1", "5"]])
def test_evaluation_of_masks_that_are_there(tmp_path: Path, more: list[str]) -> None:
    data, out = made_data(tmp_path / "data"), tmp_path / "out"
    written("predict", BUNDLE, data, "-o", out)
    assert not violations("evaluation", written("evaluate", data, "--predictions", out, *more))


def test_a_faulty_data_set(tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", masks=False)
    found = written("evaluate", BUNDLE, data, code=1)
    assert found["fault"]["problems"]
    assert not violations("fault", found)


def test_bench() -> None:
    quick = ["--batch", 1, "--side", 16, "--seconds", 0]
    assert not violations("bench", written("bench", BUNDLE, "--provider", "cpu", *quick))
    assert not violations("bench", written("bench", BUNDLE, "--variant", "no such", *quick, code=1))


def test_verification(tmp_path: Path) -> None:
    assert not violations("verification", written("verify", BUNDLE))
    damaged = copy_tiny(tmp_path)
    (damaged / "MODEL_CARD.md").write_text("another", encoding="utf-8")
    assert not violations("verification", written("verify", damaged, code=1))
    shutil.rmtree(damaged)
    assert not violations("verification", written("verify", damaged, code=1))


def test_golden(tmp_path: Path) -> None:
    written("verify", BUNDLE, "--write-golden", tmp_path / "golden")
    assert not violations("golden", json.loads((tmp_path / "golden" / "index.json").read_text(encoding="utf-8")))


def test_doctor() -> None:
    for bundle in ([], [BUNDLE]):
        done = brainseg("doctor", *bundle, "--json", "-")
        assert not violations("doctor", json.loads(done.out))


SHIPPED = sorted(manifest.parent for manifest in (ROOT / "models").glob("*/manifest.json"))


@pytest.mark.parametrize("bundle", [BUNDLE, *SHIPPED], ids=lambda path: path.name)
def test_manifests(bundle: Path) -> None:
    assert not violations("manifest", json.loads((bundle / "manifest.json").read_text(encoding="utf-8")))
