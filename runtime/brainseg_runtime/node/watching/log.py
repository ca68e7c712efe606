"""The node's log: JSON lines on stderr, from a closed set of events and fields, without any text from outside.

A line holds `time` (UTC), `level`, `event`, `study` (the study's key) where it is about one, and the event's fields:
numbers, flags and labels. A label is a word of the node's own (a state, a reason, the kind of an error, a destination's
name) or a keyed hash (`Store.label`). A name, an identifier, a date or a UID has no field to stand in. mypy refuses
other events and fields where they are written, and a text that is no label is withheld when the line is made.

Another event or field is added here, with its meaning beside it.
"""

from __future__ import annotations

import json
import math
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Literal, NewType, TextIO, TypeAlias, TypedDict, Unpack, get_args

from brainseg_runtime.errors import ArgumentError

Label = NewType("Label", str)
"""Text that may be logged: only `Store.label`, `kind_of`, enumerations and the configuration's names give one."""

WITHHELD: Final = "withheld"
"""What is written in place of a text that is no label."""

Event: TypeAlias = Literal[
    # The node
    "starting",
    "listening",
    "ready",
    "not_ready",
    "stopping",
    "stopped",
    "recovered",  # after a kill: studies and deliveries taken up again
    "cleaned",  # unfinished files of an earlier process removed
    "draining",
    "drained_off",  # draining ended: images are taken again
    # Receiving
    "association_accepted",
    "association_rejected",
    "association_released",
    "association_aborted",
    "echo",
    "image_received",
    "image_refused",
    "loop_ended",  # an own result came back
    "stow_received",
    "stow_refused",
    "fetch_started",
    "fetch_ended",
    "fetch_failed",
    "commitment_received",
    "receiver_fault",
    # Studies
    "study_opened",
    "study_reopened",  # a late image, or a re-run
    "study_completed",
    "study_claimed",
    "study_done",
    "study_discarded",  # its result was late: the study had been opened again
    "study_released",
    "study_requeued",
    "study_failed",
    "study_quarantined",
    "study_rerun",
    "study_resent",
    "inputs_deleted",
    "results_deleted",
    "study_forgotten",
    "store_refuses",  # disk full, read-only, draining
    "store_accepts",
    "store_fault",
    "audit_written",
    # Working
    "worker_started",
    "worker_stopped",
    "worker_crashed",
    "worker_fault",
    # Sending
    "sending",
    "delivered",
    "delivery_found",  # in doubt, and already at the destination
    "delivery_retried",
    "delivery_refused",
    "delivery_quarantined",
    "delivery_superseded",
    "commitment_asked",
    "commitment_overdue",
    "committed",
    "not_committed",
    "sender_fault",
    # Watching
    "request",
    "request_denied",
    "server_fault",
    "library",  # another library had something to say; its text is withheld
    "thread_failed",
]
"""Everything that is logged."""

Observer: TypeAlias = Callable[[Event, Mapping[str, object]], None]
"""Told of each event, with its fields as they are written."""

Level: TypeAlias = Literal["info", "warning", "error"]

WARNINGS: Final[frozenset[Event]] = frozenset(
    {
        "association_rejected",
        "association_aborted",
        "image_refused",
        "loop_ended",
        "stow_refused",
        "not_ready",
        "study_discarded",
        "study_requeued",
        "study_failed",
        "store_refuses",
        "worker_crashed",
        "delivery_retried",
        "delivery_refused",
        "commitment_overdue",
        "not_committed",
        "request_denied",
        "library",
    }
)
"""Events that the node copes with by itself, but that somebody may ask about."""

ERRORS: Final[frozenset[Event]] = frozenset(
    {
        "fetch_failed",
        "receiver_fault",
        "study_quarantined",
        "store_fault",
        "worker_fault",
        "delivery_quarantined",
        "sender_fault",
        "server_fault",
        "thread_failed",
    }
)
"""Events that need somebody."""


