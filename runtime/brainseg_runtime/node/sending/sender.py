"""A sender: a thread that takes what is due for one destination, sends it, and says how that ended.

While a destination cannot be reached at all, one object at a time is tried, after growing pauses, so that the attempts
of all the others are kept for when it answers again.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from brainseg_runtime.errors import BrainsegError, DestinationError, UsageError
from brainseg_runtime.node.commitment_answer import CommitmentAnswer, Commitments, record
from brainseg_runtime.node.records import Delivery, DeliveryState
from brainseg_runtime.node.sending.channel import Attempt, Channel, is_intact
from brainseg_runtime.node.sending.dimse import DimseChannel, OnOutcome
from brainseg_runtime.node.sending.stow import StowChannel
from brainseg_runtime.node.watching.log import Event, Label, Log, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainseg_runtime.node.config import Destination, NodeConfig, RetrySettings

POLL_SECONDS: Final = 0.5
"""How often the queue is asked for what is due, s; `wake` asks at once."""

LONGEST_PAUSE: Final = 60.0
"""Longest pause before an unreachable destination is tried again, s."""

OUTCOME_SECONDS: Final = 2.0
"""How long an association is kept open for the answer to a storage commitment, s; else it comes to the receiver."""

_THANKS_SECONDS: Final = 0.2
"""Time for the node's own response to that answer, which goes out after it was taken, s."""

OVERDUE_EVERY: Final = 5.0
"""How often overdue commitments are looked for, s."""

_GRACE_SECONDS: Final = 10.0
"""Longest wait for a thread whose connection was cut, s."""

_CLOSING_SECONDS: Final = 1.0
"""Time to leave an association in order, s."""

_EVENTS: Final[Mapping[str, Event]] = {
    "waiting": "delivery_retried",
    "quarantined": "delivery_quarantined",
    "superseded": "delivery_superseded",
}
"""What is logged of a refusal, by the delivery's state afterwards."""


class Outbox(Commitments, Protocol):
    """What a sender asks of the store."""

    def due(self, destination: str) -> Delivery | None:
        """Take the next object that is due."""
        ...

    def accepted(self, delivery: Delivery, *, transaction_uid: str | None = None) -> None:
        """The destination has it."""
        ...

    def refused(
        self, delivery: Delivery, reason: str, retry: RetrySettings, *, final: bool, in_doubt: bool
    ) -> DeliveryState:
        """The destination has it not, or nobody knows whether it has."""
        ...

    def overdue_commitments(self, destination: str, seconds: float) -> list[Delivery]:
        """What no answer came for in time."""
        ...


