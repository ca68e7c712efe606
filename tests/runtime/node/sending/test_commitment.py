"""Storage commitment: what an archive will not keep, or never answers for, is sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when it is imported
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from brainseg_runtime.node.config import DicomSettings, NodeConfig
from brainseg_runtime.node.receiving.scp import Receiver
from brainseg_runtime.node.sending.commitment import PUSH_INSTANCE, PUSH_MODEL
from brainseg_runtime.node.sending.hanging_up import ClosingEntity
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.queued_studies import finish, states, until
from tests.runtime.node.sending.peers import HOST, archive
from tests.runtime.node.sending.test_sender import Lines, sending

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Pynetdicom leaves the sockets of connections that ended otherwise than in order to Python."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


def answer(request: Dataset, *, failed: frozenset[str] = frozenset()) -> Dataset:
    """The answer to a request, in which some objects are not kept."""
    said = Dataset()
    said.TransactionUID = request.TransactionUID
    items = list(request.ReferencedSOPSequence)
    said.ReferencedSOPSequence = [each for each in items if each.ReferencedSOPInstanceUID not in failed]
    lost = [each for each in items if each.ReferencedSOPInstanceUID in failed]
    for each in lost:
        each.FailureReason = 0x0112
    if lost:
        said.FailedSOPSequence = lost
    return said


class Answers:
    """Answers each request on its own association; the first one says that one object is lost."""

    def __init__(self, *, lose: bool) -> None:
        self._lose = lose

    def __call__(self, event: Any) -> None:  # noqa: ANN401 - pynetdicom's event
        request = event.action_information
        lost = {request.ReferencedSOPSequence[0].ReferencedSOPInstanceUID} if self._lose else set()
        self._lose = False
        said = answer(request, failed=frozenset(lost))
        kind = 2 if lost else 1
        report = threading.Timer(
            0.1, event.assoc.send_n_event_report, (said, kind, PUSH_MODEL, PUSH_INSTANCE)
        )  # after the answer to the request itself
        report.start()


def test_an_answer_within_the_association_is_taken(store: Store, tmp_path: Path) -> None:
    with archive(commits=True, on_commit=Answers(lose=False), commitment=True) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination) as lines:
            until(lambda: states(store, key) == {"committed"})
            assert len(lines.named("commitment_asked")) == 1
        (request,) = peer.requests
        asked = {each.ReferencedSOPInstanceUID for each in request.ReferencedSOPSequence}
        assert asked == {each.object.sop_uid for each in store.deliveries(key)}


def test_what_is_not_kept_is_sent_again_without_being_looked_for(store: Store, tmp_path: Path) -> None:
    with archive(commits=True, on_commit=Answers(lose=True), commitment=True) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination) as lines:
            until(lambda: states(store, key) == {"committed"})
            assert len(lines.named("not_committed")) == 1
        assert sorted(len(each) for each in peer.stored.values())[-2:] == [1, 2]
        assert peer.asked == []


def test_what_nobody_answers_for_is_sent_again(store: Store, tmp_path: Path) -> None:
    with archive(commits=True, commitment=True, commitment_seconds=0.1, write=("sr",)) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination) as lines:
            until(lambda: len(lines.named("commitment_overdue")) >= 1, seconds=20)
            until(lambda: sum(map(len, peer.stored.values())) >= 2, seconds=20)
        assert {each.object.kind for each in store.deliveries(key)} == {"sr"}


def test_an_answer_over_an_association_of_its_own_counts_once_and_one_to_nothing_that_was_asked_not_at_all(
    store: Store, tmp_path: Path
) -> None:
    requests: list[Dataset] = []
    said = Lines()
    config = NodeConfig(dicom=DicomSettings(port=0, allow=("ARCHIVE@127.0.0.1",)))
    receiver = Receiver(config, store, said.log)
    receiver.start()
    try:
        with archive(
            commits=True, on_commit=lambda event: requests.append(event.action_information), commitment=True
        ) as peer:
            key = finish(store, tmp_path / "study", [peer.destination])
            with sending(store, peer.destination):
                until(lambda: len(requests) == 1)
                entity = ClosingEntity("ARCHIVE")
                entity.add_requested_context(PUSH_MODEL)
                called = entity.associate(
                    HOST, receiver.port, ae_title="BRAINSEG", ext_neg=[build_role(PUSH_MODEL, scp_role=True)]
                )
                foreign = answer(requests[0])
                foreign.TransactionUID = "1.2.3.4"
                known = {each.object.sop_uid for each in store.deliveries(key)}
                lost = answer(requests[0], failed=frozenset(known))
                for information, kind, afterwards in (
                    (foreign, 1, {"sent"}),
                    (answer(requests[0]), 1, {"committed"}),
                    (answer(requests[0]), 1, {"committed"}),
                    (lost, 2, {"committed"}),
                ):
                    status, _ = called.send_n_event_report(information, kind, PUSH_MODEL, PUSH_INSTANCE)
                    assert status.Status == 0x0000
                    assert states(store, key) == afterwards
                called.release()
            assert {len(each) for each in peer.stored.values()} == {1}
    finally:
        receiver.stop(seconds=0.5)


def test_an_archive_that_does_not_offer_it_is_sent_to_all_the_same(store: Store, tmp_path: Path) -> None:
    with archive(commitment=True) as peer:
        key = finish(store, tmp_path / "study", [peer.destination])
        with sending(store, peer.destination):
            until(lambda: states(store, key) == {"sent"})
        assert {each.transaction_uid for each in store.deliveries(key)} == {None}


def test_the_class_is_the_standards() -> None:
    assert StorageCommitmentPushModel == PUSH_MODEL
    assert StorageCommitmentPushModelInstance == PUSH_INSTANCE
