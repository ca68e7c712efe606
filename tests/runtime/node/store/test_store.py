"""A study's whole way through the store, and what the store says of itself."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from brainseg_runtime.errors import NodeFolderError, NodeFullError
from brainseg_runtime.node.config import IntakeSettings, RetrySettings
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import ARCHIVE, LIMITS, PACS, STUDY, Clock, claimed, files, finished, receive, result


def test_a_study_goes_from_its_first_image_to_its_last_delivery(store: Store, clock: Clock) -> None:
    work = claimed(store, clock, images=3)
    assert files(work.inputs) == {path.name for path in work.inputs.iterdir()}
    assert store.study(work.key).state == "segmenting"
    assert store.finish(work, result(work), (PACS, ARCHIVE))
    sent = []
    for destination in ("pacs", "archive"):
        while (delivery := store.due(destination)) is not None:
            assert delivery.path.is_file()
            assert delivery.attempts == 1
            assert not delivery.in_doubt
            store.accepted(delivery)
            sent.append((destination, delivery.object.kind))
    assert sent == [("pacs", "seg"), ("pacs", "sr"), ("archive", "seg")]
    assert {each.state for each in store.deliveries(work.key)} == {"sent"}
    study = store.study(work.key)
    assert (study.state, study.revision, study.images, study.finished) == ("done", 1, 3, clock.now)
    (row,) = store.results(work.key)
    assert row.current
    assert files(row.made.folder) == {"seg.dcm", "sr.dcm", "preview.png"}
    assert files(store.folder.incoming) == set()


def test_a_store_that_is_closed_and_opened_holds_the_same(tmp_path: Path, clock: Clock) -> None:
    store = Store.open(tmp_path / "state", clock=clock)
    key = finished(store, clock)
    before = (store.study(key), store.results(key), store.deliveries(key), store.counts().studies)
    store.close()
    store = Store.open(tmp_path / "state", clock=clock)
    assert (store.study(key), store.results(key), store.deliveries(key), store.counts().studies) == before
    assert store.key_of(STUDY) == key
    store.close()
    with pytest.raises(NodeFolderError, match="closed"):
        store.counts()
    with pytest.raises(NodeFolderError, match="closed"):
        store.association_released([STUDY])


def test_what_it_made_is_its_own_and_nothing_else(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    assert all(store.own(each.object.sop_uid) for each in store.deliveries(key))
    assert not store.own(f"{STUDY}.1")


def test_keys_and_labels_are_the_folders_own(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other")
    assert store.key_of(STUDY) == store.label(STUDY) != other.key_of(STUDY)
    assert len(store.label("AET")) == 16
    other.close()


def test_a_drained_node_completes_what_it_began_and_takes_nothing_else(store: Store, clock: Clock) -> None:
    key = finished(store, clock, "1.2.2")
    receive(store, "1.2.1")
    store.drain(True)
    assert store.draining
    assert store.writable() == "draining"
    assert receive(store, "1.2.1", image=2) == "new"
    with pytest.raises(NodeFullError, match="drained"):
        receive(store, "1.2.3")
    with pytest.raises(NodeFullError, match="drained"):
        receive(store, "1.2.2", image=9)
    assert store.study(key).state == "done"
    clock.forward(31)
    assert store.close_quiet(LIMITS) == [store.key_of("1.2.1")]
    assert store.claim() is not None
    store.drain(False)
    assert store.writable() is None
    assert receive(store, "1.2.3") == "new"


def test_it_says_which_cap_keeps_it_from_taking_images(store: Store) -> None:
    assert store.writable(LIMITS) is None
    receive(store, data=bytes(1 << 20))
    assert store.writable(IntakeSettings(min_free_mib=0, max_waiting_mib=1)) == "beyond max_waiting_mib"
    assert store.writable(IntakeSettings(min_free_mib=1 << 24)) == "beyond min_free_mib"


def test_many_threads_may_use_it_at_a_time(store: Store, clock: Clock) -> None:
    studies = [f"1.2.7.{number}" for number in range(6)]

    def send(study: str) -> list[str]:
        # Each image from two senders at a time, so that the same image races with itself.
        return [receive(store, study, image, data=b"%d" % image) for image in range(8)]

    def work() -> int:
        count = 0
        while (claim := store.claim()) is not None:
            count += store.finish(claim, result(claim), (PACS,))
        return count

    def deliver() -> list[int]:
        found = []
        while (delivery := store.due("pacs")) is not None:
            if delivery.attempts == 1 and delivery.id % 3 == 0:
                store.refused(delivery, "busy", RetrySettings(first_seconds=0.05), final=False)
                clock.forward(1)
            else:
                store.accepted(delivery)
                found.append(delivery.id)
        return found

    with ThreadPoolExecutor(12) as pool:
        outcomes = [each for found in pool.map(send, studies * 2) for each in found]
        assert (outcomes.count("new"), outcomes.count("same")) == (48, 48)
        clock.forward(31)
        closed = [key for found in pool.map(lambda _: store.close_quiet(LIMITS), range(4)) for key in found]
        assert sorted(closed) == sorted(map(store.key_of, studies))
        assert sum(pool.map(lambda _: work(), range(4))) == 6
        accepted = [each for found in pool.map(lambda _: deliver(), range(4)) for each in found]
    assert len(accepted) == len(set(accepted)) == 12
    counts = store.counts()
    assert counts.studies["done"] == 6
    assert counts.images == 48
    assert counts.deliveries["pacs"]["sent"] == 12


def test_every_file_is_closed_to_other_users(store: Store, clock: Clock) -> None:
    finished(store, clock)
    receive(store, "1.2.9")
    for path in [store.folder.path, *store.folder.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name
