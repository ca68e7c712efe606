"""Each object goes to each destination once, is tried again with growing pauses, and is given up in the end."""

from __future__ import annotations

import pytest

from brainseg_runtime.errors import NodeConflictError, UnknownStudyError, WorkerError
from brainseg_runtime.node.config import RetrySettings
from brainseg_runtime.node.records import Delivery
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import ARCHIVE, PACS, STUDY, Clock, claimed, finished, receive, result

RETRY = RetrySettings(attempts=5, first_seconds=10, factor=2, longest_seconds=50)


def take(store: Store, destination: str = "pacs") -> Delivery:
    delivery = store.due(destination)
    assert delivery is not None
    return delivery


def states(store: Store, key: str) -> list[str]:
    return [each.state for each in store.deliveries(key)]


def send_all(store: Store, *, transaction_uid: str | None = None) -> list[Delivery]:
    sent = []
    while (delivery := store.due("pacs")) is not None:
        store.accepted(delivery, transaction_uid=transaction_uid)
        sent.append(delivery)
    return sent


def test_each_destination_gets_what_it_asks_for(store: Store, clock: Clock) -> None:
    key = finished(store, clock, to=(PACS, ARCHIVE))
    assert [(each.destination, each.object.kind) for each in store.deliveries(key)] == [
        ("pacs", "seg"),
        ("archive", "seg"),
        ("pacs", "sr"),
    ]
    assert store.next_due("pacs") == clock.now
    assert store.due("elsewhere") is None
    assert store.next_due("elsewhere") is None


