"""The record of a prediction: what it says of a run, and that it is read back as it was written."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.errors import DataError, InputError
from brainseg_runtime.prediction.record import FILE, OutputFile, PatientEntry, SliceEntry, read_predictions, sha256
from brainseg_runtime.safe_io.typed_json import to_json
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data


def done(number: int, *, area: int = 10, size: tuple[int, int] = (32, 48)) -> SliceEntry:
    name = f"p_{number}"
    return SliceEntry(
        name=name, input=f"p/{name}.tif", patient="p", number=number, status="done", input_sha256=sha256(b""),
        height=size[0], width=size[1], area_px=area, mask=OutputFile(file=f"{name}_mask.tif", sha256=sha256(b"mask")),
    )  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    assert brainseg("predict", BUNDLE, made_data(folder / "data"), "-o", folder / "out", "--overlay").code == 0
    return folder / "out"


def test_the_record_is_read_as_it_was_written(out: Path) -> None:
    found = read_predictions(out, error=InputError, remedy="")
    assert found is not None
    assert to_json(found) == json.loads((out / FILE).read_text(encoding="utf-8"))
    assert (found.n_slices, found.n_done, found.status, found.layout) == (6, 6, "complete", "flat")


def test_a_volume_is_given_of_whole_patients_of_one_size_alone() -> None:
    whole = PatientEntry.of("data/p", [done(1), done(2, area=5)], (0.5, 0.5, 4.0))
    assert (whole.id, whole.n_done, whole.volume_px, whole.volume_ml, whole.warnings) == ("p", 2, 15, 0.015, ())
    failed = dataclasses.replace(done(3), status="failed")
    parts = {"not every": [done(1), failed], "differ": [done(1), done(2, size=(32, 40))], "missing": [done(1), done(3)]}
    for word, slices in parts.items():
        entry = PatientEntry.of("data/p", slices, None)
        assert any(word in line for line in entry.warnings)
        assert (entry.volume_px is None) == (word != "missing")
        assert entry.volume_ml is None


def test_a_record_of_before_has_its_missing_fields_filled_in(out: Path, tmp_path: Path) -> None:
    """Earlier versions wrote neither of these."""
    found = json.loads((out / FILE).read_text(encoding="utf-8"))
    for key in ("threshold", "validated_threshold", "layout", "warnings", "earlier"):
        del found[key]
    (tmp_path / FILE).write_text(json.dumps(found), encoding="utf-8")
    read = read_predictions(tmp_path, error=InputError, remedy="")
    assert read is not None
    assert (read.layout, read.earlier, read.origin.threshold) == ("flat", (), None)


@pytest.mark.parametrize(
    "change", [{"slices": [3]}, {"schema": "other"}, {"status": "fine"}, {"bundle": {"path": "x"}}]
)
def test_a_damaged_record_is_an_error_of_the_callers_class_with_its_remedy(
    out: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    found = json.loads((out / FILE).read_text(encoding="utf-8"))
    (tmp_path / FILE).write_text(json.dumps(found | change), encoding="utf-8")
    for kind in (InputError, DataError):
        with pytest.raises(kind, match=r"predictions\.json") as caught:
            read_predictions(tmp_path, error=kind, remedy="do this")
        assert caught.value.remedy == "do this"


def test_another_programs_file_counts_as_none_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"schema": "another/1"}', encoding="utf-8")
    assert read_predictions(tmp_path, error=InputError, remedy="", ours_only=False) is None
    with pytest.raises(InputError):
        read_predictions(tmp_path, error=InputError, remedy="")


def test_a_key_that_a_later_version_adds_is_passed_over(out: Path, tmp_path: Path) -> None:
    found = json.loads((out / FILE).read_text(encoding="utf-8"))
    (tmp_path / FILE).write_text(json.dumps(found | {"later": 1}), encoding="utf-8")
    assert read_predictions(tmp_path, error=InputError, remedy="") == read_predictions(out, error=InputError, remedy="")


def test_a_record_that_does_not_name_its_schema_is_refused_by_its_path(out: Path, tmp_path: Path) -> None:
    found = json.loads((out / FILE).read_text(encoding="utf-8"))
    del found["schema"]
    (tmp_path / FILE).write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(InputError, match=f"{re.escape(str(tmp_path))}.*schema.*brainseg/predictions/1"):
        read_predictions(tmp_path, error=InputError, remedy="")
