"""A full or read-only disk refuses what arrives, loses nothing that is there, and is noticed when it takes again.

The disks are real where this user may mount one; else the kernel's limit on a file's size stands for a full one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brainseg_runtime.errors import NodeFullError
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import PACS, Clock, arrival, claimed, files, receive, result
from tests.runtime.node.store.victim import QUIET

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches and writes; pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory(prefix="brainseg-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1088k,mode=0700", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607 - what was mounted above


@pytest.fixture
def opened() -> Iterator[Callable[[Store], Store]]:
    """Closes stores whatever happens."""
    with contextlib.ExitStack() as stack:
        yield lambda store: stack.enter_context(contextlib.closing(store))


def fill(disk: Path) -> Path:
    """Takes what is left of a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


def test_a_full_disk_refuses_images_and_takes_them_again_when_there_is_room(
    small_disk: Path, clock: Clock, opened: Callable[[Store], Store]
) -> None:
    store = opened(Store.open(small_disk / "state", clock=clock))
    spare = small_disk / "spare"
    spare.write_bytes(bytes(200 << 10))
    accepted = []
    for image in range(1000):
        try:
            receive(store, image=image, data=f"{image}".encode() * 3000)
        except (NodeFullError, OSError):  # the latter is the test's own writing of what arrives
            break
        accepted.append(image)
    assert 10 < len(accepted) < 400
    for left in store.folder.incoming.iterdir():
        left.unlink()
    last = arrival(store, image=1000, data=b"")
    fill(small_disk)
    with pytest.raises(NodeFullError):
        store.accept(last, QUIET)  # the image is there; its row has no room
    assert store.writable() == "disk full"
    assert len(files(store.folder.studies)) == len(accepted) == store.counts().images
    spare.unlink()
    assert store.writable() is None
    for image in range(1000, 1003):
        assert receive(store, image=image, data=b"room") == "new"
    assert store.counts().images == len(accepted) + 3
    store.close()
    again = Store.open(small_disk / "state", clock=clock)
    assert again.counts().images == len(files(again.folder.studies)) == len(accepted) + 3
    again.close()


def test_a_full_disk_keeps_a_study_waiting_for_its_result(
    small_disk: Path, clock: Clock, opened: Callable[[Store], Store]
) -> None:
    store = opened(Store.open(small_disk / "state", clock=clock))
    work = claimed(store, clock)
    made = result(work)
    ballast = fill(small_disk)
    with pytest.raises(NodeFullError):
        store.finish(work, made, (PACS,))
    assert store.study(work.key).state == "segmenting"
    assert store.results(work.key) == []
    ballast.unlink()
    store.release(work)
    again = store.claim()
    assert again is not None
    assert store.finish(again, result(again), (PACS,))
    delivery = store.due("pacs")
    assert delivery is not None
    store.accepted(delivery)
    assert len(store.deliveries(work.key)) == 2
    store.close()


def test_a_full_disk_keeps_audit_lines_in_the_database(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    (store.folder.audit / "2025-06.jsonl").mkdir()  # what opening it for writing then fails with is the system's
    assert store.finish(work, result(work), ())
    assert files(store.folder.audit) == set()
    (store.folder.audit / "2025-06.jsonl").rmdir()
    store.recover()
    assert len((store.folder.audit / "2025-06.jsonl").read_text().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="limits and modes are POSIX's")
@pytest.mark.parametrize("fault", ["file size limit", "read-only folder", "another user's folder"])
def test_a_refusal_by_the_system_is_temporary(open_folder: Path, fault: str) -> None:
    """In a process of its own, which gives up root's rights, for which nothing is read-only."""
    state = open_folder / "state"
    if fault == "another user's folder":
        if os.getuid():
            pytest.skip("this user has no folder of another user")
        Store.open(state).close()
    code = [sys.executable, "-m", "tests.runtime.node.store.refused", str(state), fault]
    found = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "as it should"
