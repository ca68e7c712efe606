"""What the clock demands is done in its time, and a thread that ended is not called alive."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.errors import StudyError
from brainseg_runtime.node.config import IntakeSettings, NodeConfig
from brainseg_runtime.node.keeper import EXPIRE_SECONDS, Keeper
from brainseg_runtime.node.records import Arrival, Caller
from brainseg_runtime.node.service_manager import ServiceManager
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log


@dataclass
class Thread:
    alive: bool = True


class Rig:
    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.store = Store.open(folder / "state", clock=lambda: self.now)
        self.lines = io.StringIO()
        self.woken = 0
        self.part = Thread()
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.bind(str(folder / "notify"))
        self.heard.setblocking(False)
        self.keeper = Keeper(
            NodeConfig(intake=IntakeSettings(quiet_seconds=10, min_free_mib=0)), self.store, Log(self.lines),
            wake=self._wake, parts=[self.part], manager=ServiceManager({"NOTIFY_SOCKET": str(folder / "notify")}),
            clock=lambda: self.now,
        )  # fmt: skip

    def _wake(self) -> None:
        self.woken += 1

    def receive(self) -> None:
        path = self.store.folder.incoming / "image"
        path.write_bytes(b"image")
        self.store.accept(
            Arrival(
                study_uid="1.2.3", sop_uid="1.2.3.4", path=path, size=5, sha256="0" * 64, content_sha256="1" * 64,
                caller=Caller(aet="MR1", host="127.0.0.1", way="dimse"),
            ),
            IntakeSettings(min_free_mib=0),
        )  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]

    def said_alive(self) -> bool:
        try:
            return self.heard.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return False


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.store.close()
    made.heard.close()


def test_a_study_that_has_become_quiet_is_completed_and_a_worker_woken(rig: Rig) -> None:
    rig.receive()
    rig.now += 9.9
    rig.keeper.round()
    assert (rig.woken, rig.events()) == (0, [])
    rig.now += 0.2
    rig.keeper.round()
    (event,) = rig.events()
    assert (rig.woken, event["event"], event["study"]) == (1, "study_completed", rig.store.key_of("1.2.3"))
    assert rig.store.counts().studies["waiting"] == 1


def test_images_are_deleted_once_their_time_is_over(rig: Rig) -> None:
    rig.receive()
    rig.now += 11
    rig.keeper.round()
    work = rig.store.claim()
    assert work is not None
    rig.store.failed(work, StudyError("no FLAIR"), crashed=False)
    (image,) = (rig.store.folder.path / "studies").rglob("*.dcm")
    rig.now += 168 * 3600 - 1
    rig.keeper.round()
    assert image.exists()
    rig.now += EXPIRE_SECONDS
    rig.keeper.round()
    assert not image.exists()
    assert "inputs_deleted" in [each["event"] for each in rig.events()]


def test_a_change_of_whether_images_are_taken_is_logged_once(rig: Rig) -> None:
    rig.store.drain(True)
    rig.keeper.round()
    rig.keeper.round()
    rig.store.drain(False)
    rig.keeper.round()
    assert [(each["event"], each.get("reason")) for each in rig.events()] == [
        ("store_refuses", "draining"), ("store_accepts", None)
    ]  # fmt: skip


def test_the_watchdog_hears_of_a_node_whose_threads_all_run(rig: Rig) -> None:
    rig.keeper.round()
    assert rig.said_alive()
    rig.part.alive = False
    rig.keeper.round()
    assert not rig.said_alive()
