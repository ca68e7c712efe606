"""A second `brainseg predict` into the same folder: the record stays true, and no mask of another model stays."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data, made_image, made_patient
from tests.runtime.tiny import copy_tiny, edit_manifest


def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    return found


def content(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def recorded(found: dict[str, Any]) -> dict[str, str]:
    """Every file that a record names, with its digest."""
    kinds = ("mask", "probability", "overlay")
    entries = [entry[kind] for entry in (*found["slices"], *found["earlier"]) for kind in kinds]
    return {file["file"]: file["sha256"] for file in entries if file is not None}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first, second = (made_patient(tmp_path / "data" / f"TCGA_X_{n}_19990101", seed=10 * n) for n in (1, 2))
    return first, second


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same model under another version: another bundle, by its digest."""
    bundle = copy_tiny(tmp_path, "other")
    edit_manifest(bundle, lambda value: value.update(version="2.0.0"))
    return bundle


@pytest.mark.parametrize("more", [["--resume"], ["--overwrite"], []])
def test_what_a_killed_run_left_half_written_is_removed_and_nothing_else(
    two: tuple[Path, Path], tmp_path: Path, more: list[str]
) -> None:
    out = tmp_path / "out"
    arguments = ("predict", BUNDLE, two[0], "-o", out, "--by-patient", *more)
    assert brainseg(*arguments).code == 0
    before = content(out)
    inner = out / two[0].name
    for folder, name in ((out, "predictions.json"), (inner, f"{two[0].name}_1_mask.tif")):
        (folder / f".{name}.0123456789ab.tmp").write_bytes(b"half")
    others = (".notes.tmp", ".other.tif.0123456789ab.tmp", f"{two[0].name}_1_mask.tif.0123456789ab.tmp")
    for name in others:
        (inner / name).write_bytes(b"somebody's")
    assert brainseg(*arguments).code == 0
    after = content(out)
    assert after.keys() - before.keys() == {f"{two[0].name}/{name}" for name in others}
    assert not before.keys() - after.keys()


