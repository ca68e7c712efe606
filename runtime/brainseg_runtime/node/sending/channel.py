"""What a sender needs of a way to a destination, and how an attempt to send an object can end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from brainseg_runtime.node.records import Delivery

Verdict = Literal["accepted", "again", "final"]
"""How an attempt ended: the destination has it; it may take it later; it will never take it."""

_DUPLICATE: Final = 0x0111
_REPEATED_DOUBT: Final = 3
"""Attempts after which "cannot understand" is final: archives answer so, too, while their own disk is full."""

_NEVER: Final = frozenset({0x0105, 0x0106, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122})
"""Statuses that say that the object is at fault or of a class that is not taken (DICOM PS3.7 annex C)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """How an attempt ended.

    Attributes:
        verdict: What it means for the object.
        status: The destination's own answer: of DIMSE or HTTP; None if there was none.
        reason: In words of the node's own, without names or UIDs.
    """

    verdict: Verdict
    status: int | None = None
    reason: str = ""


class Channel(Protocol):
    """An open way to a destination. It is used by one thread; `abort` alone may be called by another."""

    def holds(self, delivery: Delivery) -> bool | None:
        """Whether the destination has an object already; None if it cannot be asked."""
        ...

    def send(self, delivery: Delivery) -> Attempt:
        """Send one object.

        Raises:
            DestinationError: The way is broken: nobody knows whether the object arrived.
        """
        ...

    @property
    def offers_commitment(self) -> bool:
        """Whether storage commitment can be asked for."""
        ...

    def ask_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery]) -> Attempt:
        """Ask that the destination commit itself to keeping what it accepted.

        Raises:
            DestinationError: The way is broken.
        """
        ...

    def close(self) -> None:
        """Leave in order; never raises."""
        ...

    def abort(self) -> None:
        """Break off at once, so that a thread that waits for an answer gets its error."""
        ...


def of_status(status: int, attempts: int) -> Attempt:
    """What the status of a C-STORE says, or a failure reason of STOW-RS.

    Source: DICOM PS3.4 table B.2-1, PS3.7 annex C.

    Args:
        status: 16 bits.
        attempts: Attempts begun, this one included.

    Examples:
        >>> of_status(0x0000, 1).verdict, of_status(0xA700, 1).verdict, of_status(0x0122, 1).verdict
        ('accepted', 'again', 'final')
    """
    if status in {0x0000, 0x0001, 0x0107, 0x0116} or 0xB000 <= status <= 0xBFFF:
        return Attempt(verdict="accepted", status=status)
    if status == _DUPLICATE:
        return Attempt(verdict="accepted", status=status, reason="the destination had it already")
    reason = f"refused with status 0x{status:04X}"
    if status in _NEVER or 0xA800 <= status <= 0xA9FF:
        return Attempt(verdict="final", status=status, reason=f"{reason}: the destination does not take such an object")
    if 0xC000 <= status <= 0xCFFF and attempts >= _REPEATED_DOUBT:
        return Attempt(verdict="final", status=status, reason=f"{reason}: the destination cannot process it")
    return Attempt(verdict="again", status=status, reason=reason)


def is_intact(delivery: Delivery) -> bool:
    """Whether the object's file holds the bytes that were made."""
    return _sha256(delivery.path) == delivery.object.sha256


def _sha256(path: Path) -> str | None:
    """SHA-256 of a file; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
