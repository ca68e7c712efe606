"""A store in a fresh folder, with images, results and a clock that the tests make up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from brainseg_runtime.node.config import Destination, IntakeSettings
from brainseg_runtime.node.records import Arrival, Caller, MadeObject, MadeResult, Work
from brainseg_runtime.node.store.store import Store

STUDY = "1.2.840.99.1"
LIMITS = IntakeSettings(min_free_mib=0, quiet_seconds=30.0)
PACS = Destination(name="pacs", aet="PACS", host="127.0.0.1")
ARCHIVE = Destination(name="archive", aet="ARCHIVE", host="127.0.0.1", write=("seg",))


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def arrival(store: Store, study: str = STUDY, image: int = 1, data: bytes = b"pixels") -> Arrival:
    """An image that lies in `incoming`, whole."""
    path = store.folder.incoming / f"{image}-{sha256(study.encode() + data)[:8]}.part"
    path.write_bytes(b"head" + data)
    return Arrival(
        study_uid=study,
        sop_uid=f"{study}.{image}",
        path=path,
        size=len(data) + 4,
        sha256=sha256(b"head" + data),
        content_sha256=sha256(data),
        caller=Caller(aet="MODALITY", host="10.0.0.7", way="dimse"),
    )


def receive(store: Store, study: str = STUDY, image: int = 1, data: bytes = b"pixels") -> str:
    """Has a store take an image."""
    return store.accept(arrival(store, study, image, data), LIMITS)


def claimed(store: Store, clock: Clock, study: str = STUDY, images: int = 2) -> Work:
    """A study that a worker has."""
    for image in range(images):
        receive(store, study, image)
    clock.forward(31)
    assert store.key_of(study) in store.close_quiet(LIMITS)
    work = store.claim()
    assert work is not None
    assert work.key == store.key_of(study)
    return work


def result(work: Work, kinds: Sequence[str] = ("seg", "sr"), data: bytes = b"made") -> MadeResult:
    """A result as the isolated process leaves it; the same data has the same identities."""
    folder = work.out / "result"
    folder.mkdir()
    objects = []
    for kind in kinds:
        content = kind.encode() + data
        (folder / f"{kind}.dcm").write_bytes(content)
        objects.append(
            MadeObject(
                kind=kind,
                path=f"{kind}.dcm",
                sop_class="1.2.840.10008.5.1.4.1.1.66.4",
                sop_uid=f"2.25.{int(sha256(work.key.encode() + content)[:16], 16)}",
                sha256=sha256(content),
            )
        )
    (folder / "preview.png").write_bytes(b"png")
    return MadeResult(
        folder=folder,
        objects=tuple(objects),
        preview="preview.png",
        volume_ml=12.5,
        warnings=("FLAIR is thick",),
        input_sha256=sha256(b"inputs"),
        provenance={"model": "tiny", "digest": sha256(b"model"), "provider": "cpu"},
        seconds={"segment": 0.5},
    )


def finished(store: Store, clock: Clock, study: str = STUDY, *, to: Sequence[Destination] = (PACS,)) -> str:
    """The key of a study that is done."""
    work = claimed(store, clock, study)
    assert store.finish(work, result(work), to)
    return work.key


def files(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