def test_further_slices_by_the_same_model_are_added_and_all_stay_on_record(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for folder in (*two, two[0]):
        assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
        files = content(out)
        del files["predictions.json"]
        assert recorded(record(out)) == files
    found = record(out)
    assert {entry["patient"] for entry in found["slices"]} == {two[0].name}
    assert {entry["patient"] for entry in found["earlier"]} == {two[1].name}
    assert "resume: 6 slices" in brainseg("predict", BUNDLE, two[0].parent, "-o", out, "--resume").err


@pytest.mark.parametrize("more", [[], ["--resume"]])
@pytest.mark.parametrize("change", ["bundle", "variant", "threshold", "layout"])
def test_another_model_threshold_or_layout_is_refused_and_changes_nothing(
    two: tuple[Path, Path], other: Path, tmp_path: Path, change: str, more: list[str]
) -> None:
    out = tmp_path / "out"
    assert brainseg("predict", BUNDLE, two[0], "-o", out, "--variant", "fp32").code == 0
    before = content(out)
    bundle = other if change == "bundle" else BUNDLE
    variant = "int8" if change == "variant" else "fp32"
    options = {"threshold": ["--threshold", "0.9"], "layout": ["--by-patient"]}.get(change, [])
    for folder in two:
        done = brainseg("predict", bundle, folder, "-o", out, "--variant", variant, *options, *more)
        assert done.code == 1
        assert change in done.err
        assert "--overwrite" in done.err
        assert content(out) == before


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_overwrite_leaves_nothing_of_the_other_model(
    two: tuple[Path, Path], other: Path, tmp_path: Path, more: list[str]
) -> None:
    """Also not of slices that are not among the new run's inputs, in any kind of file and either layout."""
    out = tmp_path / "out"
    for layout in ("--by-patient", "--flat"):
        assert brainseg("predict", BUNDLE, two[0].parent, "-o", out, "--overlay", "--overwrite", layout).code == 0
        (out / "notes.txt").write_text("not ours", encoding="utf-8")
        done = brainseg("predict", other, two[1], "-o", out, "--overwrite", *more)
        assert done.code == 0, done.err
        names = {f"{two[1].name}_{n}_mask.tif" for n in (1, 2, 3)}
        assert {path.name for path in out.iterdir()} == names | {"notes.txt", "predictions.json"}
        assert record(out)["earlier"] == []
        (out / "notes.txt").unlink()


@pytest.mark.parametrize("key", ["onnxruntime", "provider"])
def test_another_version_or_provider_makes_its_own_slices_anew_and_leaves_no_others(
    two: tuple[Path, Path], tmp_path: Path, key: str
) -> None:
    out = tmp_path / "out"
    assert brainseg("predict", BUNDLE, two[0].parent, "-o", out).code == 0
    found = record(out)
    (found if key == "provider" else found["versions"])[key] = "another"
    (out / "predictions.json").write_text(json.dumps(found), encoding="utf-8")
    done = brainseg("predict", BUNDLE, two[0], "-o", out)
    assert done.code == 1, "the second patient's masks are the other version's"
    assert key in done.err
    done = brainseg("predict", BUNDLE, two[0].parent, "-o", out, "--resume")
    assert (done.code, "resume: 0 slices" in done.err) == (0, True)


def test_masks_that_no_record_tells_of_are_not_replaced(two: tuple[Path, Path], tmp_path: Path) -> None:
    """Such as those that a reader drew."""
    out = tmp_path / "out"
    out.mkdir()
    drawn = out / f"{two[0].name}_2_mask.tif"
    drawn.write_bytes(b"drawn by hand")
    done = brainseg("predict", BUNDLE, two[0], "-o", out)
    assert done.code == 1
    assert drawn.name in done.err
    assert drawn.read_bytes() == b"drawn by hand"
    assert brainseg("predict", BUNDLE, two[1], "-o", out).code == 0, "other names are free"
    assert brainseg("predict", BUNDLE, two[0], "-o", out).code == 1
    assert brainseg("predict", BUNDLE, two[0], "-o", out, "--overwrite").code == 0
    assert drawn.read_bytes() != b"drawn by hand"


def test_a_record_that_cannot_be_read_is_refused_and_overwritten_when_asked(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert brainseg("predict", BUNDLE, two[0], "-o", out).code == 0
    (out / "predictions.json").write_text("{", encoding="utf-8")
    assert brainseg("predict", BUNDLE, two[0], "-o", out).code == 1
    done = brainseg("predict", BUNDLE, two[0], "-o", out, "--overwrite")
    assert (done.code, "cannot be read" in done.err) == (0, True)
    assert record(out)["n_done"] == 3


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a/b/c"])
def test_a_record_cannot_lead_overwriting_out_of_the_folder(
    two: tuple[Path, Path], other: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    assert brainseg("predict", BUNDLE, two[0], "-o", out).code == 0
    (tmp_path / "x_mask.tif").write_bytes(b"mine")
    found = record(out)
    found["slices"][0] |= {"name": name, "status": "pending", "mask": None}
    (out / "predictions.json").write_text(json.dumps(found), encoding="utf-8")
    brainseg("predict", other, two[0], "-o", out, "--overwrite")
    assert (tmp_path / "x_mask.tif").read_bytes() == b"mine"


def test_by_patient_gives_each_a_folder_and_names_may_repeat(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    for index, patient in enumerate(("a", "b")):
        (data / patient).mkdir(parents=True)
        for number in (1, 2):
            image = made_image(10 * index + number)
            tifffile.imwrite(data / patient / f"slice_{number}.tif", image, photometric="rgb")
    refused = brainseg("predict", BUNDLE, data, "-o", out)
    assert (refused.code, "--by-patient" in refused.err) == (1, True)
    assert not out.exists()
    assert brainseg("predict", BUNDLE, data, "-o", out, "--by-patient", "--overlay").code == 0
    found = record(out)
    assert found["layout"] == "by-patient"
    assert [entry["mask"]["file"] for entry in found["slices"]] == [
        f"{patient}/slice_{number}_mask.tif" for patient in ("a", "b") for number in (1, 2)
    ]
    files = content(out)
    del files["predictions.json"]
    assert recorded(found) == files
    (out / "a" / "slice_1_mask.tif").unlink()
    done = brainseg("predict", BUNDLE, data, "-o", out, "--by-patient", "--overlay", "--resume")
    assert (done.code, "resume: 4 slices" in done.err) == (0, True)
    assert record(out) == found


def test_by_patient_a_link_does_not_lead_results_elsewhere(tmp_path: Path) -> None:
    data, out = made_data(tmp_path / "data", patients=1), tmp_path / "out"
    patient = next(data.glob("TCGA*"))
    before = content(data)
    out.mkdir()
    (out / patient.name).symlink_to(patient, target_is_directory=True)
    done = brainseg("predict", BUNDLE, data, "-o", out, "--by-patient")
    assert (done.code, "leads out" in done.err) == (1, True)
    assert content(data) == before


def test_slices_that_differ_in_size_have_no_volume(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    tifffile.imwrite(folder / f"{folder.name}_2.tif", made_image(5, height=24, width=20), photometric="rgb")
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--spacing", 1, 1, 1)
    assert done.code == 0
    (patient,) = record(tmp_path / "out")["patients"]
    assert (patient["volume_px"], patient["volume_ml"]) == (None, None)
    (warning,) = patient["warnings"]
    assert "24x20" in warning
    assert "32x48" in warning
    assert warning in done.err


def test_every_warning_and_error_names_its_slice(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    (folder / f"{folder.name}_1.tif").write_bytes(b"no image")
    tifffile.imwrite(folder / f"{folder.name}_2.tif", made_image(1) * 0, photometric="rgb")
    for more in ([], ["--strict"]):
        err = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", *more).err
        lines = [line for line in err.splitlines() if line.startswith(("warning:", "error:"))]
        assert lines
        assert all(line.split(": ", 1)[1].startswith(str(folder)) for line in lines), lines
        assert sum(f"{folder.name}_1.tif" in line for line in lines) == 1
        assert sum(f"{folder.name}_2.tif" in line for line in lines) >= 1


def test_many_slices_that_say_the_same_are_one_line(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=15)
    for number in range(1, 16):
        tifffile.imwrite(folder / f"{folder.name}_{number}.tif", made_image(1) * 0, photometric="rgb")
    err = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out").err
    assert len([line for line in err.splitlines() if "blank" in line]) == 1
    assert "and 12 more" in err
    assert all(entry["warnings"] for entry in record(tmp_path / "out")["slices"])


def test_notes_of_the_reader_are_warnings_of_their_slice(tmp_path: Path) -> None:
    """An opaque alpha channel is dropped, and that is told; it stays on record when the slice is taken over."""
    folder, out = tmp_path / "TCGA_X_1_19990101", tmp_path / "out"
    folder.mkdir()
    image = made_image(3)
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    Image.fromarray(opaque, "RGBA").save(folder / f"{folder.name}_1.png")
    Image.fromarray(image).save(folder / f"{folder.name}_2.png")
    for more in ([], ["--resume"]):
        done = brainseg("predict", BUNDLE, folder, "-o", out, *more)
        assert done.code == 0, done.err
        with_alpha, plain = record(out)["slices"]
        assert any("alpha" in text for text in with_alpha["warnings"])
        assert not any("alpha" in text for text in plain["warnings"])
        assert with_alpha["mask"]["sha256"] == plain["mask"]["sha256"]
        assert sum("alpha" in line and f"{folder.name}_1.png" in line for line in done.err.splitlines()) == 1
