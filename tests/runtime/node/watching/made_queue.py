"""A store with studies in every state, made of patients whose names, dates and UIDs must never be seen again."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from brainseg_runtime.errors import StudyError
from brainseg_runtime.node.config import Destination, IntakeSettings, RetrySettings
from brainseg_runtime.node.records import Arrival, Caller, MadeObject, MadeResult, Work
from brainseg_runtime.node.store.store import Store

PACS = Destination(name="pacs", aet="PACS", host="10.20.30.40")
PREVIEW = b"\x89PNG\r\n\x1a\n made"
SEG = b"\0" * 128 + b"DICM seg"
CALLER = Caller(aet="MODALITY_9", host="10.20.30.40", way="dimse")

UIDS = {
    "done": "1.2.826.0.1.3680043.8.498.1001",
    "quarantined": "1.2.826.0.1.3680043.8.498.1002",
    "receiving": "1.2.826.0.1.3680043.8.498.1003",
}
IDENTIFYING = ("DOE", "MRN-77", "19700101", "3680043", "MODALITY_9", "10.20.30.40")
"""Parts of names, identifiers, dates, UIDs, titles and addresses of what is put in."""


@dataclass
class MadeQueue:
    """A store and the keys of its studies."""

    store: Store
    later: list[float]
    """Seconds that the store's clock is ahead."""
    keys: dict[str, str] = field(default_factory=dict)


def made_queue(folder: Path) -> MadeQueue:
    """A study that is done and half sent, one that is quarantined, and one that is being received."""
    later = [0.0]
    made = MadeQueue(Store.open(folder, clock=lambda: time.time() + later[0]), later)
    for name in ("done", "quarantined"):
        work = _claimed(made, name)
        if name == "done":
            made.store.finish(work, _result(work), (PACS,))
        else:
            made.store.failed(work, StudyError("no series is FLAIR", expected="one", got="0"), crashed=False)
    receive(made, "receiving")
    delivery = made.store.due("pacs")
    assert delivery is not None
    made.store.accepted(delivery)
    delivery = made.store.due("pacs")
    assert delivery is not None
    made.store.refused(delivery, "10.20.30.40 refused 1.2.826.0.1.3680043.8.498.5", RetrySettings(), final=False)
    return made


def receive(made: MadeQueue, name: str, images: int = 2) -> None:
    """Images of a study."""
    for number in range(images):
        sop_uid = f"{UIDS[name]}.{number}"
        data = f"DOE^JOHN MRN-77 19700101 {sop_uid}".encode()
        path = made.store.folder.incoming / f"{sop_uid}.part"
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        made.store.accept(
            Arrival(
                study_uid=UIDS[name], sop_uid=sop_uid, path=path, size=len(data), sha256=digest, content_sha256=digest,
                caller=CALLER,
            ),
            IntakeSettings(min_free_mib=0),
        )  # fmt: skip
    made.keys[name] = made.store.key_of(UIDS[name])


def _claimed(made: MadeQueue, name: str) -> Work:
    receive(made, name)
    made.store.association_released([UIDS[name]])
    assert made.store.close_quiet(IntakeSettings(complete_after_associations=1)) == [made.keys[name]]
    work = made.store.claim()
    assert work is not None
    return work


def _result(work: Work) -> MadeResult:
    folder = work.out / "study"
    (folder / "sc").mkdir(parents=True)
    (folder / "seg.dcm").write_bytes(SEG)
    (folder / "sc" / "0001.dcm").write_bytes(SEG + b"sc")
    (folder / "preview.png").write_bytes(PREVIEW)
    (folder / "study.json").write_text("{}")

    def made(kind: str, path: str, number: int) -> MadeObject:
        digest = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        uid = f"1.2.826.0.1.3680043.8.498.2{number}"
        return MadeObject(kind=kind, path=path, sop_class="1.2.840.10008.5.1.4.1.1.66.4", sop_uid=uid, sha256=digest)

    return MadeResult(
        folder=folder,
        objects=(made("seg", "seg.dcm", 1), made("sc", "sc/0001.dcm", 2)),
        preview="preview.png",
        volume_ml=12.5,
        warnings=("no T1 before contrast; FLAIR is repeated",),
        input_sha256="a" * 64,
        provenance={"model": "tiny", "digest": "b" * 64},
        seconds={"segment": 1.5},
    )
