"""`brainseg predict`, run as a user runs it: what it writes, refuses, takes over, and keeps when interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from brainseg_runtime.images import read_mask
from tests.runtime.command_line import BUNDLE, brainseg, environment
from tests.runtime.made_slices import made_data, made_image, made_patient

if sys.platform == "win32":
    OWN_GROUP, STOP, KILL = subprocess.CREATE_NEW_PROCESS_GROUP, signal.CTRL_BREAK_EVENT, signal.SIGTERM
else:
    OWN_GROUP, STOP, KILL = 0, signal.SIGINT, signal.SIGKILL


def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def without_time(found: dict[str, Any]) -> dict[str, Any]:
    """What two runs over the same input must agree in."""
    return {key: found[key] for key in ("status", "slices", "patients", "bundle", "provider", "variant")}


def test_a_data_set_gives_a_mask_for_each_slice_and_a_record(tmp_path: Path) -> None:
    data, out = made_data(tmp_path / "data"), tmp_path / "out"
    done = brainseg("predict", BUNDLE, data, "-o", out)
    assert done.code == 0, done.err
    images = sorted(path.stem for path in data.rglob("*.tif") if not path.stem.endswith("_mask"))
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"{name}_mask.tif" for name in images), "predictions.json"]
    )
    found = record(out)
    assert found["status"] == "complete"
    assert (found["n_slices"], found["n_done"], found["n_failed"], found["n_pending"]) == (6, 6, 0, 0)
    for entry in found["slices"]:
        path = out / entry["mask"]["file"]
        pixels = tifffile.imread(path)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (entry["height"], entry["width"]) == (32, 48)
        assert set(np.unique(pixels)) <= {0, 255}
        assert entry["area_px"] == np.count_nonzero(pixels) == read_mask(path).sum()
        assert entry["mask"]["sha256"] == sha256(path)
        assert entry["input_sha256"] == sha256(Path(entry["input"]))


def test_masks_are_those_of_the_library(tmp_path: Path) -> None:
    from brainseg_runtime import Segmenter

    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    assert brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--provider", "cpu", "--probability").code == 0
    segmenter = Segmenter.load(BUNDLE, provider="cpu")
    for number in (1, 2, 3):
        result = segmenter.predict(made_image(number))
        stem = tmp_path / "out" / f"TCGA_X_1_19990101_{number}"
        np.testing.assert_array_equal(read_mask(Path(f"{stem}_mask.tif")), result.mask)
        probability = tifffile.imread(f"{stem}_probability.tif")
        assert probability.dtype == np.float32
        np.testing.assert_array_equal(probability, result.probability)


def test_a_patient_has_its_areas_and_its_volume(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    assert brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--spacing", "0.5", "2", "3").code == 0
    (patient,) = record(tmp_path / "out")["patients"]
    areas = [area["area_px"] for area in patient["areas"]]
    assert patient["id"] == folder.name
    assert [area["number"] for area in patient["areas"]] == [1, 2, 3]
    assert patient["volume_px"] == sum(areas)
    assert patient["volume_ml"] == pytest.approx(sum(areas) * 0.5 * 2 * 3 / 1000)


def test_a_missing_slice_number_is_remarked_on(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    (folder / f"{folder.name}_2.tif").unlink()
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out")
    assert done.code == 0
    assert "missing" in record(tmp_path / "out")["patients"][0]["warnings"][0]
    assert "2" in done.err


def test_overlays_are_pictures_of_the_slice(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    assert brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--overlay").code == 0
    with Image.open(tmp_path / "out" / f"{folder.name}_1_overlay.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (96, 64))


def test_one_bad_file_does_not_stop_the_rest_and_is_named(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101"), tmp_path / "out"
    bad = folder / f"{folder.name}_2.tif"
    bad.write_bytes(b"no image at all")
    done = brainseg("predict", BUNDLE, folder, "-o", out)
    assert done.code == 1
    assert bad.name in done.err
    found = record(out)
    assert found["status"] == "faulty"
    assert [entry["status"] for entry in found["slices"]] == ["done", "failed", "done"]
    error = found["slices"][1]["error"]
    assert error["kind"] == "ImageError"
    assert bad.name in error["what"]
    assert found["patients"][0]["volume_px"] is None, "a volume with a hole in it is none"
    assert not (out / f"{bad.stem}_mask.tif").exists()


def test_a_name_that_holds_a_new_line_stays_on_one_line(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    folder = folder.rename(tmp_path / "pa\nerror: forged")
    (folder / "\u202e\n_9.tif").write_bytes(b"no image at all")
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out")
    assert done.code == 1
    assert not any(line.startswith(("error: forged", "_9")) for line in done.err.splitlines())
    assert "\u202e" not in done.err
    assert r"\u202e\n_9.tif" in done.err


def test_a_result_that_cannot_be_written_is_a_fault_of_its_slice_alone(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101"), tmp_path / "out"
    (out / f"{folder.name}_2_mask.tif" / "in the way").mkdir(parents=True)
    done = brainseg("predict", BUNDLE, folder, "-o", out)
    assert done.code == 1
    found = record(out)
    assert [entry["status"] for entry in found["slices"]] == ["done", "failed", "done"]
    assert found["slices"][1]["error"]["kind"] == "FileWriteError"


def test_strict_turns_the_guards_warnings_into_faults(tmp_path: Path) -> None:
    folder, out = tmp_path / "TCGA_X_1_19990101", tmp_path / "out"
    folder.mkdir()
    tifffile.imwrite(folder / "TCGA_X_1_19990101_1.tif", np.zeros((32, 32, 3), np.uint8), photometric="rgb")
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    assert "blank" in record(out)["slices"][0]["warnings"][0]
    for more in ([], ["--resume"]):
        assert brainseg("predict", BUNDLE, folder, "-o", out, "--strict", *more).code == 1
        assert record(out)["slices"][0]["status"] == "failed"


@pytest.mark.parametrize("missing", ["tifffile", "PIL"])
def test_a_missing_extra_is_one_fault_that_names_it(tmp_path: Path, missing: str) -> None:
    """The extra is hidden from a fresh interpreter."""
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    arguments = ["predict", str(BUNDLE), str(folder), "-o", str(tmp_path / "out"), "--overlay"]
    script = (
        f"import sys; sys.modules[{missing!r}] = None\nfrom brainseg_runtime.cli import main\nmain({arguments!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=False, timeout=60
    )
    assert done.returncode == 1
    assert "brainseg-runtime[io]" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", 1), ("height", -1), ("area_px", True), ("warnings", [None]), ("mask", {"file": "a/b", "sha256": ""})],
)
def test_a_record_with_an_odd_entry_is_refused(tmp_path: Path, key: str, value: object) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1), tmp_path / "out"
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    found = record(out)
    found["slices"][0][key] = value
    (out / "predictions.json").write_text(json.dumps(found), encoding="utf-8")
    done = brainseg("predict", BUNDLE, folder, "-o", out, "--resume")
    assert done.code == 1
    assert "without --resume" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file's name be any bytes")
def test_a_name_that_is_no_utf8_is_segmented_and_resumed(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1, masks=False), tmp_path / "out"
    next(folder.iterdir()).rename(folder / os.fsdecode(b"odd\xff_1.tif"))
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    (entry,) = record(out)["slices"]
    assert (out / entry["mask"]["file"]).exists()
    done = brainseg("predict", BUNDLE, folder, "-o", out, "--resume")
    assert done.code == 0, done.err
    assert "resume: 1 slice " in done.err


def test_colliding_names_are_an_error_before_anything_is_written(tmp_path: Path) -> None:
    for site in ("one", "two"):
        made_patient(tmp_path / site / "TCGA_X_1_19990101", slices=1)
    done = brainseg("predict", BUNDLE, tmp_path / "one", tmp_path / "two", "-o", tmp_path / "out")
    assert done.code == 1
    assert "same files" in done.err
    assert not (tmp_path / "out").exists()


def test_truth_masks_are_never_overwritten(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    before = {path.name: sha256(path) for path in folder.iterdir()}
    done = brainseg("predict", BUNDLE, folder, "-o", folder)
    assert done.code == 1
    assert "among the inputs" in done.err
    assert {path.name: sha256(path) for path in folder.iterdir()} == before


def test_json_on_stdout_is_the_record_and_nothing_else(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101")
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--json", "-")
    assert json.loads(done.out) == record(tmp_path / "out")


def test_resume_keeps_what_is_unchanged_and_redoes_the_rest(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=5), tmp_path / "out"
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    first, times = record(out), {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.tif")}
    (out / f"{folder.name}_2_mask.tif").unlink()
    (out / f"{folder.name}_3_mask.tif").write_bytes(b"changed")
    tifffile.imwrite(folder / f"{folder.name}_4.tif", made_image(77), photometric="rgb")
    done = brainseg("predict", BUNDLE, folder, "-o", out, "--resume")
    assert done.code == 0
    again = record(out)
    redone = {path.name for path in out.glob("*_mask.tif") if path.stat().st_mtime_ns != times[path.name]}
    assert redone == {f"{folder.name}_{number}_mask.tif" for number in (2, 3, 4)}
    assert [again["slices"][i] for i in (0, 1, 2, 4)] == [first["slices"][i] for i in (0, 1, 2, 4)]
    assert again["slices"][3]["input_sha256"] == sha256(folder / f"{folder.name}_4.tif")
    assert all(entry["mask"]["sha256"] == sha256(out / entry["mask"]["file"]) for entry in again["slices"])


def test_resume_makes_the_files_that_are_asked_for_anew(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=2), tmp_path / "out"
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    assert brainseg("predict", BUNDLE, folder, "-o", out, "--resume", "--overlay").code == 0
    assert len(list(out.glob("*_overlay.png"))) == 2


def test_nothing_of_an_earlier_run_stays_beside_what_is_made_anew_or_fails(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=2), tmp_path / "out"
    assert brainseg("predict", BUNDLE, folder, "-o", out, "--overlay", "--probability").code == 0
    (folder / f"{folder.name}_2.tif").write_bytes(b"damaged since")
    (out / "notes.txt").write_text("not ours", encoding="utf-8")
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 1
    kept = {f"{folder.name}_1_mask.tif", "predictions.json", "notes.txt"}
    assert {path.name for path in out.iterdir()} == kept, "the second slice failed, and only masks were asked for"


@pytest.mark.parametrize("package", ["onnxruntime", "brainseg"])
def test_resume_takes_nothing_over_from_another_version(tmp_path: Path, package: str) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=2), tmp_path / "out"
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    found = record(out)
    found["versions"][package] = "0.0.1"
    (out / "predictions.json").write_text(json.dumps(found), encoding="utf-8")
    assert "resume: 0 slices" in brainseg("predict", BUNDLE, folder, "-o", out, "--resume").err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "brainseg/predictions/1"}'])
def test_a_damaged_record_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1), tmp_path / "out"
    out.mkdir()
    (out / "predictions.json").write_text(text, encoding="utf-8")
    done = brainseg("predict", BUNDLE, folder, "-o", out, "--resume")
    assert done.code == 1
    assert "without --resume" in done.err


def test_a_record_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    folder, out = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1), tmp_path / "out"
    assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
    found = record(out)
    found["slices"][0]["mask"]["file"] = "../secret.tif"
    (out / "predictions.json").write_text(json.dumps(found), encoding="utf-8")
    assert brainseg("predict", BUNDLE, folder, "-o", out, "--resume").code == 1


def test_a_record_is_refused_before_a_model_of_another_digest_runs(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--digest", "0" * 64)
    assert done.code == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_spacing_that_is_no_length_is_wrong_usage(tmp_path: Path, value: str) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--spacing", "1", value, "1")
    assert done.code == 2


@pytest.fixture(scope="module")
def long_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough slices that a run can be stopped in their middle."""
    folder = made_patient(tmp_path_factory.mktemp("long") / "TCGA_X_1_19990101", slices=1)
    for number in range(2, 201):
        shutil.copy(folder / f"{folder.name}_1.tif", folder / f"{folder.name}_{number}.tif")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(long_patient: Path) -> dict[str, Any]:
    out = long_patient.parent / "whole"
    assert brainseg("predict", BUNDLE, long_patient, "-o", out, "--overlay").code == 0
    return without_time(record(out))


