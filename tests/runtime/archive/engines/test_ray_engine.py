"""The Ray engine: the same rows as one process, on this machine alone, with nothing said to the network.

By the command too: what `local` gives, and what memory, disk and a kill leave. All in one file, so that no two tests
run at once: those that kill actors find them by their names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from benchmarks.archive_faults import actors
from brainseg_runtime.archive.engines.ray_engine import RayEngine, Worker, environment
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.rows import Entry
from brainseg_runtime.safe_io.typed_json import to_json
from tests.runtime import command_line
from tests.runtime.archive.engines.test_local import one_process
from tests.runtime.archive.made_archive import crew_of, job_of, lines, made_source, plain, references_of
from tests.runtime.made_slices import made_patient

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.update(environment())  # Ray reads it while it is imported
ray = pytest.importorskip("ray", reason="needs the extra archive")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own modules


STORE = 80 << 20
"""Smallest object store that Ray takes, nearly."""


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    made = RayEngine(crew_of(1))
    yield made
    made.close()


def driven(root: Path, out: Path, engine: RayEngine) -> dict[str, object]:
    with Ledger(out) as ledger:
        drive = Drive(ledger, job_of(ledger), retry_failed=False)
        drive.run(engine, references_of(root), cancelled=lambda: False, taken=lambda _: None)
        assert drive.counts.n_in == drive.counts.n_done
        return dict(plain(ledger.rows()))


def test_the_rows_are_those_of_one_process(tmp_path: Path, engine: RayEngine) -> None:
    root = made_source(tmp_path / "data", patients=5)
    assert driven(root, tmp_path / "out", engine) == one_process(root, tmp_path / "alone")


def test_ray_stays_on_this_machine_and_reports_nothing(engine: RayEngine) -> None:
    assert environment()["RAY_USAGE_STATS_ENABLED"] == "0"
    (node,) = ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"
    assert engine._folder is not None
    assert stat.S_IMODE(engine._folder.stat().st_mode) == 0o700  # its sockets are no other user's


def test_actors_killed_and_a_machine_lost_change_no_row(tmp_path: Path, engine: RayEngine) -> None:
    """On two nodes, each with an actor; `benchmarks.archive_faults` does it twenty times."""
    from ray.cluster_utils import Cluster

    engine.close()  # one driver has one cluster
    head = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": "127.0.0.1", "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1", object_store_memory=STORE)
    root = made_source(tmp_path / "data", patients=24, slices=12)
    lost: list[str] = []

    def hurt(_: Entry) -> None:
        """Kills an actor after the fourth row, and a node after the eighth."""
        lost.append("row")
        if len(lost) == 4:
            os.kill(min(actors()), signal.SIGKILL)
        if len(lost) == 8:
            cluster.remove_node(second, allow_graceful=False)

    try:
        over = RayEngine(replace(crew_of(2), address=cluster.address))
        with Ledger(tmp_path / "out") as ledger:
            drive = Drive(ledger, job_of(ledger), retry_failed=False)
            drive.run(over, references_of(root), cancelled=lambda: False, taken=hurt)
            rows = dict(plain(ledger.rows()))
        over.close()
    finally:
        cluster.shutdown()
    assert (drive.counts.n_in, drive.counts.n_done, len(lost)) == (24, 24, 24)
    assert rows == one_process(root, tmp_path / "alone")


def test_an_actor_tells_of_a_bundle_that_cannot_be_loaded(tmp_path: Path) -> None:
    """In its answer: an actor that cannot start would be started for ever."""
    load = replace(crew_of(1).load, digest="0" * 64)
    with Ledger(tmp_path / "out") as ledger:
        worker = Worker(json.dumps(to_json(load)), json.dumps(to_json(job_of(ledger))))
        text = json.dumps(to_json(references_of(made_source(tmp_path / "data", patients=1))[0]))
        answer = worker({"reference": np.array([text], dtype=object)})
    assert json.loads(answer["fault"][0])["kind"] == "DigestMismatchError"


_PATIENCE_S = 300.0
TIMES = {"seconds", "first_seconds"}


def command(engine: str, source: Path, out: Path, *more: object) -> list[str]:
    fixed = ["--provider", "cpu", "--workers", 1, "--no-previews", "--engine", engine]
    words = [sys.executable, "-m", "brainseg_runtime", "archive", command_line.BUNDLE, source, "-o", out, *fixed, *more]
    return [str(word) for word in words]


def archived(engine: str, source: Path, out: Path, *more: object, code: int | None) -> dict[str, Any]:
    """The JSON of a run in a process of its own, as Ray keeps one cluster a process; `code` None takes any."""
    words = [*command(engine, source, out, *more), "--json", "-"]
    done = subprocess.run(
        words, env=command_line.environment(), capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    assert code in {None, done.returncode}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)  # which holds nothing else, whatever Ray says
    return found


def objects_of(out: Path) -> dict[str, str]:
    """Digests of the objects on disk."""
    files = (path for path in (out / "objects").rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """Rows by source, without times."""
    return {
        row["source"]: {key: value for key, value in row.items() if key not in TIMES}
        for line in lines(out)
        for row in line["rows"]
    }


def test_both_engines_give_the_same_json_rows_and_objects(tmp_path: Path) -> None:
    """With a copy and a damaged study among the patients, so that every count is more than 0."""
    source = made_source(tmp_path / "data", patients=3)
    shutil.copytree(min(source.iterdir()), source / "copy")
    damaged = made_patient(source / "damaged", slices=2, seed=900, masks=False)
    min(damaged.iterdir()).write_bytes(b"II*\0 no image")
    found = {
        engine: archived(engine, source, tmp_path / engine, "--write", "mask,probability", code=1)
        for engine in ("local", "ray")
    }
    ray, local = found["ray"], found["local"]
    assert list(ray) == list(local)
    assert (ray["engine"], ray["n_in"], ray["n_done"], ray["n_failed"], ray["n_duplicates"]) == ("ray", 5, 3, 1, 1)
    assert {key for key in ray if ray[key] != local[key]} <= {"engine", *TIMES}
    assert rows_of(tmp_path / "ray") == rows_of(tmp_path / "local")
    assert len(objects_of(tmp_path / "ray")) == 18
    assert objects_of(tmp_path / "ray") == objects_of(tmp_path / "local")


@pytest.mark.skipif(sys.platform != "linux", reason="a cap on memory is Linux's here")
def test_a_study_that_needs_more_memory_than_an_actor_may_take_fails_and_the_others_are_done(tmp_path: Path) -> None:
    source = made_source(tmp_path / "data", patients=2)
    huge = made_patient(source / "huge", slices=1, masks=False)
    tifffile.imwrite(huge / "huge_1.tif", np.zeros((2048, 2048, 3), np.uint8), photometric="rgb")
    # What an actor has reserved and not used differs by machine: the first cap that the large study does not fit under.
    found: dict[str, Any] = {"n_failed": 0}
    out = tmp_path
    for cap in (140, 100, 70, 50):
        if not found["n_failed"]:
            out = tmp_path / f"out{cap}"
            found = archived("ray", source, out, "--memory", cap, code=None)
    assert (found["status"], found["n_done"], found["n_failed"]) == ("faulty", 2, 1)
    row = rows_of(out)["huge"]
    assert row["status"] == "failed"
    assert re.search("memory|alloc", row["error"]["got"]), row["error"]  # whoever of Python and onnxruntime wanted it


def test_a_full_disk_stops_the_run_and_a_later_start_goes_on(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=8, slices=6), tmp_path / "disk"
    out.mkdir()
    mount = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(out)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        write = ["--write", "mask,overlay,probability"]
        stopped = archived("ray", source, out / "o", *write, code=1)
        assert (stopped["status"], stopped["fault"]["kind"]) == ("stopped", "FileWriteError")
        assert 0 < stopped["n_done"] == len(lines(out / "o")) < 8
        subprocess.run(["/usr/bin/mount", "-o", "remount,size=32m", str(out)], check=True)
        found = archived("ray", source, out / "o", *write, code=0)
        assert (found["status"], found["n_in"], found["n_rows"]) == ("complete", 8, 8)
        assert found["n_known"] == stopped["n_done"]
        listed = {each["file"]: each["sha256"] for row in rows_of(out / "o").values() for each in row["objects"]}
        assert objects_of(out / "o") == listed
    finally:
        subprocess.run(["/usr/bin/umount", "-l", str(out)], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_driver_that_is_killed_is_started_again_and_goes_on(tmp_path: Path) -> None:
    source, out = made_source(tmp_path / "data", patients=30, slices=8), tmp_path / "out"
    words = command("ray", source, out, "--write", "mask")
    with subprocess.Popen(
        words, env=command_line.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            if (out / "rows.jsonl").exists() and (out / "rows.jsonl").read_bytes().count(b"\n") >= 3:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    found = archived("ray", source, out, "--write", "mask", code=0)
    assert (found["status"], found["n_in"], found["n_rows"]) == ("complete", 30, 30)
    assert found["n_known"] >= 3
    assert set(objects_of(out)) == {each["file"] for row in rows_of(out).values() for each in row["objects"]}


@pytest.mark.skipif(sys.platform != "linux", reason="actors are found by /proc")
def test_faults_are_made_and_told() -> None:
    words = [sys.executable, "-m", "benchmarks.archive_faults", "--kills", "1", "--patients", "6"]
    done = subprocess.run(
        words, env=command_line.environment(), capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    assert "6 patients in, 6 rows, " in done.stdout
    assert "0 missing or different" in done.stdout
