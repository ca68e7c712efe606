"""Storage commitment: what is asked of an archive once it has accepted objects.

Source: DICOM PS3.4 annex J (Storage Commitment Push Model).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from brainseg_runtime.node.records import MadeObject

if TYPE_CHECKING:
    from pydicom import Dataset

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
ACTION: Final = 1
"""Action type of "request storage commitment"."""


def request_of(transaction_uid: str, objects: Sequence[MadeObject]) -> Dataset:
    """The action information of a request.

    Args:
        transaction_uid: New for each request.
        objects: What was accepted.
    """
    from pydicom import Dataset

    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for each in objects:
        entry = Dataset()
        entry.ReferencedSOPClassUID = each.sop_class
        entry.ReferencedSOPInstanceUID = each.sop_uid
        request.ReferencedSOPSequence.append(entry)
    return request
