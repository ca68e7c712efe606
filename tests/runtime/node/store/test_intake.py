"""An image is kept once, under its own name, or refused without a trace."""

from __future__ import annotations

import dataclasses

import pytest

from brainseg_runtime.errors import NodeError, NodeFullError, StudyTooLargeError, WorkerError
from brainseg_runtime.node.config import IntakeSettings
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import LIMITS, STUDY, Clock, arrival, claimed, files, finished, receive, result


def test_the_same_image_again_changes_nothing(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    before = (store.study(key), files(store.folder.path))
    clock.forward(5)
    assert receive(store) == "same"
    assert (store.study(key), files(store.folder.path)) == before


def test_the_same_image_in_another_encoding_of_its_head_is_the_same(store: Store) -> None:
    assert receive(store) == "new"
    again = arrival(store)
    again.path.write_bytes(b"another head" + b"pixels")
    assert store.accept(dataclasses.replace(again, sha256="0" * 64, size=18), LIMITS) == "same"


def test_an_image_that_changed_takes_the_place_of_the_old_one(store: Store) -> None:
    receive(store, data=b"first")
    receive(store, image=2)
    assert receive(store, data=b"second, longer") == "replaced"
    study = store.study(store.key_of(STUDY))
    home = store.folder.studies / study.key
    contents = sorted(path.read_bytes() for path in home.iterdir())
    assert contents == [b"headpixels", b"headsecond, longer"]
    assert (study.images, study.size) == (2, sum(map(len, contents)))


def test_one_sop_uid_in_two_studies_is_two_images(store: Store) -> None:
    one = arrival(store, "1.2.1")
    two = dataclasses.replace(arrival(store, "1.2.2"), sop_uid=one.sop_uid)
    assert [store.accept(each, LIMITS) for each in (one, two)] == ["new", "new"]


@pytest.mark.parametrize("state", ["waiting", "segmenting", "done", "quarantined"])
@pytest.mark.parametrize("outcome", ["new", "replaced"])
def test_a_late_image_opens_a_study_again(store: Store, clock: Clock, state: str, outcome: str) -> None:
    work = claimed(store, clock)
    if state == "waiting":
        store.release(work)
    elif state == "done":
        store.finish(work, result(work), ())
    elif state == "quarantined":
        store.failed(work, WorkerError("no"), crashed=False)
    store.association_released([STUDY])
    assert store.study(work.key).state == state
    clock.forward(100)
    assert receive(store, image=7 if outcome == "new" else 1, data=b"late") == outcome
    study = store.study(work.key)
    assert (study.state, study.revision, study.associations, study.crashes) == ("receiving", 2, 0, 0)
    assert (study.error, study.finished, study.last_received) == (None, None, clock.now)


def test_a_repeated_image_keeps_a_study_open(store: Store, clock: Clock) -> None:
    receive(store)
    clock.forward(20)
    receive(store)
    clock.forward(20)
    assert store.close_quiet(LIMITS) == []
    clock.forward(20)
    assert store.close_quiet(LIMITS) == [store.key_of(STUDY)]


@pytest.mark.parametrize(
    ("caps", "error"),
    [
        ({"max_instance_mib": 1}, StudyTooLargeError),
        ({"max_study_instances": 1}, StudyTooLargeError),
        ({"max_study_mib": 1}, StudyTooLargeError),
        ({"max_waiting_mib": 1}, NodeFullError),
        ({"min_free_mib": 1 << 24}, NodeFullError),
    ],
    ids=str,
)
def test_an_image_beyond_a_cap_is_refused_without_a_trace(
    store: Store, caps: dict[str, int], error: type[NodeError]
) -> None:
    receive(store)
    before = (store.study(store.key_of(STUDY)), files(store.folder.path))
    limits = IntakeSettings(**{"min_free_mib": 0, **caps})
    with pytest.raises(error):
        store.accept(arrival(store, image=2, data=bytes((1 << 20) + 1)), limits)
    assert (store.study(store.key_of(STUDY)), files(store.folder.path)) == before
    assert receive(store, image=2) == "new"


def test_a_replaced_image_counts_once_towards_the_caps(store: Store) -> None:
    limits = IntakeSettings(min_free_mib=0, max_study_instances=1, max_study_mib=1)
    for data in (b"a" * 600_000, b"b" * 600_000, b"c" * 600_000):
        store.accept(arrival(store, data=data), limits)
    with pytest.raises(StudyTooLargeError, match="1 images of a study"):
        store.accept(arrival(store, image=2), limits)


def test_a_refused_study_leaves_no_row(store: Store) -> None:
    with pytest.raises(StudyTooLargeError):
        store.accept(arrival(store, data=bytes(2 << 20)), IntakeSettings(min_free_mib=0, max_study_mib=1))
    assert store.studies(10) == []


def test_a_missing_file_is_an_error_and_leaves_no_row(store: Store) -> None:
    lost = arrival(store)
    lost.path.unlink()
    with pytest.raises(NodeError, match="whole file"):
        store.accept(lost, LIMITS)
    assert store.studies(10) == []


def test_file_names_tell_nothing_of_the_patient(store: Store) -> None:
    receive(store)
    assert not [name for name in files(store.folder.path) if STUDY in name or "1.2.840" in name]
