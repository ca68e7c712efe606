"""The local engine's process: loads the bundle, then answers for each reference.

Started by `local` through `isolation.process.IsolatedProcess`. It ends as soon as its input is closed, even in the
middle of a study, so that nothing of it outlives a driver that was killed.
"""

from __future__ import annotations

import json
import os
from typing import Final

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.working.job import Job
from brainseg_runtime.archive.working.rows import Answer
from brainseg_runtime.archive.working.work import previewed, taken
from brainseg_runtime.errors import BrainsegError, WorkerError
from brainseg_runtime.isolation.messages import Message
from brainseg_runtime.isolation.server import Loader, Reply, answer_each
from brainseg_runtime.safe_io.system_faults import as_fault, kind_and_place
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter

BOOT: Final = (
    "from brainseg_runtime.archive.engines.server import serve; "
    "from brainseg_runtime.segmenter import Segmenter; "
    "serve(Segmenter)"
)
"""What the process runs."""


def serve(loader: Loader) -> None:
    """Answer messages until the host closes the pipe or dies.

    Args:
        loader: Loads the bundle that the first message names.
    """
    answer_each(loader, _loaded, _answer, _named)


def _loaded(_: BaseSegmenter) -> Reply:
    return {"pid": os.getpid()}, []


def _answer(segmenter: BaseSegmenter, message: Message) -> Reply:
    reference = from_json(Reference, message.head.get("reference"), "reference", error=WorkerError)
    job = from_json(Job, message.head.get("job"), "job", error=WorkerError)
    return {}, [answered(segmenter, reference, job)]


def _named(error: Exception) -> BrainsegError:
    return error if isinstance(error, BrainsegError) else as_fault(error) or unexpected(error)


def answered(segmenter: BaseSegmenter, reference: Reference, job: Job) -> bytes:
    """The answer to a reference as JSON.

    Args:
        segmenter: A loaded model.
        reference: Where the studies are.
        job: What to do.

    Raises:
        BrainsegError: As for `work.taken`.
    """
    made: Answer = (previewed if job.previews else taken)(segmenter, reference, job)
    return json.dumps(to_json(made), allow_nan=False).encode()


def unexpected(error: Exception) -> WorkerError:
    """The error for an unexpected exception: its kind and place, since its text may quote a study."""
    return WorkerError("a worker met an unexpected fault", got=kind_and_place(error))
