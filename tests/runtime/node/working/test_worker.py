"""Workers: whatever a study does to its process, it ends done or quarantined, and the next one is segmented."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from brainseg_runtime.node.config import Destination, NodeConfig, WorkSettings
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from brainseg_runtime.node.working.worker import Worker
from tests.runtime.node.queued_studies import queue, until, write_made
from tests.runtime.tiny import TINY, copy_tiny
from tests.studies_made.uids import made_uid

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")

SETTINGS = WorkSettings(threads=1, provider="cpu", variant="fp32", register=False)
PACS = Destination(name="pacs", aet="PACS", host="127.0.0.1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


class Working:
    """A worker, and its log."""

    def __init__(self, store: Store, settings: WorkSettings, bundle: Path = TINY) -> None:
        self._stream = io.StringIO()
        config = NodeConfig(work=settings, send=(PACS,))
        self.worker = Worker(config, bundle, store, Log(self._stream))

    def named(self, name: str) -> list[Mapping[str, Any]]:
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [each for each in lines if each["event"] == name]


@contextmanager
def working(store: Store, settings: WorkSettings = SETTINGS, bundle: Path = TINY) -> Iterator[Working]:
    """A worker at work."""
    made = Working(store, settings, bundle)
    made.worker.start()
    try:
        yield made
    finally:
        made.worker.stop()
        assert not made.worker.alive


def other(number: int) -> dict[str, Any]:
    """Tags of another study."""
    return {"StudyInstanceUID": made_uid("study", number)}


def state(store: Store, key: str) -> str:
    return store.study(key).state


def test_a_study_is_segmented_and_its_objects_are_due(store: Store, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "study"))
    with working(store) as at_work:
        until(lambda: state(store, key) == "done")
    (row,) = store.results(key)
    assert row.made.volume_ml > 0
    assert row.made.preview == "preview.png"
    assert {each.kind for each in row.made.objects} == {"seg", "sr", "sc"}
    for each in row.made.objects:
        header = pydicom.dcmread(row.made.folder / each.path)
        assert (header.SOPInstanceUID, header.SOPClassUID, header.SeriesInstanceUID) == (
            each.sop_uid, each.sop_class, each.series_uid,
        )  # fmt: skip
    assert {each.state for each in store.deliveries(key)} == {"waiting"}
    for path in row.made.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert len(at_work.named("study_done")) == 1


def test_a_study_that_ends_its_process_twice_is_quarantined_and_the_next_one_is_done(
    store: Store, tmp_path: Path
) -> None:
    bad = queue(store, write_made(tmp_path / "bad"))
    with working(store, replace(SETTINGS, register=True)) as at_work:
        for times in (1, 2):
            until(lambda: len(at_work.named("study_claimed")) == times)  # noqa: B023 - called within the round
            pid = at_work.worker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            until(lambda: len(at_work.named("worker_crashed")) == times)  # noqa: B023
        good = queue(store, write_made(tmp_path / "good", tags=other(2)))
        until(lambda: state(store, good) == "done")
    row = store.study(bad)
    assert (row.state, row.crashes) == ("quarantined", 2)
    assert row.error is not None
    assert row.error["kind"] == "WorkerError"
    assert not [each for each in (store.folder.results / bad).rglob("*") if each.is_file()]


def test_a_study_that_takes_too_long_is_ended_at_its_deadline(store: Store, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "study"))
    with working(store, replace(SETTINGS, deadline_seconds=0.05)):
        until(lambda: state(store, key) == "quarantined")
    assert "hung" in json.dumps(store.study(key).error)


@pytest.mark.skipif(sys.platform != "linux", reason="the cap is tried where the system enforces one")
def test_a_study_beyond_the_memory_cap_is_quarantined(store: Store, tmp_path: Path) -> None:
    with working(store) as at_work:
        assert at_work.worker.ready.wait(30)
        status = Path(f"/proc/{at_work.worker.pid}/status").read_text("ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmData")]
    key = queue(store, write_made(tmp_path / "study"))
    with working(store, replace(SETTINGS, register=True, memory_mib=int(line.split()[1]) // 1024 + 16)) as at_work:
        until(lambda: state(store, key) == "quarantined")
        assert len(at_work.named("worker_crashed")) == 2


def test_a_study_without_flair_is_quarantined_at_once_with_its_reason_and_no_name(store: Store, tmp_path: Path) -> None:
    folder = write_made(
        tmp_path / "study",
        roles=("pre", "post"),
        tags={"PatientName": "Zyxwv^Qrst", "PatientID": "ID-778899", "SeriesDescription": "T1 ZYXWV ID-778899"},
    )
    key = queue(store, folder)
    with working(store) as at_work:
        until(lambda: state(store, key) == "quarantined")
        assert len(at_work.named("study_claimed")) == 1
        assert not at_work.named("worker_crashed")
    row = store.study(key)
    assert row.error is not None
    said = json.dumps(row.error).lower()
    assert "flair" in said
    for secret in ("zyxwv", "qrst", "778899", "1950", row.uid, str(tmp_path)):
        assert secret.lower() not in said


def test_half_a_series_is_withheld_until_the_other_half_comes(store: Store, tmp_path: Path) -> None:
    whole = write_made(tmp_path / "study")
    rest = tmp_path / "rest"
    rest.mkdir()
    for number, path in enumerate(sorted(whole.rglob("*.dcm"))):
        if float(pydicom.dcmread(path).ImagePositionPatient[2]) > 0:
            path.rename(rest / f"{number}.dcm")
    key = queue(store, whole)
    with working(store, replace(SETTINGS, partial="withhold")):
        until(lambda: state(store, key) == "quarantined")
        assert "part of a head" in str(store.study(key).error)
        assert not store.deliveries(key)
        assert queue(store, rest) == key
        until(lambda: state(store, key) == "done")
    (result,) = store.results(key)
    assert not [each for each in result.made.warnings if each.startswith("part of a head")]


def test_stopping_gives_the_study_back_as_it_was(store: Store, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "study"))
    made = Working(store, replace(SETTINGS, register=True))
    made.worker.start()
    until(lambda: made.named("study_claimed"))
    pid = made.worker.pid
    made.worker.stop()
    row = store.study(key)
    assert (row.state, row.crashes) == ("waiting", 0)
    assert not _runs(pid)


def test_stopping_with_patience_finishes_the_study(store: Store, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "study"))
    made = Working(store, SETTINGS)
    made.worker.start()
    until(lambda: made.named("study_claimed"))
    made.worker.stop(patience=30)
    assert state(store, key) == "done"


def test_a_late_image_makes_a_report_that_names_the_one_before(store: Store, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "first", roles=("flair", "pre")))
    with working(store) as at_work:
        until(lambda: state(store, key) == "done")
        while (due := store.due("pacs")) is not None:
            store.accepted(due)
        assert queue(store, write_made(tmp_path / "late", roles=("post",))) == key
        until(lambda: len(at_work.named("study_done")) == 2)
        while (due := store.due("pacs")) is not None:
            store.accepted(due)
        store.rerun(key)
        until(lambda: len(at_work.named("study_done")) == 3)
    first, second, third = sorted(store.results(key), key=lambda row: row.revision)
    reports = [_report(row.made.folder / "sr.dcm") for row in (first, second)]
    assert "PredecessorDocumentsSequence" not in reports[0]
    (item,) = reports[1].PredecessorDocumentsSequence
    assert item.StudyInstanceUID == reports[0].StudyInstanceUID
    (series,) = item.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == reports[0].SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == reports[0].SOPInstanceUID
    assert "supersedes" not in reports[0].SeriesDescription
    for kind in ("seg", "sr"):
        assert "supersedes" in _report(second.made.folder / f"{kind}.dcm").SeriesDescription
    assert [each.sha256 for each in third.made.objects] == [each.sha256 for each in second.made.objects]


def test_a_report_that_never_went_out_is_not_named(store: Store, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "first", roles=("flair", "pre")))
    with working(store) as at_work:
        until(lambda: state(store, key) == "done")
        queue(store, write_made(tmp_path / "late", roles=("post",)))
        until(lambda: len(at_work.named("study_done")) == 2)
    second = max(store.results(key), key=lambda row: row.revision)
    assert "PredecessorDocumentsSequence" not in _report(second.made.folder / "sr.dcm")


def test_a_bundle_that_cannot_be_loaded_leaves_the_queue_alone(store: Store, tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "model.onnx").write_bytes(b"changed")
    key = queue(store, write_made(tmp_path / "study"))
    with working(store, bundle=bundle) as at_work:
        until(lambda: at_work.worker.fault is not None)
        assert not at_work.worker.ready.is_set()
    assert state(store, key) == "waiting"


def test_the_process_ends_with_a_node_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from tests.runtime.node.working.test_worker import *;"
        "store = Store.open(Path(sys.argv[1]) / 'state');"
        "queue(store, write_made(Path(sys.argv[1]) / 'study'));"
        "made = Working(store, replace(SETTINGS, register=True)); made.worker.start();"
        "until(lambda: made.named('study_claimed')); print(made.worker.pid, flush=True); time.sleep(60)"
    )
    root = str(Path(__file__).parents[4])
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), root], stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        pid = int(node.stdout.readline())
        assert _runs(pid)
        node.kill()
    until(lambda: not _runs(pid), seconds=5)
    store = Store.open(tmp_path / "state")
    assert [each.state for each in store.studies(10)] == ["waiting"]
    store.close()


def _report(path: Path) -> pydicom.Dataset:
    return pydicom.dcmread(path)


def _runs(pid: int | None) -> bool:
    """Whether a process is there and is no zombie."""
    assert pid is not None
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
