"""Senders: each object until it is accepted, refused for good, or given up; never twice when it may have arrived."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.node.config import Destination, NodeConfig, RetrySettings
from brainseg_runtime.node.sending import dimse
from brainseg_runtime.node.sending.channel import of_status
from brainseg_runtime.node.sending.sender import Sender, pause_after
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.queued_studies import finish, states, until
from tests.runtime.node.sending.peers import HOST, archive, breaking_line, free_port, orthanc, storescp

FAST = RetrySettings(attempts=4, first_seconds=0.05, factor=2.0, longest_seconds=0.2)
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""pynetdicom leaves the sockets of connections that ended otherwise than in order to Python."""


class Lines:
    """A log that a test reads."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.log = Log(self._stream)

    @property
    def events(self) -> list[Mapping[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def named(self, name: str) -> list[Mapping[str, Any]]:
        return [each for each in self.events if each["event"] == name]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


@contextmanager
def sending(store: Store, destination: Destination, *, retry: RetrySettings = FAST) -> Iterator[Lines]:
    """A sender at work."""
    lines = Lines()
    sender = Sender(NodeConfig(send=(destination,), retry=retry), destination, store, lines.log)
    sender.start()
    try:
        yield lines
    finally:
        sender.stop()
        assert not sender.alive


def test_everything_goes_over_one_association(store: Store, tmp_path: Path) -> None:
    with archive() as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination) as lines:
            until(lambda: states(store, key) == {"sent"})
        assert len(peer.calls) == 1
        assert peer.asked == []
        assert sorted(peer.stored) == sorted(each.object.sop_uid for each in store.deliveries(key))
        assert len(lines.named("delivered")) == len(peer.stored)


def test_only_the_kinds_that_a_destination_asks_for_go_there(store: Store, tmp_path: Path) -> None:
    with storescp(tmp_path / "got") as found:
        destination = Destination(name="reports", aet=found.aet, host=HOST, port=found.port, write=("sr",))
        key = finish(store, tmp_path / "study", [destination])
        with sending(store, destination):
            until(lambda: states(store, key) == {"sent"})
        assert len(list((tmp_path / "got").iterdir())) == 1


def test_an_archive_that_is_full_gets_it_later(store: Store, tmp_path: Path) -> None:
    with archive(write=("seg",)) as peer:
        peer.statuses = [0xA700, 0xA700]
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination) as lines:
            until(lambda: states(store, key) == {"sent"})
        (delivery,) = store.deliveries(key)
        assert delivery.attempts == 3
        assert [each["status"] for each in lines.named("delivery_retried")] == [0xA700, 0xA700]
        assert peer.asked == []  # it said that it has it not


def test_what_is_never_taken_is_tried_so_often_and_then_given_up(store: Store, tmp_path: Path) -> None:
    with archive(write=("seg",)) as peer:
        peer.statuses = [0xA700] * 100
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination):
            until(lambda: states(store, key) == {"quarantined"})
        assert peer.count == FAST.attempts


def test_a_refusal_for_good_is_not_repeated_and_a_request_sends_again(store: Store, tmp_path: Path) -> None:
    with archive(write=("seg",)) as peer:
        peer.statuses = [0xA900]
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination):
            until(lambda: states(store, key) == {"quarantined"})
            (delivery,) = store.deliveries(key)
            assert peer.count == 1
            assert "0xA900" in str(delivery.error)
            store.resend(key)
            until(lambda: states(store, key) == {"sent"})


def test_an_object_whose_answer_was_lost_is_looked_for_before_it_is_sent_again(store: Store, tmp_path: Path) -> None:
    with archive() as peer:
        peer.breaks = {1}
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination) as lines:
            until(lambda: states(store, key) == {"sent"})
        assert {len(each) for each in peer.stored.values()} == {1}
        assert len(peer.asked) == len(lines.named("delivery_found")) == 1


def test_where_nobody_can_be_asked_it_is_sent_again_as_the_same_bytes(store: Store, tmp_path: Path) -> None:
    with archive(finds=False, write=("seg",)) as peer:
        peer.breaks = {0}
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination):
            until(lambda: states(store, key) == {"sent"})
        ((first, second),) = peer.stored.values()
        assert first == second


def test_what_a_kill_left_in_doubt_is_looked_for(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")
    with archive(write=("seg", "sr")) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        killed = store.due("archive")
        assert killed is not None
        peer.stored[killed.object.sop_uid] = [b"it arrived"]
        store.close()  # as after a kill: the delivery is still being sent
        store = Store.open(tmp_path / "state")
        with sending(store, peer.destination) as lines:
            until(lambda: states(store, key) == {"sent"})
        assert peer.asked == [killed.object.sop_uid]
        assert peer.stored[killed.object.sop_uid] == [b"it arrived"]
        assert len(lines.named("delivery_found")) == 1
        assert len(peer.stored) == 2
    store.close()


def test_while_an_archive_is_away_attempts_are_spared(store: Store, tmp_path: Path) -> None:
    port = free_port()
    away = Destination(name="away", aet="ARCHIVE", host=HOST, port=port)
    key = finish(store, tmp_path / "study", [away])
    slow = RetrySettings(attempts=100, first_seconds=0.2, factor=1.0, longest_seconds=0.2)
    with sending(store, away, retry=slow) as lines:
        until(lambda: len(lines.named("delivery_retried")) >= 3)
    attempts = [each.attempts for each in store.deliveries(key)]
    assert sum(attempts) < 2 * len(attempts)
    assert states(store, key) == {"waiting"}


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'a' * 80}.example"], ids=["unknown", "impossible"])
def test_a_name_without_an_address_is_a_destination_that_is_away(store: Store, tmp_path: Path, host: str) -> None:
    destination = Destination(name="named", aet="NAMED", host=host, write=("sr",))
    key = finish(store, tmp_path / "study", [destination])
    with sending(store, destination) as lines:
        until(lambda: states(store, key) == {"quarantined"})
        assert len(lines.named("delivery_retried")) == FAST.attempts - 1
    (delivery,) = store.deliveries(key)
    assert not delivery.in_doubt
    assert "cannot be reached" in str(delivery.error)


@pytest.mark.parametrize("stall", [False, True], ids=["closes", "stops reading"])
def test_a_line_that_breaks_within_an_object_costs_one_attempt(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stall: bool
) -> None:
    monkeypatch.setattr(dimse, "ANSWER_SECONDS", 1.0)
    with archive() as peer, breaking_line(peer.destination.port, after=20_000, stall=stall) as port:
        destination = replace(peer.destination, port=port)
        key = finish(store, tmp_path / "study", [destination])
        with sending(store, destination) as lines:
            until(lambda: states(store, key) == {"sent"})
            assert len(lines.named("delivery_retried")) == 1
        assert {len(each) for each in peer.stored.values()} == {1}


def test_who_asks_again_waits_for_no_pause(store: Store, tmp_path: Path) -> None:
    port = free_port()
    destination = Destination(name="away", aet="ARCHIVE", host=HOST, port=port, write=("sr",))
    key = finish(store, tmp_path / "study", [destination])
    lines = Lines()
    retry = RetrySettings(attempts=4, first_seconds=3600.0, longest_seconds=3600.0)
    sender = Sender(NodeConfig(send=(destination,), retry=retry), destination, store, lines.log)
    sender.start()
    try:
        until(lambda: lines.named("delivery_retried"))
        with archive(port=port) as peer:
            store.resend(key)
            sender.wake()
            until(lambda: states(store, key) == {"sent"})
            assert len(peer.stored) == 1
    finally:
        sender.stop()


def test_a_file_that_changed_is_not_sent(store: Store, tmp_path: Path) -> None:
    with archive(write=("seg",)) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        (delivery,) = store.deliveries(key)
        delivery.path.write_bytes(delivery.path.read_bytes()[:-2] + b"xx")
        with sending(store, peer.destination):
            until(lambda: states(store, key) == {"quarantined"})
        assert peer.count == 0


def test_stopping_in_the_middle_leaves_what_is_sent_in_doubt(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")
    with archive(write=("seg",), hold=5.0) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        lines = Lines()
        sender = Sender(NodeConfig(send=(peer.destination,)), peer.destination, store, lines.log)
        sender.start()
        until(lambda: peer.count == 1)
        clock = time.monotonic()
        sender.stop(patience=0.2)
        assert time.monotonic() - clock < 4
        store.close()
        store = Store.open(tmp_path / "state")
        (delivery,) = store.deliveries(key)
        assert delivery.state == "waiting"
        assert delivery.in_doubt
    store.close()


def test_orthanc_and_its_dicomweb_get_everything(store: Store, tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as pacs:
        key = finish(store, tmp_path / "study", [pacs.dimse, pacs.web])
        with sending(store, pacs.dimse), sending(store, pacs.web):
            until(lambda: states(store, key) == {"sent"})
        assert pacs.get("/statistics")["CountInstances"] == len(store.deliveries(key)) // 2


@pytest.mark.parametrize(
    ("status", "attempts", "verdict"),
    [
        (0x0000, 1, "accepted"),
        (0xB000, 1, "accepted"),
        (0xB007, 1, "accepted"),
        (0x0111, 1, "accepted"),
        (0xA700, 9, "again"),
        (0x0110, 9, "again"),
        (0x0124, 1, "again"),
        (0xA900, 1, "final"),
        (0x0122, 1, "final"),
        (0xC000, 1, "again"),
        (0xC001, 3, "final"),
    ],
)
def test_statuses_mean_what_the_standard_says(status: int, attempts: int, verdict: str) -> None:
    assert of_status(status, attempts).verdict == verdict


def test_pauses_grow_to_a_minute() -> None:
    retry = RetrySettings()
    pauses = [pause_after(failures, retry) for failures in range(1, 200)]
    assert 3.75 <= pauses[0] <= 5
    assert 7.5 <= pauses[1] <= 10
    assert all(45 <= each <= 60 for each in pauses[10:])