class Fields(TypedDict, total=False):
    """Everything that a line may hold beside its event and study."""

    caller: Label  # keyed hash of the calling title
    called: Label  # keyed hash of the called title
    host: Label  # keyed hash of the address
    way: Label  # "dimse", "stow", "fetch", "http"
    reason: Label  # why, as a word
    error: Label  # kind of an error
    state: Label
    status: int  # of DIMSE or HTTP
    images: int
    objects: int
    studies: int
    deliveries: int
    results: int
    files: int
    associations: int
    warnings: int
    size: int  # bytes
    free_mib: float
    revision: int
    crashes: int
    attempt: int
    attempts: int
    in_doubt: bool
    again: bool
    signal: int
    seconds: float
    pause_seconds: float
    volume_ml: float
    worker: int
    workers: int
    memory_mib: float
    pid: int
    exit_code: int
    destination: Label  # its name in the configuration
    kind: Label  # "seg", "sr", "sc", "rtstruct"
    item: int  # number of a delivery or a result
    dicom_port: int
    http_port: int
    tls: bool
    method: Label
    route: Label  # name of the route, never the path
    library: Label
    severity: Label
    module: Label
    line: int
    count: int
    digest: Label  # SHA-256 of the bundle's manifest
    provider: Label
    variant: Label


_EVENTS: Final = frozenset(get_args(Event))
_FIELDS: Final = Fields.__optional_keys__
_LABEL: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}|(?!.*[0-9]{6})(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]{0,47}")
"""A keyed hash, a digest, or a word that holds a letter and no long number: no UID, date, identifier or address."""


class Log:
    """Writes lines; safe to share between threads, and never a reason for one to end.

    Examples:
        >>> import io, json
        >>> stream = io.StringIO()
        >>> log = Log(stream)
        >>> log.event("study_done", study="0123456789abcdef", volume_ml=12.5)
        >>> json.loads(stream.getvalue())["study"]
        '0123456789abcdef'

    Args:
        stream: Where lines go; None: stderr, as it is when a line is written.
        clock: Seconds since 1970.

    Attributes:
        lost: Lines that could not be written, such as to a full disk or a closed pipe.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[Event] = Counter()
        self._observers: tuple[Observer, ...] = ()
        self.lost = 0

    @property
    def stream(self) -> TextIO:
        """Where lines go."""
        return self._stream if self._stream is not None else sys.stderr

    def event(self, name: Event, *, study: str | None = None, **fields: Unpack[Fields]) -> None:
        """Write a line.

        Args:
            name: What happened.
            study: The key of the study that it is about, never its UID.
            **fields: Numbers, flags and labels.

        Raises:
            ArgumentError: The event or a field is not of the closed set.
        """
        if name not in _EVENTS or not fields.keys() <= _FIELDS:
            unknown = [*({name} - _EVENTS), *sorted(fields.keys() - _FIELDS)]
            raise ArgumentError(
                "the log has no such event or field", got=", ".join(unknown), remedy="add it to node/watching/log.py"
            )
        line: dict[str, object] = {"time": _utc(self._clock()), "level": level_of(name), "event": name}
        if study is not None:
            line["study"] = _written(study)
        written = {key: _written(value) for key, value in fields.items()}
        line |= written
        self._write(name, json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n")
        for observer in self._observers:
            observer(name, written)

    def observe(self, observer: Observer) -> None:
        """Have an observer told of each event from now on, in the thread that logs it."""
        with self._lock:
            self._observers = (*self._observers, observer)

    def counts(self) -> Mapping[Event, int]:
        """How often each event has been logged; what never happened is missing."""
        with self._lock:
            return dict(self._counts)

    def _write(self, name: Event, line: str) -> None:
        """One write for a line, so that lines of several threads stay whole."""
        with self._lock:
            self._counts[name] += 1
            try:
                self.stream.write(line)
                self.stream.flush()
            except (OSError, ValueError):  # ValueError: the stream is closed
                self.lost += 1


def level_of(name: Event) -> Level:
    """How urgent an event is."""
    return "error" if name in ERRORS else "warning" if name in WARNINGS else "info"


def kind_of(error: BaseException) -> Label:
    """The class of an error: what a log may hold of it.

    >>> kind_of(ArgumentError("a value is wrong"))
    'ArgumentError'
    """
    return Label(type(error).__name__)


def _written(value: object) -> int | float | str | None:
    """A value as it may be written."""
    if isinstance(value, str):
        return str(value) if _LABEL.fullmatch(value) else WITHHELD
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, int) else WITHHELD


def _utc(seconds: float) -> str:
    """A time as ISO 8601 with milliseconds."""
    whole = math.floor(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"