class Sender:
    """The sender of one destination.

    Args:
        config: The node's settings.
        destination: One of `config.send`.
        store: The queue.
        log: The node's log.

    Attributes:
        reachable: Whether the destination answered when it was last tried; None before.
    """

    def __init__(self, config: NodeConfig, destination: Destination, store: Outbox, log: Log) -> None:
        self._config = config
        self._destination = destination
        self._name = Label(destination.name)
        self._store = store
        self._log = log
        self._thread = threading.Thread(target=self._run, name=f"brainseg-sender-{destination.name}", daemon=True)
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._answered = threading.Event()
        self._channel: Channel | None = None
        self._failures = 0
        self._looked = 0.0
        self.reachable: bool | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Ask the queue for what is due now, whatever pause there is."""
        self._awake.set()

    def stop(self, *, patience: float = 0.0) -> None:
        """Send nothing further; after `patience` seconds the object at hand is broken off, and in doubt.

        Args:
            patience: Seconds that it may still take.
        """
        self._stopping.set()
        self._awake.set()
        self._answered.set()
        if not self._thread.is_alive():
            return
        self._thread.join(max(patience, _CLOSING_SECONDS))
        channel = self._channel
        if self._thread.is_alive() and channel is not None:
            channel.abort()
        self._thread.join(_GRACE_SECONDS)

    def _run(self) -> None:
        """Send until stopped."""
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                self._look_for_overdue()
                self._round()
            except BrainsegError as error:  # the store's own, such as a full disk
                self._log.event("sender_fault", destination=self._name, error=kind_of(error))
                self._failures += 1
            if not self._stopping.is_set():
                self._awake.wait(self._pause())

    def _pause(self) -> float:
        """Seconds until the queue is asked again."""
        if self._failures == 0:
            return POLL_SECONDS
        return pause_after(self._failures, self._config.retry)

    def _round(self) -> None:
        """Send all that is due, over one connection."""
        delivery = self._store.due(self._destination.name)
        if delivery is None:
            return
        try:
            channel = self._channel = open_channel(self._destination, self._config.dicom.aet, on_outcome=self._outcome)
        except (DestinationError, UsageError) as error:
            self._unreachable(delivery, error, in_doubt=False)
            return
        try:
            self._send_all(channel, delivery)
            self._failures = 0
        finally:
            channel.close()
            self._channel = None

    def _send_all(self, channel: Channel, first: Delivery) -> None:
        """Send what is due; the way may break."""
        from pydicom.uid import generate_uid

        transaction = generate_uid(prefix=None) if channel.offers_commitment else None
        accepted: list[Delivery] = []
        delivery: Delivery | None = first
        while delivery is not None:
            try:
                if self._deliver(channel, delivery, transaction):
                    accepted.append(delivery)
            except DestinationError as error:
                self._unreachable(delivery, error, in_doubt=True)
                return
            self.reachable = True
            delivery = None if self._stopping.is_set() else self._store.due(self._destination.name)
        if transaction is not None and accepted:
            self._commit(channel, transaction, accepted)

    def _deliver(self, channel: Channel, delivery: Delivery, transaction: str | None) -> bool:
        """Send one object and say how it ended; whether the destination has it.

        Raises:
            DestinationError: The way broke.
        """
        clock = time.monotonic()
        attempt, found = self._attempt(channel, delivery)
        if attempt.verdict != "accepted":
            self._refused(delivery, attempt)
            return False
        self._store.accepted(delivery, transaction_uid=transaction)
        self._log.event(
            "delivery_found" if found else "delivered",
            study=delivery.key,
            destination=self._name,
            kind=Label(delivery.object.kind),
            item=delivery.id,
            attempt=delivery.attempts,
            seconds=time.monotonic() - clock,
        )
        return True

    def _attempt(self, channel: Channel, delivery: Delivery) -> tuple[Attempt, bool]:
        """One attempt, and whether the destination was found to have the object already."""
        if not is_intact(delivery):
            return Attempt(verdict="final", reason="the object's file is gone or has changed"), False
        if delivery.in_doubt and channel.holds(delivery):
            return Attempt(verdict="accepted"), True
        return channel.send(delivery), False

    def _refused(self, delivery: Delivery, attempt: Attempt) -> None:
        """Say that the destination refused an object."""
        final = attempt.verdict == "final"
        state = self._store.refused(delivery, attempt.reason, self._config.retry, final=final, in_doubt=False)
        self._log.event(
            _EVENTS.get(state, "delivery_refused"),
            study=delivery.key,
            destination=self._name,
            kind=Label(delivery.object.kind),
            item=delivery.id,
            attempt=delivery.attempts,
            status=attempt.status or 0,
        )

    def _unreachable(self, delivery: Delivery, error: BrainsegError, *, in_doubt: bool) -> None:
        """Put an object back whose destination did not answer; when the node stops, it stays in doubt instead."""
        if self._stopping.is_set():
            return
        self._failures += 1
        self.reachable = False
        state = self._store.refused(delivery, error.what, self._config.retry, final=False, in_doubt=in_doubt)
        self._log.event(
            _EVENTS.get(state, "delivery_refused"),
            study=delivery.key,
            destination=self._name,
            kind=Label(delivery.object.kind),
            item=delivery.id,
            attempt=delivery.attempts,
            error=kind_of(error),
        )

    def _commit(self, channel: Channel, transaction: str, accepted: list[Delivery]) -> None:
        """Ask for storage commitment; without an answer the objects are sent again when it is overdue."""
        self._answered.clear()
        with contextlib.suppress(DestinationError):
            attempt = channel.ask_commitment(transaction, accepted)
            self._log.event(
                "commitment_asked", destination=self._name, objects=len(accepted), status=attempt.status or 0
            )
            asked = attempt.verdict == "accepted" and not self._stopping.is_set()
            if asked and self._answered.wait(OUTCOME_SECONDS):
                time.sleep(_THANKS_SECONDS)

    def _outcome(self, answer: CommitmentAnswer) -> None:
        """Take an answer to a storage commitment that came within the association."""
        record(answer, self._store, self._config.retry)
        self._log.event(
            "not_committed" if answer.failed else "committed",
            destination=self._name,
            objects=answer.n_failed or len(answer.kept),
        )
        self._answered.set()

    def _look_for_overdue(self) -> None:
        """Have objects sent again whose commitment no answer came for."""
        now = time.monotonic()
        if not self._destination.commitment or now - self._looked < OVERDUE_EVERY:
            return
        self._looked = now
        overdue = self._store.overdue_commitments(self._destination.name, self._destination.commitment_seconds)
        for each in overdue:
            reason = "storage commitment was not answered in time"
            uids = [each.object.sop_uid]
            self._store.not_committed(each.transaction_uid or "", uids, reason, self._config.retry)
        if overdue:
            self._log.event("commitment_overdue", destination=self._name, objects=len(overdue))


def open_channel(destination: Destination, own_aet: str, *, on_outcome: OnOutcome) -> Channel:
    """Open the way to a destination.

    Args:
        destination: Where results go.
        own_aet: The node's title.
        on_outcome: Takes an answer to a storage commitment.

    Raises:
        DestinationError: It cannot be reached.
        UsageError: The files for TLS or of the token cannot be used.
    """
    if destination.kind == "stow":
        return StowChannel(destination)
    return DimseChannel(destination, own_aet, on_outcome=on_outcome)


def pause_after(failures: int, retry: RetrySettings) -> float:
    """Seconds until an unreachable destination is tried again: growing, at most a minute, spread by a quarter.

    Args:
        failures: In a row, from 1.
        retry: The node's settings.
    """
    longest = min(retry.longest_seconds, LONGEST_PAUSE)
    grown = retry.first_seconds * retry.factor ** min(failures - 1, 64)
    return min(grown, longest) * random.uniform(0.75, 1.0)  # noqa: S311 - spreads attempts, keeps no secret
