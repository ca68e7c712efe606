"""What an earlier run's record is trusted for; the rest is shown by the commands, in tests/runtime/commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.errors import InputError
from brainseg_runtime.prediction.record import FILE, Origin
from brainseg_runtime.prediction.resume import read_earlier
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("resume")
    arguments = ["-o", folder / "out", "--by-patient"]
    assert brainseg("predict", BUNDLE, made_data(folder / "data"), *arguments).code == 0
    record: dict[str, Any] = json.loads((folder / "out" / FILE).read_text(encoding="utf-8"))
    return record


def write(out: Path, record: dict[str, Any]) -> Path:
    (out / FILE).write_text(json.dumps(record), encoding="utf-8")
    return out


def test_finished_slices_are_found_by_their_place(found: dict[str, Any], tmp_path: Path) -> None:
    earlier = read_earlier(write(tmp_path, found))
    assert earlier is not None
    assert set(earlier.done) == earlier.places == {f"{each['patient']}/{each['name']}" for each in found["slices"]}
    assert read_earlier(tmp_path / "nothing") is None


def test_differences_name_what_was_and_is(found: dict[str, Any], tmp_path: Path) -> None:
    earlier = read_earlier(write(tmp_path, found))
    assert earlier is not None
    assert earlier.differences(earlier.origin, "by-patient", earlier.places) == []
    other = Origin(digest="0" * 64, provider="cpu", variant="another", versions=earlier.origin.versions, threshold=0.25)
    told = earlier.differences(other, "flat", earlier.places)
    assert [line.split()[0] for line in told] == ["bundle", "variant", "threshold", "layout"]
    assert told[-1] == "layout by-patient, now flat"


@pytest.mark.parametrize(
    "change",
    [
        *({"name": name} for name in ("../x", "", "a\0b")),
        *({"patient": patient} for patient in ("..", "a/b")),
        *({"height": -1}, {"height": None}, {"area_px": 1 << 40}, {"number": -2}),
        {"mask": {"file": "x_mask.tif", "sha256": "0" * 64}},
    ],
)
def test_a_slice_that_this_program_did_not_write_is_refused(
    found: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    slices = [found["slices"][0] | change, *found["slices"][1:]]
    with pytest.raises(InputError, match="does not write") as caught:
        read_earlier(write(tmp_path, found | {"slices": slices}))
    assert "--overwrite" in (caught.value.remedy or "")
