"""A PACS's answer to storage commitment: which objects it keeps, and which it does not.

It comes as an N-EVENT-REPORT: on the association of the request, to the sender; or, later, on one that the PACS opens
to the node, to the receiver. Both read it here.

Source: DICOM PS3.4, J.3.3 (N-EVENT-REPORT).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from brainseg_runtime.node.config import RetrySettings
from brainseg_runtime.node.receiving.identity import is_uid
from brainseg_runtime.studies.dicom.library import FAULTS, quiet

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.dimse_primitives import N_EVENT_REPORT
    from pynetdicom.events import Event

MOST: Final = 100_000
"""Most objects of one answer that are read."""

_ALL_KEPT: Final = 1
_SOME_FAILED: Final = 2

_REASONS: Final[Mapping[int, str]] = {
    0x0110: "processing_failure",
    0x0112: "no_such_object",
    0x0119: "class_instance_conflict",
    0x0122: "class_not_supported",
    0x0131: "duplicate_transaction",
    0x0213: "resource_limitation",
}
"""Failure reasons of table J.3.3.1.1."""


class Commitments(Protocol):
    """What the store is told; each gives the number of deliveries that it concerned."""

    def committed(self, transaction_uid: str, sop_uids: Iterable[str]) -> int:
        """These are kept."""
        ...

    def not_committed(self, transaction_uid: str, sop_uids: Iterable[str], reason: str, retry: RetrySettings) -> int:
        """These are not: they are sent again."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitmentAnswer:
    """An answer.

    Attributes:
        transaction_uid: Of what was asked for.
        kept: SOPInstanceUIDs of objects that are kept.
        failed: SOPInstanceUIDs of those that are not, by reason.
    """

    transaction_uid: str
    kept: Sequence[str]
    failed: Mapping[str, Sequence[str]]

    @property
    def n_failed(self) -> int:
        """Number of objects that are not kept."""
        return sum(map(len, self.failed.values()))


def read_answer(event: Event) -> CommitmentAnswer | None:
    """Read an answer.

    Args:
        event: The library's event of an N-EVENT-REPORT request.

    Returns:
        The answer; None if it makes no sense.
    """
    request = cast("N_EVENT_REPORT", event.request)
    try:
        with quiet():
            return _answer(int(request.EventTypeID or 0), event.event_information)
    except FAULTS:
        return None


def record(answer: CommitmentAnswer, store: Commitments, retry: RetrySettings) -> int:
    """Tell the store what a PACS answered.

    Args:
        answer: The answer.
        store: The node's.
        retry: How what is not kept is sent again.

    Returns:
        The number of deliveries that it concerned; 0 for an answer to nothing that was asked.
    """
    count = store.committed(answer.transaction_uid, answer.kept) if answer.kept else 0
    for reason, sop_uids in answer.failed.items():
        count += store.not_committed(answer.transaction_uid, sop_uids, f"not committed: {reason}", retry)
    return count


def _answer(kind: int, information: Dataset) -> CommitmentAnswer | None:
    """Read the data set of an answer."""
    transaction = str(information.TransactionUID)
    refused = information.get("FailedSOPSequence") or ()
    kept = information.get("ReferencedSOPSequence") or ()
    if kind not in {_ALL_KEPT, _SOME_FAILED} or not is_uid(transaction) or len(refused) + len(kept) > MOST:
        return None
    failed: dict[str, list[str]] = {}
    for item in refused:
        reason = _REASONS.get(int(item.get("FailureReason") or 0), "other")
        failed.setdefault(reason, []).append(str(item.ReferencedSOPInstanceUID))
    return CommitmentAnswer(
        transaction_uid=transaction, kept=[str(each.ReferencedSOPInstanceUID) for each in kept], failed=failed
    )
