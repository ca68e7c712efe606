"""`brainseg archive` as a user runs it: results, a second start, failures, exit codes; and as a kill leaves it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.archive.results.figures import Spread
from brainseg_runtime.archive.results.page import archive_page
from brainseg_runtime.archive.results.summary import Archive
from brainseg_runtime.errors import DataError
from brainseg_runtime.safe_io.typed_json import from_json
from tests.runtime.archive.made_archive import lines, made_source
from tests.runtime.command_line import BUNDLE, brainseg, environment
from tests.schemas.validation import violations

SHORT = ["--provider", "cpu", "--workers", 1, "--no-previews"]


def archived(source: Path, out: Path, *more: object, code: int = 0) -> dict[str, Any]:
    """The JSON of a run."""
    done = brainseg("archive", BUNDLE, source, "-o", out, *SHORT, *more, "--json", "-")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_everything_is_done_once_and_written_down(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data"), tmp_path / "out"
    shutil.copytree(min(source.iterdir()), source / "copy")
    found = archived(source, out, "--write", "mask,overlay")
    assert (found["status"], found["n_in"], found["n_done"], found["n_duplicates"]) == ("complete", 5, 4, 1)
    assert found == json.loads((out / "archive.json").read_text(encoding="utf-8"))
    assert not violations("archive", found)
    page = (out / "archive.html").read_text(encoding="utf-8")
    assert "Look at these first" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    kinds = [each["kind"] for line in lines(out) for row in line["rows"] for each in row["objects"]]
    assert sorted(kinds) == ["mask"] * 12 + ["overlay"] * 12
    assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]


def test_a_second_start_does_what_is_missing(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=2), tmp_path / "out"
    archived(source, out)
    before = (out / "rows.jsonl").read_bytes()
    made_source(source, patients=3)
    found = archived(source, out)
    assert (found["n_in"], found["n_rows"]) == (3, 3)
    assert found["n_done"] + found["n_known"] + found["n_duplicates"] == 3
    again = archived(source, out)
    assert (again["n_known"], again["n_done"], again["n_slices"]) == (3, 0, 0)
    assert before.startswith(before[:1])


def test_failures_have_a_row_a_place_in_quarantine_and_another_try(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=2), tmp_path / "out"
    first = min(min(source.iterdir()).iterdir())
    whole = first.read_bytes()
    first.write_bytes(whole[:100])
    found = archived(source, out, code=1)
    assert (found["status"], found["n_done"], found["n_failed"]) == ("faulty", 1, 1)
    assert first.parent.name in (out / "quarantine.csv").read_text(encoding="utf-8")
    assert "1 study failed: quarantine.csv says" in (out / "archive.html").read_text(encoding="utf-8")
    again = archived(source, out, code=1)
    assert (again["n_known"], again["n_failed"]) == (1, 1)
    retried = archived(source, out, "--retry-failed", code=1)
    assert (retried["n_failed"], len(lines(out))) == (1, 3)
    first.write_bytes(whole)
    mended = archived(source, out)
    assert (mended["status"], mended["n_done"], mended["n_rows"]) == ("complete", 1, 2)


def test_other_settings_and_folders_of_others_are_refused(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=1), tmp_path / "out"
    archived(source, out)
    for more in (["--threshold", 0.3], ["--write", "mask"], ["--spacing", 1, 1, 5]):
        done = brainseg("archive", BUNDLE, source, "-o", out, *SHORT, *more)
        assert (done.code, "holds the rows of another run" in done.err) == (1, True), done.err
    assert brainseg("archive", BUNDLE, source, "-o", source / "inside", *SHORT).code == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    assert "holds other files" in brainseg("archive", BUNDLE, source, "-o", tmp_path / "mine", *SHORT).err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--write", "nonsense"],
        ["--address", "host:1"],
        ["--engine", "ray", "--address", "host:1"],
        ["--workers", 0],
    ],
)
def test_wrong_usage_is_2(tmp_path: Path, arguments: list[object]) -> None:
    source = made_source(tmp_path / "data", patients=1)
    assert brainseg("archive", BUNDLE, source, "-o", tmp_path / "out", *arguments).code == 2


def test_outliers_have_pictures(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=2), tmp_path / "out"
    done = brainseg("archive", BUNDLE, source, "-o", out, "--provider", "cpu", "--workers", 1, "--json", "-")
    found = json.loads(done.out)
    for each in found["outliers"]:
        assert (out / each["preview"]).read_bytes().startswith(b"\x89PNG")
    assert (out / "archive.html").read_text(encoding="utf-8").count("<img") == len(found["outliers"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_driver_that_is_killed_is_started_again_and_goes_on(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=30, slices=8), tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "brainseg_runtime",
        "archive",
        BUNDLE,
        source,
        "-o",
        out,
        *SHORT,
        "--write",
        "mask",
    ]
    process = subprocess.Popen(
        list(map(str, command)), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "rows.jsonl").exists() and (out / "rows.jsonl").read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = archived(source, out, "--write", "mask")
    assert (found["status"], found["n_in"], found["n_rows"]) == ("complete", 30, 30)
    assert found["n_known"] >= 3
    listed = {each["file"] for line in lines(out) for row in line["rows"] for each in row["objects"]}
    assert {path.relative_to(out).as_posix() for path in (out / "objects").rglob("*.tif")} == listed
    assert len({row["id"] for line in lines(out) for row in line["rows"]}) == 30


def test_a_full_disk_stops_the_run_and_a_later_start_goes_on(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=8, slices=6), tmp_path / "disk"
    out.mkdir()
    mount = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(out)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        write = ["--write", "mask,overlay,probability"]
        done = brainseg("archive", BUNDLE, source, "-o", out / "o", *SHORT, *write, "--json", "-")
        stopped = json.loads(done.out)
        assert (done.code, stopped["status"], stopped["fault"]["kind"]) == (1, "stopped", "FileWriteError")
        assert 0 < stopped["n_done"] == len(lines(out / "o")) < 8
        assert whole_objects(out / "o")
        subprocess.run(["/usr/bin/mount", "-o", "remount,size=32m", str(out)], check=True)
        found = archived(source, out / "o", *write)
        assert (found["status"], found["n_in"], found["n_rows"]) == ("complete", 8, 8)
        assert found["n_known"] == stopped["n_done"]
        assert whole_objects(out / "o")
    finally:
        subprocess.run(["/usr/bin/umount", "-l", str(out)], check=True)


def whole_objects(out: Path) -> bool:
    """Whether the objects on disk are those of the rows, byte for byte."""
    listed = {each["file"]: each["sha256"] for line in lines(out) for row in line["rows"] for each in row["objects"]}
    files = (path for path in (out / "objects").rglob("*") if path.is_file())
    return listed == {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_source_without_a_study_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "data" / "empty").mkdir(parents=True)
    done = brainseg("archive", BUNDLE, tmp_path / "data", "-o", tmp_path / "out", *SHORT)
    assert (done.code, "holds no study" in done.err) == (1, True), done.err


def test_the_page_says_how_many_studies_its_volumes_are_of(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=2), tmp_path / "out"
    archived(source, out)
    found = from_json(
        Archive, json.loads((out / "archive.json").read_text(encoding="utf-8")), "archive", error=DataError
    )
    words = "the others&#39; spacing is not known"
    assert words not in archive_page(found, out)
    mixed = replace(found, volume_unit="mL", area=Spread.of([900.0] * 3), volume=Spread.of([20.0]))
    page = archive_page(mixed, out)
    assert f"Volumes are of 1 of 3 studies with a mask; {words}" in page