def stopped_run(folder: Path, out: Path, *, stop: int, once: str, more: Sequence[str] = ()) -> tuple[int, str]:
    """Starts a run of its own, stops it as soon as a file matching `once` is there; exit code and messages."""
    command = [sys.executable, "-m", "brainseg_runtime", "predict", BUNDLE, folder, "-o", out, "--overlay", *more]
    with subprocess.Popen(
        [str(part) for part in command], stderr=subprocess.PIPE, text=True, env=environment(), creationflags=OWN_GROUP
    ) as process:
        while process.poll() is None and not (out.is_dir() and any(out.glob(once))):
            pass
        process.send_signal(stop)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_an_interrupt_keeps_what_is_done_and_resume_ends_as_if_there_was_none(
    long_patient: Path, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    """SIGINT on POSIX; on Windows its counterpart for one process group, CTRL_BREAK_EVENT."""
    out = tmp_path / "out"
    code, err = stopped_run(long_patient, out, stop=STOP, once="*_mask.tif")
    assert code == 130, err
    found = record(out)
    assert found["status"] == "interrupted"
    assert 0 < found["n_done"] < 200
    kept = [entry for entry in found["slices"] if entry["status"] == "done"]
    assert all(sha256(out / entry["mask"]["file"]) == entry["mask"]["sha256"] for entry in kept)
    assert not [path for path in out.iterdir() if path.name.startswith(".")], "no half-written file is left"

    done = brainseg("predict", BUNDLE, long_patient, "-o", out, "--overlay", "--resume")
    assert done.code == 0, done.err
    assert f"resume: {len(kept)} slices" in done.err
    assert without_time(record(out)) == uninterrupted


def test_a_second_interrupt_does_not_forget_what_the_first_run_did(
    long_patient: Path, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    """The resumed run is stopped as soon as it writes the one slice that was missing, the first."""
    out = tmp_path / "out"
    shutil.copytree(long_patient.parent / "whole", out)
    first = f"{long_patient.name}_1_mask.tif"
    (out / first).unlink()
    code, err = stopped_run(long_patient, out, stop=STOP, once=first, more=["--resume"])
    assert code in {0, 130}, err  # 0: it was faster than the signal
    found = record(out)
    assert found["n_done"] >= 199
    if code == 130:
        assert found["status"] == "interrupted"
    done = brainseg("predict", BUNDLE, long_patient, "-o", out, "--overlay", "--resume")
    assert done.code == 0, done.err
    assert without_time(record(out)) == uninterrupted


def test_a_killed_run_resumes_and_ends_as_if_it_was_not(
    long_patient: Path, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    """Killed without a chance to react, once the record was saved for the first time."""
    out = tmp_path / "out"
    stopped_run(long_patient, out, stop=KILL, once="predictions.json")
    assert record(out)["n_done"] > 0
    done = brainseg("predict", BUNDLE, long_patient, "-o", out, "--overlay", "--resume")
    assert done.code == 0, done.err
    assert without_time(record(out)) == uninterrupted
