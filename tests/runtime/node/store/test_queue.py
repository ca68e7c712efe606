"""Studies go one way, each revision once, whoever interrupts."""

from __future__ import annotations

import pytest

from brainseg_runtime.errors import NodeConflictError, RolesError, UnknownStudyError, WorkerError
from brainseg_runtime.node.config import IntakeSettings
from brainseg_runtime.node.store.queue import MOST_INTERRUPTS
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import LIMITS, PACS, STUDY, Clock, claimed, files, finished, receive, result


def test_a_study_is_complete_when_it_is_quiet(store: Store, clock: Clock) -> None:
    receive(store)
    clock.forward(29.9)
    assert store.close_quiet(LIMITS) == []
    clock.forward(0.1)
    assert store.close_quiet(LIMITS) == [store.key_of(STUDY)]
    assert store.close_quiet(LIMITS) == []
    assert store.study(store.key_of(STUDY)).state == "waiting"


def test_a_study_is_complete_when_its_associations_are_released(store: Store) -> None:
    by_count = IntakeSettings(min_free_mib=0, complete_after_associations=2)
    receive(store)
    store.association_released([STUDY, STUDY, "1.2.3.no.such"])
    assert store.close_quiet(by_count) == []
    store.association_released([STUDY])
    assert store.close_quiet(LIMITS) == []
    assert store.close_quiet(by_count) == [store.key_of(STUDY)]


def test_a_clock_set_back_does_not_hold_a_study(store: Store, clock: Clock) -> None:
    receive(store)
    clock.forward(-3600)
    assert store.close_quiet(LIMITS) == [store.key_of(STUDY)]


def test_studies_are_claimed_in_the_order_in_which_they_were_complete(store: Store, clock: Clock) -> None:
    for number in (3, 1, 2):
        receive(store, f"1.2.{number}")
        clock.forward(31)
        store.close_quiet(LIMITS)
    works = [store.claim() for _ in range(4)]
    assert [work and work.key for work in works] == [*(store.key_of(f"1.2.{number}") for number in (3, 1, 2)), None]


def test_a_released_study_keeps_its_place(store: Store, clock: Clock) -> None:
    work = claimed(store, clock, "1.2.1")
    receive(store, "1.2.2")
    clock.forward(31)
    store.close_quiet(LIMITS)
    store.release(work)
    again = store.claim()
    assert again is not None
    assert (again.key, again.revision) == (work.key, work.revision)
    assert not work.out.exists()
    assert again.out.is_dir()


