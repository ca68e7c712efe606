"""Studies put into a node's store as a receiver would put them, and results as a worker would make them."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pydicom
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.node.config import Destination, IntakeSettings
from brainseg_runtime.node.records import Arrival, Caller, MadeResult
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.working.requests import StudyRequest
from brainseg_runtime.node.working.server import segment
from tests.runtime.tiny import TINY
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.tags import Tags

GRID = axial_grid((6, 64, 64), spacing=(15.0, 3.6, 3.6))
AT_ONCE = IntakeSettings(quiet_seconds=0.0, min_free_mib=0)
SENDER = Caller(aet="MODALITY", host="127.0.0.1", way="dimse")


def write_made(folder: Path, *, roles: Sequence[str] = ("pre", "flair", "post"), tags: Tags | None = None) -> Path:
    """A small study's files."""
    head = made_head(GRID)
    volumes: dict[str, NDArray[np.generic]] = {role: getattr(head, role) for role in roles}
    return write_study(folder, volumes, GRID, tags=tags)


def receive(store: Store, folder: Path) -> str:
    """Put every image of a folder into the store; the study's key."""
    uid = ""
    for path in sorted(folder.rglob("*.dcm")):
        data = path.read_bytes()
        header = pydicom.dcmread(path, stop_before_pixels=True)
        uid = str(header.StudyInstanceUID)
        arrived = store.folder.incoming / f"{hashlib.sha256(str(path).encode()).hexdigest()}.dcm"
        arrived.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        store.accept(
            Arrival(
                study_uid=uid, sop_uid=str(header.SOPInstanceUID), path=arrived, size=len(data), sha256=digest,
                content_sha256=digest, caller=SENDER,
            ),
            AT_ONCE,
        )  # fmt: skip
    return store.key_of(uid)


def queue(store: Store, folder: Path) -> str:
    """Receive a study and call it complete; its key."""
    key = receive(store, folder)
    store.close_quiet(AT_ONCE)
    return key


@cache
def _made_once() -> MadeResult:
    """A result of a small study, made in this process once."""
    folder = Path(mkdtemp(prefix="brainseg-made-"))
    request = StudyRequest(
        inputs=write_made(folder / "in"), out=folder / "out", kinds=("seg", "sr", "sc", "rtstruct"), register=False,
        threshold=None, partial="warn", earlier=None,
    )  # fmt: skip
    return segment(Segmenter.load(TINY, provider="cpu", variant="fp32", threads=1), request)


def finish(store: Store, folder: Path, destinations: Sequence[Destination]) -> str:
    """Queue a study and give it a result, whose objects are due at the destinations; its key."""
    key = queue(store, write_made(folder))
    work = store.claim()
    assert work is not None
    made = _made_once()
    copied = MadeResult(
        **{name: getattr(made, name) for name in MadeResult.__slots__} | {"folder": work.out / "result"}
    )
    shutil.copytree(made.folder, copied.folder)
    assert store.finish(work, copied, destinations)
    return key


def until(truth: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def states(store: Store, key: str) -> set[str]:
    """The states of a study's deliveries."""
    return {each.state for each in store.deliveries(key)}
