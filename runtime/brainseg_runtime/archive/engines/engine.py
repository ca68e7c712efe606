"""Engines: who has references worked on. `local` and `ray_engine` have one each, and they differ in nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.working.job import Job
from brainseg_runtime.archive.working.rows import Answer
from brainseg_runtime.errors import WorkerError
from brainseg_runtime.safe_io.typed_json import from_json


class Engine(Protocol):
    """Workers that are kept between two calls of `run`."""

    def run(self, references: Iterable[Reference], job: Job, cancelled: Callable[[], bool]) -> Iterator[Answer]:
        """Have references worked on.

        Args:
            references: Taken as workers get free; a slow source does not stop answers that are there.
            job: What to do.
            cancelled: Asked before each reference is taken; after a yes, those at hand are finished.

        Yields:
            One answer for each reference that was taken, as they come.

        Raises:
            BrainsegError: A fault that is no study's: the bundle cannot be loaded, the disk is full.
        """
        ...

    def close(self) -> None:
        """End the workers."""
        ...


def read_answer(data: bytes) -> Answer:
    """A worker's answer.

    Args:
        data: JSON, as `server.answered` makes it.

    Raises:
        WorkerError: It is something else.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise WorkerError("a worker's answer is wrong", expected="JSON", got="something else") from error
    return from_json(Answer, value, "answer", error=WorkerError)
