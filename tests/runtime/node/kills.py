"""A node that is killed while studies arrive, are segmented and are sent; then what was lost or doubled.

The modality and the archive keep their own books: which images the node said it had taken, and which objects reached
the archive, how often. In the end some studies are segmented once more, which must make the same objects again.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from brainseg_runtime.errors import NodeError
from brainseg_runtime.node.sending.hanging_up import ClosingEntity
from tests.runtime.node.archives import Books, Kind, data_set_digest, keeping_books
from tests.runtime.node.node_process import PROGRAM, NodeProcess, settings
from tests.runtime.node.pacs import HOST, free_port, wait_for
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.uids import made_uid

Phase = Literal["receive", "segment", "send"]
PHASES: Final[Sequence[Phase]] = get_args(Phase)
GRID = axial_grid((6, 64, 64), spacing=(15.0, 3.6, 3.6))
ATTEMPTS: Final = 40
"""Most times that the modality offers an image; each attempt follows a start of the node."""

PATIENCE: Final = 600.0
"""Longest wait for a study, s: a busy machine is no fault of the node."""

REPEATED: Final = 3
"""Studies that are segmented once more in the end."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill.

    Attributes:
        phase: What it was aimed at.
        state: What the dead node's queue held of the study.
        after: Seconds after the phase had begun.
    """

    phase: Phase
    state: str
    after: float


@dataclass(kw_only=True)
class Outcome:
    """What the books say in the end.

    Attributes:
        kills: Every kill.
        accepted: Images that the node said it had taken.
        lost: Those of them that it does not have.
        unfinished: Studies that are not done, or whose results did not all arrive.
        revisions: Results that were made; more than studies where a kill let a study become quiet too early.
        objects: Objects that the archive has.
        doubled: Objects of which it has two: the same of the same images under another identity.
        again: Objects that reached it more than once under one identity, so that it has one all the same.
        altered: Objects that it has with other bytes than the node made.
        strange: Objects that no result of the node lists.
    """

    kills: list[Kill] = field(default_factory=list)
    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    revisions: int = 0
    objects: int = 0
    doubled: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def table(self) -> list[tuple[Phase, dict[str, int]]]:
        """By phase, how many kills met the study in which state."""
        return [(phase, dict(Counter(each.state for each in self.kills if each.phase == phase))) for phase in PHASES]


class Modality:
    """Sends images one by one, and remembers which were accepted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.accepted: dict[str, str] = {}
        """SHA-256 of the pixels by SOPInstanceUID."""

    def send(self, images: Sequence[Dataset], before_each: Callable[[int], None] = lambda _: None) -> bool:
        """Send what has not been accepted yet; False if the node went away.

        Args:
            images: The study's.
            before_each: Called before each image, with how many went before it.
        """
        entity = ClosingEntity(ae_title="MR1")
        entity.add_requested_context(MRImageStorage)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
        association = entity.associate(HOST, self._port, ae_title="BRAINSEG")
        if not association.is_established:
            return False
        for number, image in enumerate(images):
            if image.SOPInstanceUID in self.accepted:
                continue
            before_each(number)
            try:
                status = association.send_c_store(image).get("Status")
            except (RuntimeError, ValueError):
                return False
            if status is None:
                return False
            if status == 0x0000:
                self.accepted[str(image.SOPInstanceUID)] = hashlib.sha256(image.PixelData).hexdigest()
        association.release()
        return all(image.SOPInstanceUID in self.accepted for image in images)


def kill_repeatedly(
    folder: Path,
    kills: int,
    *,
    archive: Kind = "pynetdicom",
    phases: Sequence[Phase] = PHASES,
    program: Sequence[str] = PROGRAM,
    seed: int = 0,
    seconds: float = math.inf,
    told: Callable[[Kill], None] = lambda _: None,
) -> Outcome:
    """Kill a node, once for each study, at moments that go through receiving, segmenting and sending.

    Args:
        folder: Gets the node's state, configuration and log, and the archive's files.
        kills: How many.
        archive: Who gets the results.
        phases: What the kills are aimed at, in turns.
        program: What runs the node; a test of this test gives one with a fault.
        seed: Of the moments.
        seconds: After so many no further study is sent, however many kills there were.
        told: Called after each.
    """
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    outcome = Outcome()
    end = time.monotonic() + seconds
    port = free_port()
    with keeping_books(archive, folder / "archive") as books:
        to = books.destination
        destination = {"name": "pacs", "aet": to.aet, "host": HOST, "port": to.port}
        node = NodeProcess(folder / "node", settings(send=[destination], dicom={"port": port}), program=program)
        modality = Modality(port)
        node.start()
        try:
            for number in range(kills):
                if time.monotonic() > end:
                    break
                images = made_images(folder / "study", number)
                kill = _one(node, modality, images, phases[number % len(phases)], rng)
                outcome.kills.append(kill)
                told(kill)
            _settle(node, 60 + 20 * len(outcome.kills))
            for study in node.studies()[:REPEATED]:
                with contextlib.suppress(NodeError):  # a quarantined one, whose images may be gone
                    node.client.ask("POST", f"/studies/{study['key']}/rerun")
            _settle(node, 60 + 20 * REPEATED)
            _count(outcome, node, modality, books)
        finally:
            node.kill()
    return outcome