def test_a_result_of_a_study_that_was_opened_again_is_not_kept(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    made = result(work)
    receive(store, image=9)
    assert not store.finish(work, made, (PACS,))
    assert store.results(work.key) == []
    assert store.deliveries(work.key) == []
    assert files(store.folder.results) == set()
    assert store.study(work.key).state == "receiving"


def test_a_failure_of_a_study_that_was_opened_again_is_not_noted(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    receive(store, image=9)
    assert store.failed(work, WorkerError("no"), crashed=False) is None
    store.release(work)
    assert store.study(work.key).state == "receiving"


def test_only_the_worker_that_has_a_study_may_finish_it(store: Store, clock: Clock) -> None:
    first = claimed(store, clock)
    made = result(first)
    store.recover()
    second = store.claim()
    assert second is not None
    assert not store.finish(first, made, ())
    assert store.failed(first, WorkerError("no"), crashed=True) is None
    assert store.finish(second, result(second), ())


def test_a_study_that_crashes_twice_is_quarantined(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    assert store.failed(work, WorkerError("the process ended"), crashed=True) == "waiting"
    again = store.claim()
    assert again is not None
    assert again.crashes == 1
    assert store.failed(again, WorkerError("the process ended", got="signal 9"), crashed=True) == "quarantined"
    study = store.study(work.key)
    assert (study.state, study.crashes, study.finished) == ("quarantined", 2, clock.now)
    assert study.error == {
        "kind": "WorkerError",
        "what": "the process ended",
        "expected": None,
        "got": "signal 9",
        "remedy": None,
    }
    assert store.claim() is None


def test_a_crash_sends_a_study_behind_the_others(store: Store, clock: Clock) -> None:
    work = claimed(store, clock, "1.2.1")
    receive(store, "1.2.2")
    clock.forward(31)
    store.close_quiet(LIMITS)
    clock.forward(1)
    store.failed(work, WorkerError("the process ended"), crashed=True)
    following = store.claim()
    assert following is not None
    assert following.key == store.key_of("1.2.2")


def test_a_study_that_cannot_be_used_is_quarantined_at_once_with_its_reason_and_no_uid(
    store: Store, clock: Clock
) -> None:
    work = claimed(store, clock)
    error = RolesError("no FLAIR", expected="one series", got=f"series {STUDY}.5 of 1.2.3.4.5.6", remedy="send it")
    assert store.failed(work, error, crashed=False) == "quarantined"
    noted = store.study(work.key).error
    assert noted is not None
    assert noted["kind"] == "RolesError"
    assert noted["got"] == "series [removed] of [removed]"


def test_what_a_kill_interrupted_waits_again_behind_the_others(store: Store, clock: Clock) -> None:
    work = claimed(store, clock, "1.2.1")
    receive(store, "1.2.2")
    clock.forward(31)
    store.close_quiet(LIMITS)
    clock.forward(1)
    store.recover()
    works = [store.claim() for _ in range(3)]
    assert [each and each.key for each in works] == [store.key_of("1.2.2"), work.key, None]


def test_a_study_that_keeps_killing_the_node_is_quarantined_with_its_reason_until_somebody_asks(
    store: Store, clock: Clock
) -> None:
    work = claimed(store, clock)
    for times in range(1, MOST_INTERRUPTS + 1):
        for _ in range(3):  # stops in order do not count
            store.release(work)
            again = store.claim()
            assert again is not None
            work = again
        store.recover()
        store.recover()  # nor does a start without it at work
        assert store.study(work.key).state == ("quarantined" if times == MOST_INTERRUPTS else "waiting")
        if times < MOST_INTERRUPTS:
            again = store.claim()
            assert again is not None
            work = again
    row = store.study(work.key)
    assert (row.finished, row.crashes) == (clock.now, 0)
    assert row.error is not None
    assert (row.error["kind"], row.error["got"]) == ("NodeError", str(MOST_INTERRUPTS))
    assert store.claim() is None
    store.rerun(work.key)
    assert store.claim() is not None
    store.recover()
    assert store.study(work.key).state == "waiting"


def test_a_study_beside_one_that_kills_the_node_is_done(store: Store, clock: Clock) -> None:
    for name in ("1.2.1", "1.2.2"):
        receive(store, name)
    clock.forward(31)
    store.close_quiet(LIMITS)
    guilty, innocent = store.key_of("1.2.1"), store.key_of("1.2.2")
    for _ in range(2 * MOST_INTERRUPTS):
        clock.forward(1)
        works = [work for work in (store.claim(), store.claim()) if work is not None]
        if any(work.key == guilty for work in works):
            store.recover()  # it kills the node before the other one is done
            continue
        for work in works:
            assert store.finish(work, result(work), ())
    assert (store.study(guilty).state, store.study(innocent).state) == ("quarantined", "done")


def test_a_rerun_is_the_next_revision(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    store.rerun(key)
    study = store.study(key)
    assert (study.state, study.revision, study.finished) == ("waiting", 2, None)
    work = store.claim()
    assert work is not None
    assert store.finish(work, result(work, data=b"another"), (PACS,))
    assert [(row.revision, row.current) for row in store.results(key)] == [(1, False), (2, True)]


def test_only_a_study_that_ended_is_run_again(store: Store, clock: Clock) -> None:
    with pytest.raises(UnknownStudyError):
        store.rerun("0" * 16)
    receive(store)
    key = store.key_of(STUDY)
    for _ in range(3):
        with pytest.raises(NodeConflictError):
            store.rerun(key)
        clock.forward(31)
        store.close_quiet(LIMITS)
        store.claim()
    assert store.study(key).revision == 1