def test_pauses_grow_and_the_last_attempt_is_the_last(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    store.finish(work, result(work, kinds=("seg",)), (PACS,))
    pauses = []
    while (delivery := store.due("pacs")) is not None:
        state = store.refused(delivery, "out of resources from 10.0.0.9", RETRY, final=False)
        if (due := store.next_due("pacs")) is None:
            break
        assert state == "waiting"
        assert store.due("pacs") is None
        pauses.append(due - clock.now)
        clock.now = due
    for pause, longest in zip(pauses, (10, 20, 40, 50), strict=True):
        assert 0.8 * longest <= pause <= longest
    (left,) = store.deliveries(work.key)
    assert (left.state, left.attempts, left.error) == ("quarantined", 5, "out of resources from [removed]")


@pytest.mark.parametrize("refused", [False, True], ids=["new", "refused"])
def test_a_clock_set_back_does_not_hold_an_object(store: Store, clock: Clock, refused: bool) -> None:
    finished(store, clock)
    if refused:
        first = store.due("pacs")
        assert first is not None
        store.refused(first, "busy", RETRY, final=False, in_doubt=False)
    clock.forward(-3 * 3600)
    assert store.next_due("pacs") == clock.now
    sent = []
    while (due := store.due("pacs")) is not None:
        sent.append(due.object.kind)
        store.refused(due, "busy", RETRY, final=False, in_doubt=False)
    assert sorted(sent) == ["seg", "sr"]  # each once: the next pause is by the new clock
    assert (store.next_due("pacs") or 0) > clock.now


def test_a_final_refusal_is_not_tried_again(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    assert store.refused(take(store), "no such SOP class", RETRY, final=True) == "quarantined"
    assert take(store).object.kind == "sr"
    assert store.due("pacs") is None
    assert states(store, key) == ["quarantined", "sending"]


def test_an_answer_that_did_not_arrive_leaves_an_object_in_doubt_until_it_is_accepted(
    store: Store, clock: Clock
) -> None:
    key = finished(store, clock)
    store.refused(take(store), "connection lost", RETRY, final=False, in_doubt=True)
    clock.forward(60)
    first, second = (take(store) for _ in range(2))
    doubtful = first if first.object.kind == "seg" else second
    assert doubtful.in_doubt
    assert first.in_doubt != second.in_doubt
    store.accepted(doubtful)
    assert not store.deliveries(key)[0].in_doubt


def test_what_was_being_sent_when_the_node_was_killed_is_in_doubt(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    begun = take(store)
    store.recover()
    found = {each.id: each for each in store.deliveries(key)}
    assert found[begun.id].in_doubt
    assert states(store, key) == ["waiting", "waiting"]
    again = take(store)
    assert (again.id, again.attempts, again.path.read_bytes()) == (begun.id, 2, begun.path.read_bytes())


def test_a_newer_result_takes_the_place_of_what_is_not_yet_sent(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    being_sent = take(store)
    store.rerun(key)
    work = store.claim()
    assert work is not None
    store.finish(work, result(work, data=b"newer"), (PACS,))
    assert states(store, key) == ["sending", "superseded", "waiting", "waiting"]
    assert store.refused(being_sent, "busy", RETRY, final=False) == "superseded"
    assert {take(store).result_id, take(store).result_id} == {store.results(key)[1].id}
    assert store.due("pacs") is None


def test_an_older_object_that_was_accepted_meanwhile_counts_as_sent(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    being_sent = take(store)
    store.rerun(key)
    work = store.claim()
    assert work is not None
    store.finish(work, result(work, data=b"newer"), (PACS,))
    store.accepted(being_sent)
    assert states(store, key) == ["sent", "superseded", "waiting", "waiting"]


def test_the_same_object_is_not_sent_twice_when_a_study_is_run_again(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    accepted = clock.now
    send_all(store)
    clock.forward(100)
    store.rerun(key)
    work = store.claim()
    assert work is not None
    store.finish(work, result(work), (PACS, ARCHIVE))
    assert store.due("pacs") is None
    again = [each for each in store.deliveries(key) if each.result_id == store.results(key)[1].id]
    assert [(each.destination, each.state, each.accepted) for each in again] == [
        ("pacs", "sent", accepted),
        ("archive", "waiting", None),
        ("pacs", "sent", accepted),
    ]


def test_the_same_object_is_not_sent_twice_when_it_was_under_way_meanwhile(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    begun = [take(store), take(store)]
    store.rerun(key)
    work = store.claim()
    assert work is not None
    store.finish(work, result(work), (PACS,))
    for each in begun:
        store.accepted(each)
    assert store.due("pacs") is None
    assert states(store, key) == ["sent"] * 4


def test_results_are_sent_again_if_somebody_asks(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    store.refused(take(store), "never", RETRY, final=True)
    send_all(store)
    clock.forward(10)
    assert store.resend(key) == 2
    sent = send_all(store)
    assert [(each.attempts, each.object.kind) for each in sent] == [(1, "seg"), (1, "sr")]
    assert states(store, key) == ["sent", "sent"]


def test_what_waits_out_a_pause_is_due_at_once_if_somebody_asks(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    refused = take(store)
    store.refused(refused, "out of resources", RETRY, final=False)
    store.accepted(take(store))
    assert store.due("pacs") is None
    assert store.resend(key) == 2
    assert store.next_due("pacs") == clock.now
    sent = send_all(store)
    assert sorted((each.attempts, each.object.kind) for each in sent) == [(1, "seg"), (1, "sr")]


def test_results_that_are_not_there_cannot_be_sent_again(store: Store, clock: Clock) -> None:
    with pytest.raises(UnknownStudyError):
        store.resend("0" * 16)
    work = claimed(store, clock)
    store.failed(work, WorkerError("no"), crashed=False)
    with pytest.raises(NodeConflictError, match="a study with a result"):
        store.resend(work.key)


def test_commitment_ends_a_delivery(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    seg, sr = send_all(store, transaction_uid="2.25.7")
    assert {each.transaction_uid for each in store.deliveries(key)} == {"2.25.7"}
    assert store.committed("2.25.8", [seg.object.sop_uid]) == 0
    assert store.committed("2.25.7", [seg.object.sop_uid, "1.2.3"]) == 1
    assert states(store, key) == ["committed", "sent"]
    clock.forward(600)
    assert [each.id for each in store.overdue_commitments("pacs", 600)] == [sr.id]
    assert store.overdue_commitments("pacs", 601) == []
    assert store.overdue_commitments("archive", 600) == []


def test_the_commitment_may_be_asked_for_after_the_acceptance(store: Store, clock: Clock) -> None:
    finished(store, clock)
    (seg, *_) = send_all(store)
    accepted = clock.now
    clock.forward(3)
    store.accepted(seg, transaction_uid="2.25.7")
    (found,) = store.overdue_commitments("pacs", 0)
    assert (found.id, found.accepted) == (seg.id, accepted)


def test_what_is_not_committed_is_sent_again_and_given_up_in_the_end(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    store.finish(work, result(work, kinds=("seg",)), (PACS,))
    for attempt in range(RETRY.attempts):
        (sent,) = send_all(store, transaction_uid=f"2.25.{attempt}")
        assert sent.attempts == attempt + 1
        assert store.not_committed(f"2.25.{attempt}", [sent.object.sop_uid], "no such object", RETRY) == 1
        clock.forward(50)
    (left,) = store.deliveries(work.key)
    assert (left.state, left.error, left.accepted) == ("quarantined", "no such object", None)
    assert store.due("pacs") is None


def test_a_late_image_leaves_the_deliveries_of_the_result_that_is_there(store: Store, clock: Clock) -> None:
    """Until the newer one is made: it might fail, and an older result is better than none."""
    key = finished(store, clock)
    receive(store, STUDY, image=9)
    assert len(send_all(store)) == 2
    assert states(store, key) == ["sent", "sent"]
