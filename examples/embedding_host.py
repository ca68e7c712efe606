"""A workstation that embeds the runtime: series arrive, a thread segments them, each leaves a line in the audit log.

    python examples/embedding_host.py BUNDLE DIGEST AUDIT.jsonl

The series are made up here; a real host would hand over what its acquisition loop receives. The model runs in a process
of its own, so that a fault in native code costs one series and not the workstation.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime import (
    BrainsegError,
    CancelledError,
    InputError,
    IsolatedSegmenter,
    PostProcessing,
    VolumePrediction,
    WorkerError,
)

logger = logging.getLogger("workstation")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One patient's slices, as the acquisition loop received them."""

    id: str
    slices: NDArray[np.uint8]
    """(N, H, W, 3): pre-contrast, FLAIR, post-contrast, scaled to 0 to 255."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set by the user interface."""


def acquire() -> Iterator[Series]:
    """What the scanner sends: made-up series, one of which the reader cancels, and one that is too small."""
    rng = np.random.default_rng(0)
    for number in range(3):
        head = np.zeros((6, 64, 64, 3))
        head[:, 8:56, 12:52] = (70, 75, 75)
        head[1:5, 20:34, 22:36] = (90, 185, 135)
        series = Series(id=f"series-{number}", slices=(head + rng.integers(0, 12, head.shape)).astype(np.uint8))
        if number == 1:
            series.cancelled.set()
        yield series
    yield Series(id="series-wrong-size", slices=np.zeros((1, 8, 8, 3), np.uint8))


def audit(log: TextIO, series: Series, **facts: object) -> None:
    """One line for each series, written and flushed before the next series starts."""
    line = {"time": datetime.now(UTC).isoformat(), "series": series.id, **facts}
    log.write(json.dumps(line) + "\n")
    log.flush()


def outcome(segmenter: IsolatedSegmenter, series: Series) -> dict[str, object]:
    """Segment one series and report the outcome; no fault of a series ends the worker."""
    try:
        volume = segmenter.predict_volume(
            series.slices,
            progress=lambda done, count: logger.info("%s: %d of %d", series.id, done, count),
            cancel=series.cancelled.is_set,
            postprocessing=PostProcessing(min_voxels=8),
        )
    except CancelledError:
        return {"outcome": "cancelled"}
    except InputError as error:  # the series is at fault: tell the reader
        return {"outcome": "refused", "error": error.to_json()}
    except WorkerError as error:  # the process died or hung: the next series gets a new process
        return {"outcome": "failed", "error": error.to_json(), "retry": True}
    except BrainsegError as error:
        return {"outcome": "failed", "error": error.to_json()}
    return {"outcome": "done", **facts(volume)}


def facts(volume: VolumePrediction) -> dict[str, object]:
    """What an auditor asks for later: which model, on which provider, with which remarks, how long."""
    origin = volume.provenance
    return {
        "model": origin.model,
        "bundle_digest": origin.bundle_digest,
        "model_digest": origin.model_digest,
        "provider": origin.provider,
        "variant": origin.variant,
        "tumour_pixels": volume.volume,
        "removed_pixels": volume.removed_pixels,
        "warnings": {str(number): list(reasons) for number, reasons in volume.warnings.items()},
        "seconds": round(volume.timing.total, 4),
    }


def work(segmenter: IsolatedSegmenter, inbox: queue.Queue[Series | None], log: TextIO) -> None:
    """The worker thread: series in, audit lines out, until None comes."""
    while (series := inbox.get()) is not None:
        audit(log, series, **outcome(segmenter, series))


def main(bundle: str, digest: str, audit_file: str) -> int:
    """Run the host until the acquisition ends."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        # Refused unless it is the bundle that this site has approved.
        segmenter = IsolatedSegmenter.load(bundle, digest=digest, deadline=30.0)
    except BrainsegError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message is enough; a traceback would hide it
        return 1
    inbox: queue.Queue[Series | None] = queue.Queue(maxsize=8)  # a full inbox holds the acquisition back
    with segmenter, Path(audit_file).open("a", encoding="utf-8") as log:
        logger.info("%s on %s, %s", segmenter.info.provenance.model, segmenter.info.provider, segmenter.info.variant)
        worker = threading.Thread(target=work, args=(segmenter, inbox, log), name="segmentation")
        worker.start()
        for series in acquire():
            inbox.put(series)
        inbox.put(None)
        worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
