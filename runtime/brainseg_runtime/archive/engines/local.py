"""The local engine: as many processes as pay on this machine, each with the model loaded, and a thread beside each.

The standard library's pools stop for good when a worker is killed, so the processes are `isolation`'s, which are
replaced. A thread takes the next reference when its process is free; answers wait in a short queue.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from brainseg_runtime.archive.engines.engine import read_answer
from brainseg_runtime.archive.engines.server import BOOT
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.working.job import TRIES, Crew, Job
from brainseg_runtime.archive.working.rows import Answer
from brainseg_runtime.archive.working.work import given_up, tell_why
from brainseg_runtime.errors import BrainsegError, InferenceError, OutOfMemoryError, WorkerError
from brainseg_runtime.inference.control_groups import granted_memory
from brainseg_runtime.inference.processor import thread_count, usable_cores
from brainseg_runtime.isolation.process import IsolatedProcess, raise_error
from brainseg_runtime.safe_io.typed_json import to_json

_WAITING: Final = 2
"""Answers that wait for the driver, for each worker."""

_LOOK_SECONDS: Final = 0.2
"""How often a thread that waits for the driver looks whether it has gone, s."""

MEMORY_MIB: Final = 1500
"""Memory that a worker may need at its peak, MiB: a study of three 512 x 512 x 200 series, read and registered."""


def default_workers() -> int:
    """As many processes as pay: one for each usable core, as far as memory reaches.

    >>> default_workers() >= 1
    True
    """
    return max(1, min(usable_cores(), _free_mib() // MEMORY_MIB))


def threads_each(workers: int) -> int:
    """Threads of each worker, so that all together take the usable cores.

    >>> threads_each(256)
    1
    """
    return max(1, min(thread_count(None), usable_cores() // workers))


class LocalEngine:
    """Processes on this machine.

    Args:
        crew: The model, and how many.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._processes: list[IsolatedProcess | None] = [None] * crew.count

    @property
    def pids(self) -> list[int]:
        """The processes that are up."""
        return [each.pid for each in self._processes if each is not None]

    def run(  # noqa: D102 - `engines.Engine` documents it
        self, references: Iterable[Reference], job: Job, cancelled: Callable[[], bool]
    ) -> Iterator[Answer]:
        shift = _Shift(iter(references), job, cancelled, self._crew.count)
        threads = [
            threading.Thread(target=self._work, args=(number, shift), name=f"brainseg-archive-{number}", daemon=True)
            for number in range(self._crew.count)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from shift.answers()
        finally:
            shift.stop.set()
            shift.abandoned.set()
            if shift.at_hand():
                self._kill()
            for thread in threads:
                thread.join()

    def close(self) -> None:  # noqa: D102 - as above
        for number, process in enumerate(self._processes):
            self._processes[number] = None
            if process is not None:
                process.end(patience=2.0)

    def _work(self, number: int, shift: _Shift) -> None:
        """Take references until there are no more."""
        try:
            while (reference := shift.next()) is not None:
                shift.put(self._answer(number, reference, shift))
        except BrainsegError as error:
            shift.put(error)
        except Exception as error:  # noqa: BLE001 - the thread's edge: the driver raises it
            shift.put(error)
        finally:
            shift.put(None)

    def _answer(self, number: int, reference: Reference, shift: _Shift) -> Answer:
        """The answer of a process; one that dies is replaced, and after `TRIES` of them the reference is given up."""
        request = {"reference": to_json(reference), "job": to_json(shift.job)}
        for _ in range(TRIES):
            process = self._process(number)
            answered = False
            try:
                reply = process.exchange(request, [], shift.job.deadline)
                raise_error(reply)
                made = read_answer(reply.blobs[0] if reply.blobs else b"")
                answered = True
            except (InferenceError, OutOfMemoryError) as error:
                tell_why(shift.job, reference, f"{error.what}, {error.got}" if error.got else error.what)
                if shift.stop.is_set():
                    raise
                continue
            except BrainsegError:
                answered = True
                raise
            finally:
                if not answered:
                    self._processes[number] = None
                    process.end()
            return made
        return given_up(reference, shift.job)

    def _process(self, number: int) -> IsolatedProcess:
        """The process of a thread; one that dies while it starts is started again."""
        for left in reversed(range(TRIES + 1)):
            process = self._processes[number]
            if process is not None:
                return process
            try:
                self._processes[number] = IsolatedProcess(to_json(self._crew.load), boot=BOOT)
            except WorkerError:
                if not left:
                    raise
        raise WorkerError("the workers die while they start", expected="a process", got=f"none in {TRIES} tries")

    def _kill(self) -> None:
        """End processes whose answers nobody waits for."""
        for process in self._processes:
            if process is not None:
                process.kill()


@dataclass(eq=False)
class _Shift:
    """One call of `run`: what threads take from, and put into."""

    references: Iterator[Reference]
    job: Job
    cancelled: Callable[[], bool]
    count: int

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.abandoned = threading.Event()
        self._lock = threading.Lock()
        self._taken = 0
        self._answered = 0
        self._answers: queue.Queue[Answer | Exception | None] = queue.Queue(_WAITING * self.count)

    def next(self) -> Reference | None:
        """The next reference; None when there is none, or no more is to be taken."""
        with self._lock:
            if self.stop.is_set() or self.cancelled():
                return None
            reference = next(self.references, None)
            self._taken += reference is not None
            return reference

    def put(self, answer: Answer | Exception | None) -> None:
        """Hand an answer to the driver; an error ends the shift."""
        if isinstance(answer, Exception):
            self.stop.set()
        while not self.abandoned.is_set():
            try:
                self._answers.put(answer, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return

    def at_hand(self) -> bool:
        """Whether a reference is being worked on whose answer has not been taken."""
        return self._taken > self._answered

    def answers(self) -> Iterator[Answer]:
        """The answers as they come; raises the first error once the other threads have come to their end."""
        working = self.count
        fault: Exception | None = None
        while working:
            found = self._answers.get()
            if found is None:
                working -= 1
            elif isinstance(found, Exception):
                self._answered += 1
                fault = fault or found
            else:
                self._answered += 1
                yield found
        if fault is not None:
            raise fault


def _free_mib() -> int:
    """Memory that programs may still take, MiB, in a container or batch job at most its own; a lot if nothing says."""
    granted = granted_memory()
    return min(_available_mib(), (1 << 20) if granted is None else granted >> 20)


def _available_mib() -> int:
    """Memory of the whole machine that is free or can be freed, MiB."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - not a file on a disk
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) // 1024
    except (OSError, ValueError, IndexError):
        pass
    return 1 << 20
