"""Images, results and rows are deleted when their time has come, not before, and nothing that is still needed."""

from __future__ import annotations

import pytest

from brainseg_runtime.errors import NodeConflictError, RolesError, UnknownStudyError
from brainseg_runtime.node.config import RetentionSettings, RetrySettings
from brainseg_runtime.node.records import Expired
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import LIMITS, PACS, STUDY, Clock, claimed, files, finished, receive, result

HOUR = 3600.0
KEPT = RetentionSettings(inputs_hours=24, results_hours=168, quarantine_hours=240)
NOTHING = Expired(inputs=0, results=0, studies=0)


def send_all(store: Store, transaction_uid: str | None = None) -> None:
    while (delivery := store.due("pacs")) is not None:
        store.accepted(delivery, transaction_uid=transaction_uid)


def test_images_then_results_then_rows_go_each_at_its_hour(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    send_all(store)
    clock.forward(24 * HOUR - 1)
    assert store.expire(KEPT) == NOTHING
    assert len(files(store.folder.studies)) == 2
    clock.forward(1)
    assert store.expire(KEPT) == Expired(inputs=1, results=0, studies=0)
    assert files(store.folder.studies) == set()
    assert not any(store.folder.studies.iterdir())
    assert store.study(key).inputs_deleted
    assert store.counts().image_bytes == 0
    clock.forward(144 * HOUR - 1)
    assert store.expire(KEPT) == NOTHING
    assert len(files(store.folder.results)) == 3
    clock.forward(1)
    assert store.expire(KEPT) == Expired(inputs=0, results=1, studies=0)
    assert files(store.folder.results) == set()
    assert [row.deleted for row in store.results(key)] == [True]
    clock.forward(72 * HOUR)
    assert store.expire(KEPT) == Expired(inputs=0, results=0, studies=1)
    with pytest.raises(UnknownStudyError):
        store.study(key)
    assert store.deliveries(key) == []
    assert store.expire(KEPT) == NOTHING


def test_nothing_of_a_forgotten_study_is_left_in_the_folder_but_its_line(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    send_all(store)
    own = store.results(key)
    clock.forward(1000 * HOUR)
    assert STUDY.encode() in (store.folder.path / "node.sqlite3-wal").read_bytes()
    store.expire(KEPT)
    for path in store.folder.path.rglob("*"):
        if path.is_file() and path.parent != store.folder.audit:
            assert STUDY.encode() not in path.read_bytes(), path.name
            assert key.encode() not in path.read_bytes(), path.name
    store.close()
    again = Store.open(store.folder.path, clock=clock)
    assert len((again.folder.audit / "2025-06.jsonl").read_text().splitlines()) == 1
    assert {again.own(each.sop_uid) for row in own for each in row.made.objects} == {True}
    again.close()


def test_a_study_that_comes_again_after_it_was_forgotten_is_not_sent_twice(store: Store, clock: Clock) -> None:
    finished(store, clock)
    send_all(store)
    clock.forward(1000 * HOUR)
    store.expire(KEPT)
    key = finished(store, clock)
    assert {each.state for each in store.deliveries(key)} == {"sent"}
    assert store.due("pacs") is None


def test_a_quarantined_study_has_hours_of_its_own(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    store.failed(work, RolesError("no FLAIR"), crashed=False)
    clock.forward(240 * HOUR - 1)
    assert store.expire(KEPT) == NOTHING
    clock.forward(1)
    assert store.expire(KEPT) == Expired(inputs=1, results=0, studies=1)
    assert files(store.folder.studies) == set()


@pytest.mark.parametrize("state", ["receiving", "waiting", "segmenting"])
def test_a_study_that_is_not_done_is_kept_for_as_long_as_it_takes(store: Store, clock: Clock, state: str) -> None:
    receive(store)
    if state != "receiving":
        clock.forward(31)
        store.close_quiet(LIMITS)
    if state == "segmenting":
        store.claim()
    clock.forward(87600 * HOUR)
    assert store.expire(RetentionSettings(inputs_hours=0, results_hours=0, quarantine_hours=0)) == NOTHING
    assert len(files(store.folder.studies)) == 1


@pytest.mark.parametrize("left", ["waiting", "sending", "uncommitted"])
def test_a_result_that_is_on_its_way_is_kept_for_as_long_as_it_takes(store: Store, clock: Clock, left: str) -> None:
    finished(store, clock)
    if left == "uncommitted":
        send_all(store, "2.25.1")
    elif left == "sending":
        store.due("pacs")
    clock.forward(10000 * HOUR)
    assert store.expire(KEPT) == Expired(inputs=1, results=0, studies=0)
    assert len(files(store.folder.results)) == 3
    store.recover()
    send_all(store)
    if left == "uncommitted":
        assert store.expire(KEPT) == NOTHING
    else:
        assert store.expire(KEPT) == Expired(inputs=0, results=1, studies=1)


def test_a_result_that_nobody_took_is_kept_as_long_as_a_quarantined_study(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    while (delivery := store.due("pacs")) is not None:
        store.refused(delivery, "never", RetrySettings(), final=True)
    clock.forward(239 * HOUR)
    store.expire(KEPT)
    assert len(files(store.folder.results)) == 3
    assert store.resend(key) == 2
    send_all(store)
    clock.forward(HOUR)
    assert store.expire(KEPT) == Expired(inputs=0, results=1, studies=1)


def test_zero_hours_mean_at_once(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    store.finish(work, result(work), ())
    at_once = RetentionSettings(inputs_hours=0, results_hours=0, quarantine_hours=0)
    assert store.expire(at_once) == Expired(inputs=1, results=1, studies=1)
    assert files(store.folder.studies) | files(store.folder.results) == set()


def test_what_needs_deleted_files_is_refused(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    send_all(store)
    clock.forward(200 * HOUR)
    store.expire(KEPT)
    with pytest.raises(NodeConflictError, match="images were deleted"):
        store.rerun(key)
    with pytest.raises(NodeConflictError, match="files were deleted"):
        store.resend(key)


def test_a_late_image_of_a_study_whose_images_were_deleted_does_not_make_a_result_of_it_alone(
    store: Store, clock: Clock
) -> None:
    key = finished(store, clock)
    send_all(store)
    clock.forward(30 * HOUR)
    store.expire(KEPT)
    assert receive(store, image=9) == "new"
    clock.forward(31)
    assert store.close_quiet(LIMITS) == []
    assert store.study(key).state == "quarantined"
    assert [row.current for row in store.results(key)] == [True]
    for image in range(2):
        assert receive(store, image=image) == "same"
    clock.forward(31)
    assert store.close_quiet(LIMITS) == [key]
    work = store.claim()
    assert work is not None
    assert len(list(work.inputs.iterdir())) == 3
    assert store.finish(work, result(work, data=b"newer"), (PACS,))


def test_images_sent_again_after_they_were_deleted_change_nothing_and_are_deleted_again(
    store: Store, clock: Clock
) -> None:
    key = finished(store, clock)
    send_all(store)
    clock.forward(30 * HOUR)
    store.expire(KEPT)
    assert [receive(store, image=image) for image in range(2)] == ["same", "same"]
    study = store.study(key)
    assert (study.state, study.revision, study.images, study.inputs_deleted) == ("done", 1, 2, False)
    clock.forward(23 * HOUR)
    assert store.expire(KEPT).inputs == 0
    clock.forward(HOUR)
    assert store.expire(KEPT).inputs == 1
    assert files(store.folder.studies) == set()
