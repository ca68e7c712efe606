"""Studies are listed in pages, and counted by their states."""

from __future__ import annotations

import pytest

from brainseg_runtime.errors import UnknownStudyError
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import ARCHIVE, LIMITS, PACS, Clock, claimed, finished, receive


def test_pages_hold_each_study_once_the_latest_first(store: Store, clock: Clock) -> None:
    expected: list[str] = []
    for number in range(7):
        receive(store, f"1.2.{number}")
        expected.insert(0, store.key_of(f"1.2.{number}"))
        if number % 2:  # two that came at the same time
            clock.forward(1)
    found: list[str] = []
    while page := store.studies(3, found[-1] if found else None):
        assert len(page) <= 3
        found += [row.key for row in page]
    assert sorted(found) == sorted(expected)
    times = [store.study(key).received for key in found]
    assert times == sorted(times, reverse=True)
    assert store.studies(0) == []
    assert len(store.studies(10**9)) == 7


def test_an_unknown_key_is_an_error(store: Store) -> None:
    for key in ("0" * 16, "", "1.2.3", "' OR 1=1 --"):
        with pytest.raises(UnknownStudyError):
            store.study(key)
        with pytest.raises(UnknownStudyError):
            store.studies(5, key)
        assert store.results(key) == []
        assert store.deliveries(key) == []


def test_counts_are_by_state_and_every_state_is_there(store: Store, clock: Clock) -> None:
    empty = store.counts()
    assert empty.studies == dict.fromkeys(("receiving", "waiting", "segmenting", "done", "quarantined"), 0)
    assert (empty.deliveries, empty.images, empty.oldest_waiting, empty.oldest_delivery) == ({}, 0, None, None)
    began = clock.now + 31
    finished(store, clock, "1.2.1", to=(PACS, ARCHIVE))
    claimed(store, clock, "1.2.2")
    receive(store, "1.2.3")
    clock.forward(31)
    store.close_quiet(LIMITS)
    receive(store, "1.2.4")
    delivery = store.due("pacs")
    assert delivery is not None
    store.accepted(delivery)
    counts = store.counts()
    assert counts.studies == {"receiving": 1, "waiting": 1, "segmenting": 1, "done": 1, "quarantined": 0}
    assert {state: number for state, number in counts.deliveries["pacs"].items() if number} == {"waiting": 1, "sent": 1}
    assert counts.deliveries["archive"]["waiting"] == 1
    assert (counts.images, counts.image_bytes) == (6, 6 * len(b"headpixels"))
    assert counts.oldest_waiting == clock.now
    assert counts.oldest_delivery == began
    assert counts.free_bytes > 0
