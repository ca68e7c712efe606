"""The local engine's process: loads the bundle, then answers for each reference.

Started by `local` through `isolation.process.IsolatedProcess`. It ends as soon as its input is closed, even in the
middle of a study, so that nothing of it outlives a driver that was killed.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Final

from brainseg_runtime.archive.job import Job
from brainseg_runtime.archive.references import Reference
from brainseg_runtime.archive.rows import Answer
from brainseg_runtime.archive.work import previewed, taken
from brainseg_runtime.errors import BrainsegError, WorkerError
from brainseg_runtime.isolation.messages import send
from brainseg_runtime.isolation.server import Loader, arriving, as_text, load_model, take_stdout
from brainseg_runtime.safe_io.system_faults import as_fault
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter

BOOT: Final = (
    "from brainseg_runtime.archive.server import serve; "
    "from brainseg_runtime.segmenter import Segmenter; "
    "serve(Segmenter)"
)
"""What the process runs."""


def serve(loader: Loader) -> None:
    """Answer messages until the host closes the pipe or dies.

    Args:
        loader: Loads the bundle that the first message names.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt from the terminal is for the driver
    replies = take_stdout()
    segmenter: BaseSegmenter | None = None
    messages = arriving()
    while True:
        message = messages.get()
        try:
            if segmenter is None:
                segmenter = load_model(message, loader)
                send(replies, {"pid": os.getpid()})
            else:
                reference = from_json(Reference, message.head.get("reference"), "reference", error=WorkerError)
                job = from_json(Job, message.head.get("job"), "job", error=WorkerError)
                send(replies, {}, [answered(segmenter, reference, job)])
        except BrainsegError as error:
            send(replies, {"error": as_text(error)})
        except Exception as error:  # noqa: BLE001 - the process's edge
            send(replies, {"error": as_text(as_fault(error) or unexpected(error))})


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
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file = "" if trace is None else trace.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    place = "" if trace is None else f" at {file}:{trace.tb_lineno}"
    return WorkerError("a worker met an unexpected fault", got=f"{type(error).__name__}{place}")
