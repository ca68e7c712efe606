"""The local engine: the same rows whatever happens to its processes, and each study once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.archive.engines.local import LocalEngine, default_workers, threads_each
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.job import Job
from brainseg_runtime.archive.working.work import taken
from brainseg_runtime.errors import BundleError
from brainseg_runtime.inference.processor import thread_count
from brainseg_runtime.segmenter import Segmenter
from tests.runtime.archive.made_archive import crew_of, job_of, made_source, plain, references_of
from tests.runtime.command_line import BUNDLE
from tests.runtime.made_slices import made_patient


def driven(root: Path, out: Path, engine: LocalEngine, source: object = None, **settings: object) -> Drive:
    """A run over the patients of a source."""
    with Ledger(out) as ledger:
        drive = Drive(ledger, job_of(ledger, **settings), retry_failed=False)
        given = references_of(root) if source is None else source
        drive.run(engine, given, cancelled=lambda: False, taken=lambda _: None)  # type: ignore[arg-type]
    return drive


def rows_of(out: Path) -> dict[str, object]:
    with Ledger(out) as ledger:
        return dict(plain(ledger.rows()))


def one_process(root: Path, work: Path) -> dict[str, object]:
    """The rows that this process gives by itself."""
    segmenter = Segmenter.load(BUNDLE, provider="cpu", variant="fp32", threads=1)
    with Ledger(work) as ledger:
        job = job_of(ledger)
        return dict(plain(row for each in references_of(root) for row in taken(segmenter, each, job).rows))


def test_the_rows_are_those_of_one_process(tmp_path: Path) -> None:
    root = made_source(tmp_path / "data", patients=6)
    engine = LocalEngine(crew_of(2))
    drive = driven(root, tmp_path / "out", engine)
    engine.close()
    assert rows_of(tmp_path / "out") == one_process(root, tmp_path / "alone")
    assert (drive.counts.n_in, drive.counts.n_done, drive.slices) == (6, 6, 18)
    assert drive.first_seconds is not None


def test_killing_workers_twenty_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    root = made_source(tmp_path / "data", patients=44, slices=6)
    engine = LocalEngine(crew_of(2))
    kills: list[int] = []
    over = threading.Event()

    def kill() -> None:
        rng = random.Random(0)  # noqa: S311 - where kills fall, not a secret
        while len(kills) < 20 and not over.is_set():
            time.sleep(rng.uniform(0, 0.05))
            ledger = tmp_path / "out" / "rows.jsonl"
            if not ledger.exists() or ledger.read_bytes().count(b"\n") < 2 * len(kills):
                continue  # two studies are done for each kill, or the same one would be hit again and again
            fresh = [pid for pid in engine.pids if pid not in kills]
            if fresh:
                chosen = rng.choice(fresh)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chosen, signal.SIGKILL)
                    kills.append(chosen)

    def paced() -> Iterator[Reference]:
        """Two studies for each kill at most, so that the kills fall all over the run."""
        for number, each in enumerate(references_of(root)):
            while len(kills) < min(20, number // 2 - 1) and not over.is_set():
                time.sleep(0.01)
            yield each

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        drive = driven(root, tmp_path / "out", engine, paced(), write=("mask",))
    finally:
        over.set()
        killer.join()
        engine.close()
    made = rows_of(tmp_path / "out")
    assert len(kills) == 20
    assert len(made) == drive.counts.n_in == 44
    alone = one_process(root, tmp_path / "alone")
    done = {name: row for name, row in made.items() if getattr(row, "status", "") == "done"}
    assert {name: replace(row, objects=()) for name, row in done.items()} == {  # type: ignore[type-var]
        name: alone[name] for name in done
    }
    assert len(done) >= 40  # a study that three kills hit is given up, as it should be
    for row in done.values():
        for each in getattr(row, "objects", ()):
            assert (tmp_path / "out" / each.file).is_file()
    listed = {each.file for row in done.values() for each in getattr(row, "objects", ())}
    on_disk = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / "objects").rglob("*.tif")}
    assert on_disk == listed


@pytest.mark.skipif(sys.platform != "linux", reason="a cap on memory is Linux's here")
def test_a_worker_out_of_memory_is_replaced_and_the_study_given_up(tmp_path: Path) -> None:
    import numpy as np
    import tifffile

    root = made_source(tmp_path / "data", patients=3)
    huge = made_patient(root / "huge", slices=1, masks=False)
    tifffile.imwrite(huge / "huge_1.tif", np.zeros((2048, 2048, 3), np.uint8), photometric="rgb")
    engine = LocalEngine(crew_of(1, memory_mib=140))
    drive = driven(root, tmp_path / "out", engine)
    engine.close()
    with Ledger(tmp_path / "out") as ledger:
        rows = {row.source: row for row in ledger.rows()}
    assert [row.status for name, row in sorted(rows.items())] == ["done"] * 3 + ["failed"]
    assert rows["huge"].attempts == 3
    assert rows["huge"].error is not None
    assert rows["huge"].error["kind"] == "WorkerError"
    assert drive.counts.n_failed == 1


def test_a_reference_that_outlasts_the_deadline_is_given_up(tmp_path: Path) -> None:
    root = made_source(tmp_path / "data", patients=1, slices=40)
    engine = LocalEngine(crew_of(1))
    with Ledger(tmp_path / "out") as ledger:
        drive = Drive(ledger, replace(job_of(ledger), deadline=0.001), retry_failed=False)
        drive.run(engine, references_of(root), cancelled=lambda: False, taken=lambda _: None)
        (row,) = ledger.rows()
    engine.close()
    assert (row.status, row.attempts, drive.counts.n_failed) == ("failed", 3, 1)
    assert row.error is not None


def test_a_bundle_that_cannot_be_loaded_stops_the_run(tmp_path: Path) -> None:
    crew = crew_of(2)
    engine = LocalEngine(replace(crew, load=replace(crew.load, digest="0" * 64)))
    with Ledger(tmp_path / "out") as ledger:
        drive = Drive(ledger, job_of(ledger), retry_failed=False)
        with pytest.raises(BundleError):
            drive.run(
                engine,
                references_of(made_source(tmp_path / "data")),
                cancelled=lambda: False,
                taken=lambda _: None,
            )
    engine.close()
    assert rows_of(tmp_path / "out") == {}


def test_a_stop_request_finishes_what_is_at_hand(tmp_path: Path) -> None:
    root = made_source(tmp_path / "data", patients=12)
    engine = LocalEngine(crew_of(2))
    count = 0

    def counted(_: object) -> None:
        nonlocal count
        count += 1

    with Ledger(tmp_path / "out") as ledger:
        drive = Drive(ledger, job_of(ledger), retry_failed=False)
        drive.run(engine, references_of(root), cancelled=lambda: count >= 2, taken=counted)
    assert 2 <= drive.counts.n_done < 12
    drive = driven(root, tmp_path / "out", engine)
    engine.close()
    assert (drive.counts.n_done + drive.counts.n_known, drive.counts.n_in) == (12, 12)
    assert drive.counts.n_known >= 2


def test_a_driver_that_gives_up_does_not_wait_for_its_workers(tmp_path: Path) -> None:
    root = made_source(tmp_path / "data", patients=8)
    engine = LocalEngine(crew_of(2))
    with Ledger(tmp_path / "out") as ledger:
        job: Job = job_of(ledger)
        answers = engine.run(references_of(root), job, lambda: False)
        next(answers)
        answers.close()  # type: ignore[attr-defined]  # a generator
    engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("brainseg-archive")]


def test_as_many_workers_as_pay() -> None:
    assert default_workers() >= 1
    assert threads_each(default_workers()) * default_workers() <= max(4, os.cpu_count() or 1)


@pytest.mark.parametrize(("cores", "mib", "workers"), [(3, 100_000, 3), (64, 4096, 2), (64, 100, 1), (2, None, 2)])
def test_a_container_has_the_workers_that_it_can_hold(
    monkeypatch: pytest.MonkeyPatch, cores: int, mib: int | None, workers: int
) -> None:
    monkeypatch.setattr("brainseg_runtime.archive.engines.local.usable_cores", lambda: cores)
    monkeypatch.setattr("brainseg_runtime.archive.engines.local._available_mib", lambda: 1 << 20)
    monkeypatch.setattr(
        "brainseg_runtime.archive.engines.local.granted_memory", lambda: None if mib is None else mib << 20
    )
    assert default_workers() == workers
    assert threads_each(2) == max(1, min(thread_count(None), cores // 2))


def test_a_duplicate_whose_original_is_replaced_is_segmented_in_the_same_run(tmp_path: Path) -> None:
    """Whichever of the two comes first: as the source gives them, and as an earlier run has answered them."""
    root = made_source(tmp_path / "data", patients=2)
    first, second = sorted(root.iterdir())
    for copy in (first, second):  # both hold the same pixels, under their own names
        made_patient(copy, slices=3, seed=5, masks=False)
    engine = LocalEngine(crew_of(1))
    driven(root, tmp_path / "out", engine, list(reversed(references_of(root))))
    assert list(rows_of(tmp_path / "out")) == [second.name]
    made_patient(second, slices=3, seed=50, masks=False)
    drive = driven(root, tmp_path / "out", engine)
    engine.close()
    assert set(rows_of(tmp_path / "out")) == {first.name, second.name}
    assert (drive.counts.n_in, drive.counts.n_done, drive.counts.n_skipped) == (2, 2, 0)
