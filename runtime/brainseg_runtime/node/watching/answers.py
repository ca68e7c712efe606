"""What the node answers over HTTP: the JSON's classes, and rows of the queue as such.

A study is named by its key alone. UIDs, titles and addresses are left out here, whatever the rows hold.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from brainseg_runtime.node.records import Delivery, DeliveryState, MadeObject, ResultRow, StudyRow, StudyState

UNNAMED: Final = "unnamed"
"""In place of a text that an error lacks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorParts:
    """What is wrong.

    Attributes:
        kind: The kind of error.
        what: What is at fault.
        expected: What would have been right.
        got: What was found.
        remedy: What to do about it.
    """

    kind: str
    what: str
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorAnswer:
    """Why a request was not fulfilled.

    Attributes:
        error: What is wrong.
    """

    error: ErrorParts


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthAnswer:
    """The process is alive.

    Attributes:
        alive: Always true.
        version: The node's version.
    """

    alive: bool
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyAnswer:
    """Whether images are taken.

    Attributes:
        ready: Whether they are.
        reasons: Why not; empty if they are.
        draining: Whether the node was told to take no more.
    """

    ready: bool
    reasons: tuple[str, ...]
    draining: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainAnswer:
    """Whether the node was told to take no more images.

    Attributes:
        draining: Whether it was. What it holds is still segmented and sent.
    """

    draining: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """A study in the queue.

    Attributes:
        key: Its name: 16 hexadecimal digits, a keyed hash of its UID.
        state: Where it is on its way.
        revision: Grows by one each time that it is opened again by a late image or a re-run.
        images: Number of images.
        size: Bytes of its images.
        received: When its first image came, UTC.
        last_received: When its last image came, UTC.
        finished: When it was done with, UTC; null before.
        crashes: Times that it ended the isolated process, in this revision.
        error: Why it was given up; null otherwise.
        inputs_deleted: Whether its images have been removed, as they are after a time.
    """

    key: str
    state: StudyState
    revision: int
    images: int
    size: int
    received: str
    last_received: str
    finished: str | None
    crashes: int
    error: ErrorParts | None
    inputs_deleted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StudiesAnswer:
    """A page of the queue.

    Attributes:
        studies: The studies, newest first.
        after: The `after` of the next page; null on the last.
    """

    studies: tuple[StudySummary, ...]
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectAnswer:
    """A file of a result.

    Attributes:
        kind: "seg", "sr", "sc" or "rtstruct".
        name: Its name under `/studies/{key}/results/`.
        sha256: Of the file.
    """

    kind: str
    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultAnswer:
    """What was made of a study.

    Attributes:
        revision: The study's revision that it was made of.
        created: When, UTC.
        current: Whether no later revision's result has replaced it.
        deleted: Whether its files have been removed, as they are after a time.
        volume_ml: Volume of the mask, mL.
        warnings: Reasons to distrust it.
        input_sha256: Digest of the images used.
        seconds: Time by part, s.
        provenance: Model, digests, provider, variant, threshold and versions.
        objects: Its files.
    """

    revision: int
    created: str
    current: bool
    deleted: bool
    volume_ml: float
    warnings: tuple[str, ...]
    input_sha256: str
    seconds: dict[str, float]
    provenance: dict[str, Any]
    objects: tuple[ObjectAnswer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryAnswer:
    """A file on its way to a destination.

    Attributes:
        destination: The destination's name in the configuration.
        name: The file's name.
        kind: "seg", "sr", "sc" or "rtstruct".
        state: Where it is on its way.
        attempts: Attempts begun.
        due: When the next attempt is due, UTC; null if none is.
        accepted: When the destination accepted it, UTC; null before.
        error: The last refusal; null if there was none.
    """

    destination: str
    name: str
    kind: str
    state: DeliveryState
    attempts: int
    due: str | None
    accepted: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyAnswer:
    """A study, what was made of it, and where that went.

    Attributes:
        study: The study.
        preview: Whether there is a picture at `/studies/{key}/preview.png`.
        results: What was made of it, newest first.
        deliveries: Where that went.
    """

    study: StudySummary
    preview: bool
    results: tuple[ResultAnswer, ...]
    deliveries: tuple[DeliveryAnswer, ...]


ANSWERS: Final = (
    ErrorParts, ErrorAnswer, HealthAnswer, ReadyAnswer, DrainAnswer, StudySummary, StudiesAnswer, ObjectAnswer,
    ResultAnswer, DeliveryAnswer, StudyAnswer,
)  # fmt: skip
"""Every class here; the OpenAPI document describes their fields by their docstrings."""


def error_parts(error: Mapping[str, object]) -> ErrorParts:
    """An error as the queue keeps it.

    Args:
        error: Kind, what, expected, got and remedy, as `BrainsegError.to_json` gives them.
    """
    texts = {name: error.get(name) for name in ("kind", "what", "expected", "got", "remedy")}
    known = {name: None if value is None else str(value) for name, value in texts.items()}
    return ErrorParts(
        kind=known["kind"] or UNNAMED,
        what=known["what"] or UNNAMED,
        expected=known["expected"],
        got=known["got"],
        remedy=known["remedy"],
    )


def study_summary(row: StudyRow) -> StudySummary:
    """A study's row, without its UID."""
    return StudySummary(
        key=row.key,
        state=row.state,
        revision=row.revision,
        images=row.images,
        size=row.size,
        received=utc(row.received),
        last_received=utc(row.last_received),
        finished=None if row.finished is None else utc(row.finished),
        crashes=row.crashes,
        error=None if row.error is None else error_parts(row.error),
        inputs_deleted=row.inputs_deleted,
    )


def study_answer(row: StudyRow, results: Iterable[ResultRow], deliveries: Iterable[Delivery]) -> StudyAnswer:
    """All that is told of a study."""
    newest_first = sorted(results, key=lambda each: each.id, reverse=True)
    current = current_result(newest_first)
    return StudyAnswer(
        study=study_summary(row),
        preview=current is not None and current.made.preview is not None,
        results=tuple(map(_result, newest_first)),
        deliveries=tuple(map(_delivery, deliveries)),
    )


def current_result(results: Iterable[ResultRow]) -> ResultRow | None:
    """The result whose files are there and that no later one has replaced."""
    return next((each for each in results if each.current and not each.deleted), None)


def object_name(made: MadeObject) -> str:
    """An object's name under `/studies/{key}/results/`: its path with slashes."""
    return PurePosixPath(made.path).as_posix()


def utc(seconds: float) -> str:
    """A time since 1970 as ISO 8601.

    >>> utc(0.25)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _result(row: ResultRow) -> ResultAnswer:
    """A result's row, without its objects' UIDs."""
    made = row.made
    return ResultAnswer(
        revision=row.revision,
        created=utc(row.created),
        current=row.current,
        deleted=row.deleted,
        volume_ml=made.volume_ml,
        warnings=tuple(made.warnings),
        input_sha256=made.input_sha256,
        seconds=dict(made.seconds),
        provenance=dict(made.provenance),
        objects=tuple(
            ObjectAnswer(kind=each.kind, name=object_name(each), sha256=each.sha256) for each in made.objects
        ),
    )


def _delivery(row: Delivery) -> DeliveryAnswer:
    """A delivery's row, without UIDs."""
    return DeliveryAnswer(
        destination=row.destination,
        name=object_name(row.object),
        kind=row.object.kind,
        state=row.state,
        attempts=row.attempts,
        due=utc(row.next_at) if row.state == "waiting" else None,
        accepted=None if row.accepted is None else utc(row.accepted),
        error=row.error,
    )
