"""A disk that does not take a result is never the study's fault: it waits, the node says why, and then it is done."""

from __future__ import annotations

import errno
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from brainseg_runtime.errors import FileWriteError, InputError, NodeFullError
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.working import worker as module
from brainseg_runtime.node.working.disk_faults import as_disk_fault
from brainseg_runtime.safe_io.files import encode_json, write_bytes
from tests.runtime.node.disks import mount, unmount
from tests.runtime.node.queued_studies import queue, until, write_made
from tests.runtime.node.working.test_worker import SETTINGS, Working, state, working

FULL = Path("/dev/full")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def results(store: Store) -> Iterator[Path]:
    """The folder of results as a file system of its own, of 12 MiB."""
    folder = store.folder.results
    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)):
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        unmount(folder)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)


def fill(folder: Path, *, leave: int) -> Path:
    """A file that leaves so many bytes free."""
    path = folder / "filler"
    path.write_bytes(bytes(shutil.disk_usage(folder).free - leave))
    return path


def waits_for_the_disk(store: Store, key: str, at_work: Working, reason: str) -> None:
    """The study is tried several times, is not given up, and the reason is told."""
    until(lambda: len(at_work.named("study_requeued")) >= 3)
    row = store.study(key)
    assert row.state in {"waiting", "segmenting"}
    assert (row.crashes, row.error) == (0, None)
    assert reason in str(at_work.worker.hindrance)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("free", [8 << 10, 2 << 20])
def test_a_result_that_does_not_fit_waits_until_it_does(store: Store, results: Path, tmp_path: Path, free: int) -> None:
    filler = fill(results, leave=free)
    key = queue(store, write_made(tmp_path / "study"))
    with working(store) as at_work:
        waits_for_the_disk(store, key, at_work, "No space left on device")
        filler.unlink()
        until(lambda: state(store, key) == "done")
        until(lambda: at_work.worker.hindrance is None)
    assert not list(results.rglob(".*"))


@pytest.mark.usefixtures("hasty")
def test_a_folder_of_results_that_is_read_only_is_waited_for(store: Store, results: Path, tmp_path: Path) -> None:
    key = queue(store, write_made(tmp_path / "study"))
    assert mount("-o", "remount,ro", str(results))
    with working(store) as at_work:
        until(lambda: at_work.worker.hindrance is not None)
        assert "read-only" in str(at_work.worker.hindrance).lower()
        assert state(store, key) in {"waiting", "segmenting"}
        assert mount("-o", "remount,rw", str(results))
        until(lambda: state(store, key) == "done")


def test_the_pause_grows_and_somebody_who_asks_ends_it(
    store: Store, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    class Hurried(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return super().wait(0.01 if len(pauses) < 8 else 60)

    filler = fill(results, leave=8 << 10)
    key = queue(store, write_made(tmp_path / "study"))
    made = Working(store, SETTINGS)
    monkeypatch.setattr(made.worker, "_hurried", Hurried())
    made.worker.start()
    try:
        until(lambda: len(pauses) == 8)
        assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
        filler.unlink()
        made.worker.wake()  # another study came: no reason to try again
        assert state(store, key) == "waiting"
        made.worker.wake(at_once=True)
        until(lambda: state(store, key) == "done")
    finally:
        made.worker.stop()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_full_disk_is_known_by_what_led_to_the_error() -> None:
    with pytest.raises(FileWriteError) as caught:
        write_bytes(FULL, b"x" * 100_000)
    fault = as_disk_fault(caught.value)
    assert isinstance(fault, NodeFullError)
    assert str(FULL) not in str(fault)


def caused(error: Exception, number: int) -> Exception:
    """An error that one of the system led to."""
    error.__cause__ = OSError(number, "no")
    return error


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EDQUOT, errno.ENOSPC, errno.EACCES, errno.ENOENT])
def test_a_write_that_the_system_refuses_is_the_disks_fault(number: int) -> None:
    assert as_disk_fault(caused(FileWriteError("it cannot be written"), number)) is not None


def test_what_a_study_is_at_fault_for_is_not_the_disks() -> None:
    assert as_disk_fault(caused(InputError("an image cannot be read"), errno.EIO)) is None
    with pytest.raises(FileWriteError) as caught:
        encode_json(float("nan"))
    assert as_disk_fault(caught.value) is None
    assert as_disk_fault(OSError(errno.EINVAL, "no")) is None