def made_images(folder: Path, number: int) -> list[Dataset]:
    """A small study's images; each number is another patient."""
    head = made_head(GRID, seed=number)
    tags = {
        "StudyInstanceUID": made_uid("kill", number),
        "FrameOfReferenceUID": made_uid("kill's frame", number),
        "PatientID": f"KILL-{number}",
    }
    place = folder / str(number)
    write_study(place, {role: getattr(head, role) for role in ("pre", "flair", "post")}, GRID, tags=tags)
    return [pydicom.dcmread(path) for path in sorted(place.rglob("*.dcm"))]


def key_of(node: NodeProcess, study_uid: str) -> str:
    """A study's name outside, worked out from the node's key as its documentation says."""
    return hmac.new((node.state / "key").read_bytes(), study_uid.encode(), hashlib.sha256).hexdigest()[:16]


def _one(node: NodeProcess, modality: Modality, images: Sequence[Dataset], phase: Phase, rng: random.Random) -> Kill:
    """Send a study, kill the node during a phase, start it again, and send what it has not taken."""
    moment = rng.random()
    begun = time.monotonic()
    if phase == "receive":
        at = rng.randrange(len(images))

        def perhaps(number: int) -> None:
            if number == at:
                threading.Timer(moment * 0.05, node.kill).start()

        modality.send(images, perhaps)
    else:
        modality.send(images)
        key = key_of(node, str(images[0].StudyInstanceUID))
        event, span = ("study_claimed", 0.9) if phase == "segment" else ("study_done", 1.2)
        wait_for(lambda: any(each["study"] == key for each in node.events(event)), event, seconds=PATIENCE)
        begun = time.monotonic()
        time.sleep(moment * span)
    node.kill()
    after = time.monotonic() - begun
    state = _state(node, str(images[0].StudyInstanceUID))
    node.start()
    for _ in range(ATTEMPTS):
        if modality.send(images):
            break
        time.sleep(0.1)
    return Kill(phase=phase, state=state, after=after)


def _state(node: NodeProcess, study_uid: str) -> str:
    """What the dead node's queue holds of a study."""
    with _queue(node) as queue:
        found = queue.execute("SELECT key, state FROM study WHERE uid = ?", (study_uid,)).fetchone()
        if found is None:
            return "unknown"
        if found[1] != "done":
            return str(found[1])
        states = {row[0] for row in queue.execute("SELECT state FROM delivery WHERE key = ?", found[:1])}
    return next((each for each in ("sending", "waiting") if each in states), "sent").replace("waiting", "to be sent")


def _settle(node: NodeProcess, seconds: float) -> None:
    """Wait until nothing is left to do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with _queue(node) as queue:
            left = queue.execute("SELECT count(*) FROM delivery WHERE state IN ('waiting', 'sending')").fetchone()[0]
            open_ = queue.execute("SELECT count(*) FROM study WHERE state NOT IN ('done', 'quarantined')").fetchone()[0]
        if (int(left), int(open_)) == (0, 0):
            return
        time.sleep(0.1)  # what does not end is counted as unfinished


@contextlib.contextmanager
def _queue(node: NodeProcess) -> Iterator[sqlite3.Connection]:
    """The node's database."""
    with contextlib.closing(sqlite3.connect(node.state / "node.sqlite3")) as queue:
        yield queue


def _count(outcome: Outcome, node: NodeProcess, modality: Modality, books: Books) -> None:
    """Compare the books."""
    kept = {}
    for path in (node.state / "studies").rglob("*.dcm"):
        image = pydicom.dcmread(path)
        kept[str(image.SOPInstanceUID)] = hashlib.sha256(image.PixelData).hexdigest()
    outcome.accepted = len(modality.accepted)
    outcome.lost = [uid for uid, digest in modality.accepted.items() if kept.get(uid) != digest]
    held, arrivals = books.held(), books.arrivals()
    with _queue(node) as queue:
        outcome.revisions = queue.execute("SELECT count(*) FROM result").fetchone()[0]
        made = {row[0]: row[1:] for row in queue.execute(_MADE)}
        sent = {row[0] for row in queue.execute("SELECT sop FROM delivery WHERE state = 'sent'")}
        outcome.unfinished = [row[0] for row in queue.execute(_UNFINISHED)]
        outcome.unfinished += [row[0] for row in queue.execute(_UNSENT)]
    outcome.unfinished += sorted(sent - held.keys())
    outcome.objects = len(held)
    outcome.strange = sorted(held.keys() - made.keys())
    outcome.again = sorted(uid for uid, count in arrivals.items() if count > 1)
    identities: dict[tuple[object, ...], set[str]] = {}
    for uid, (key, revision, file, of_what) in made.items():
        own = data_set_digest((node.state / "results" / key / str(revision) / file).read_bytes())
        if held.get(uid, {own}) != {own}:
            outcome.altered.append(uid)
        if uid in held:
            identities.setdefault((key, file, of_what), set()).add(uid)
    outcome.doubled = sorted(uid for uids in identities.values() if len(uids) > 1 for uid in uids)


_MADE: Final = """
    SELECT sop, delivery.key, revision, file, json_extract(made, '$.input_sha256') FROM delivery
    JOIN result ON result.id = result_id
"""
"""Every object that was made, and of which images."""

_UNFINISHED: Final = """
    SELECT study.key FROM study LEFT JOIN result ON result.key = study.key AND current
    GROUP BY study.key HAVING count(result.id) <> 1 OR study.state <> 'done'
"""
_UNSENT: Final = """
    SELECT sop FROM delivery JOIN result ON result.id = result_id WHERE current AND delivery.state <> 'sent'
"""
