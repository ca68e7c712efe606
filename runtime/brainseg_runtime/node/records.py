"""What the node's parts hand to each other, and what its queue holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

StudyState = Literal["receiving", "waiting", "segmenting", "done", "quarantined"]
"""A study's way: images arrive; it waits for a worker; a worker has it; its result is written; or it was given up."""

DeliveryState = Literal["waiting", "sending", "sent", "committed", "quarantined", "superseded"]
"""A delivery's way: due at `next_at`; a sender has it; accepted; committed to; given up; replaced by a newer result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who sent something.

    Attributes:
        aet: The calling title; "" over HTTP.
        host: The address.
        way: How it came.
    """

    aet: str
    host: str
    way: Literal["dimse", "stow", "fetch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """An image that is whole on the disk, flushed, under a temporary name.

    Attributes:
        study_uid: StudyInstanceUID.
        sop_uid: SOPInstanceUID.
        path: The file, in the store's `incoming` folder; the store takes it.
        size: Bytes.
        sha256: Of the file.
        content_sha256: Of the data set without the file's head, so that the same image sent twice is the same.
        caller: Who sent it.
    """

    study_uid: str
    sop_uid: str
    path: Path
    size: int
    sha256: str
    content_sha256: str
    caller: Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRow:
    """A study as the queue has it.

    Attributes:
        key: Its name outside: 16 hexadecimal digits, a keyed hash of its UID. Everything shown or logged uses it.
        uid: StudyInstanceUID; never shown or logged.
        state: Where it is on its way.
        revision: Grows by one each time that a complete study is opened again by a late image or a re-run.
        images: Number of images.
        size: Bytes of its images.
        received: Time of its first image, s since 1970.
        last_received: Time of its last image, s since 1970.
        associations: Associations that brought images of it and have been released, in this revision.
        crashes: Times that it killed the isolated process or outlasted the deadline, in this revision.
        error: Why it is quarantined: kind, what, expected, got, remedy, without names or UIDs; None otherwise.
        finished: When it became done or quarantined, s since 1970; None before.
        inputs_deleted: Whether retention has removed its images.
    """

    key: str
    uid: str
    state: StudyState
    revision: int
    images: int
    size: int
    received: float
    last_received: float
    associations: int
    crashes: int
    error: Mapping[str, object] | None
    finished: float | None
    inputs_deleted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A study that a worker has taken.

    Attributes:
        key: The study's.
        revision: The revision that it was taken at.
        inputs: The folder of its images.
        out: The folder that the isolated process writes into; its result is one folder in it, whole or not at all.
        crashes: How often it has killed a process before.
    """

    key: str
    revision: int
    inputs: Path
    out: Path
    crashes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeObject:
    """A DICOM object of a result.

    Attributes:
        kind: "seg", "sr", "sc" or "rtstruct".
        path: The file, relative to the result's folder.
        sop_class: SOPClassUID.
        sop_uid: SOPInstanceUID.
        sha256: Of the file.
        series_uid: SeriesInstanceUID; None if it is not known.
    """

    kind: str
    path: str
    sop_class: str
    sop_uid: str
    sha256: str
    series_uid: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeResult:
    """What the isolated process made of a study.

    Attributes:
        folder: The result's folder, whole; the store takes it.
        objects: The DICOM objects in it.
        preview: The preview, relative to the folder.
        volume_ml: Volume of the mask, mL.
        warnings: Reasons to distrust it, without names or UIDs.
        input_sha256: Digest of the images used.
        provenance: Model, digests, provider, variant, threshold and versions, as JSON.
        seconds: Time by part, s.
    """

    folder: Path
    objects: tuple[MadeObject, ...]
    preview: str | None
    volume_ml: float
    warnings: tuple[str, ...]
    input_sha256: str
    provenance: Mapping[str, object]
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRow:
    """A result as the queue has it.

    Attributes:
        id: Its number.
        key: The study's key.
        revision: The revision that it was made of.
        made: The result; `folder` is where the store keeps it.
        created: s since 1970.
        current: False if a later revision's result replaced it.
        deleted: Whether retention has removed its files.
    """

    id: int
    key: str
    revision: int
    made: MadeResult
    created: float
    current: bool
    deleted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One object on its way to one destination.

    Attributes:
        id: Its number.
        key: The study's key.
        result_id: The result's number.
        destination: The destination's name.
        object: What is sent.
        path: The file.
        state: Where it is on its way.
        attempts: Attempts begun.
        in_doubt: Whether an earlier attempt was begun of which nobody knows how it ended (the node was killed).
        next_at: When it is due, s since 1970.
        accepted: When the destination accepted it, s since 1970.
        transaction_uid: Of the storage commitment asked for.
        error: The last refusal, without names or UIDs.
    """

    id: int
    key: str
    result_id: int
    destination: str
    object: MadeObject
    path: Path
    state: DeliveryState
    attempts: int
    in_doubt: bool
    next_at: float
    accepted: float | None
    transaction_uid: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What the node holds now.

    Attributes:
        studies: Number of studies by state; every state is a key.
        deliveries: Number of deliveries by destination and state; destinations that have any, every state a key.
        images: Number of images on the disk.
        image_bytes: Bytes of them.
        oldest_waiting: Since when the study that is next for a worker has waited, s since 1970; None if none waits.
        oldest_delivery: When the result was made that has waited longest to be sent, s since 1970; None if none waits.
        free_bytes: Free on the disk.
    """

    studies: Mapping[StudyState, int]
    deliveries: Mapping[str, Mapping[DeliveryState, int]]
    images: int
    image_bytes: int
    oldest_waiting: float | None
    oldest_delivery: float | None
    free_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """What retention removed.

    Attributes:
        inputs: Studies whose images were removed.
        results: Results whose files were removed.
        studies: Studies that were forgotten altogether.
    """

    inputs: int
    results: int
    studies: int
