"""A worker: a thread that claims studies and has them segmented in a process of its own.

The process is started once, keeps the model between studies, and is replaced when it crashed, outlasted the deadline or
ran out of memory. Such a study is tried once more; a study that is itself at fault is not.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, InferenceError, NodeFullError, OutOfMemoryError, WorkerError
from brainseg_runtime.inference.processor import thread_count
from brainseg_runtime.isolation.messages import LoadRequest
from brainseg_runtime.isolation.process import IsolatedProcess, raise_error
from brainseg_runtime.node.records import Delivery, MadeResult, ResultRow, StudyState, Work
from brainseg_runtime.node.watching.log import Event, Log, kind_of
from brainseg_runtime.node.working.requests import Earlier, StudyRequest
from brainseg_runtime.node.working.server import BOOT
from brainseg_runtime.safe_io.typed_json import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brainseg_runtime.node.config import Destination, NodeConfig

POLL_SECONDS: Final = 0.5
"""How often the queue is asked for a study, s; `wake` asks at once."""

PAUSE_SECONDS: Final = 5.0
"""Pause after a fault that is not the study's: a bundle that cannot be loaded, a disk that takes nothing, s. It doubles
each time that the disk does not take a result."""

LONGEST_PAUSE: Final = 300.0
"""Longest such pause, s."""

_EVENTS: Final[Mapping[StudyState | None, Event]] = {
    "waiting": "study_requeued",
    "quarantined": "study_quarantined",
    None: "study_discarded",
}
"""What is logged of a study without a result, by its state afterwards."""

_GRACE_SECONDS: Final = 10.0
"""Longest wait for a thread whose process was killed, s."""


class Queue(Protocol):
    """What a worker asks of the store."""

    def claim(self) -> Work | None:
        """Take the oldest study that waits."""
        ...

    def finish(self, work: Work, made: MadeResult, destinations: Sequence[Destination]) -> bool:
        """Keep its result; False if the study was opened again meanwhile."""
        ...

    def failed(self, work: Work, error: BrainsegError, *, crashed: bool) -> StudyState | None:
        """Say why there is none; its state then, None if it was opened again meanwhile."""
        ...

    def release(self, work: Work, *, last: bool = False) -> None:
        """Give it back as it was, or to the end of the queue."""
        ...

    def results(self, key: str) -> list[ResultRow]:
        """The results of a study, deleted ones too."""
        ...

    def deliveries(self, key: str) -> list[Delivery]:
        """The deliveries of a study."""
        ...


class Worker:
    """One worker; a node starts `work.workers` of them.

    Args:
        config: The node's settings.
        bundle: The model's folder.
        store: The queue.
        log: The node's log.
        number: Which of the workers it is, from 1.

    Attributes:
        fault: Why the model cannot be loaded; None when it is, or was not tried yet.
        ready: Set once the model is loaded.
        hindrance: Why results cannot be kept, in short words, from the time that one was not until one is or no study
            waits; None otherwise.
    """

    def __init__(self, config: NodeConfig, bundle: Path, store: Queue, log: Log, *, number: int = 1) -> None:
        self._config = config
        self._bundle = Path(bundle)
        self._store = store
        self._log = log
        self._number = number
        self._thread = threading.Thread(target=self._run, name=f"brainseg-worker-{number}", daemon=True)
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._process: IsolatedProcess | None = None
        self._lock = threading.Lock()  # over starting and killing the process
        self._hurried = threading.Event()
        self._refused = 0  # results, one after another
        self.fault: BrainsegError | None = None
        self.ready = threading.Event()
        self.hindrance: str | None = None

    def start(self) -> None:
        """Start the thread, which loads the model and then takes studies."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is no process."""
        process = self._process
        return None if process is None else process.pid

    def wake(self, *, at_once: bool = False) -> None:
        """Ask the queue for a study now.

        Args:
            at_once: Even in the pause after a result that the disk did not take.
        """
        self._awake.set()
        if at_once:
            self._hurried.set()

    def stop(self, *, patience: float = 0.0) -> None:
        """Take no further study; after `patience` seconds the one at hand goes back into the queue.

        Args:
            patience: Seconds that the study at hand may still take.
        """
        self._stopping.set()
        self.wake(at_once=True)
        if not self._thread.is_alive():
            return
        self._thread.join(patience)
        if self._thread.is_alive():
            with self._lock:
                if self._process is not None:
                    self._process.kill()
            self._thread.join(_GRACE_SECONDS)

    def _run(self) -> None:
        """Take studies until stopped."""
        try:
            while not self._stopping.is_set():
                self._awake.clear()
                if not self._load():
                    self._rest(PAUSE_SECONDS)
                elif not self._next():
                    self._rest(POLL_SECONDS)
        finally:
            self._drop(patience=2.0)
            self._log.event("worker_stopped", worker=self._number)

    def _rest(self, seconds: float) -> None:
        """Wait until woken, at most so long."""
        if not self._stopping.is_set():
            self._awake.wait(seconds)

    def _load(self) -> bool:
        """Have a process that has loaded the model; whether there is one."""
        if self._process is not None:
            return True
        work = self._config.work
        request = LoadRequest(
            path=self._bundle.absolute(),
            digest=work.digest,
            provider=work.provider,
            variant=work.variant,
            threads=work.threads or max(1, thread_count(None) // work.workers),
            limits=DEFAULT_LIMITS,
            sealed=True,
            memory_mib=work.memory_mib,
        )
        try:
            started = IsolatedProcess(to_json(request), boot=BOOT)
        except BrainsegError as error:
            self.fault = error
            self.ready.clear()
            self._log.event("worker_fault", worker=self._number, error=kind_of(error))
            return False
        with self._lock:
            self._process = started
        self.fault = None
        self.ready.set()
        self._log.event("worker_started", worker=self._number, pid=started.pid)
        return True

    def _next(self) -> bool:
        """Segment the next study; whether the queue may hold another."""
        work = None
        try:
            work = self._store.claim()
            if work is None:
                self._goes_well()
                return False
            self._log.event("study_claimed", study=work.key, worker=self._number, revision=work.revision)
            return self._take(work)
        except BrainsegError as error:  # the store's own, such as a full disk
            self._log.event("store_fault", worker=self._number, error=kind_of(error))
            self._hold(work, error)
            return False

    def _take(self, work: Work) -> bool:
        """Segment a study and say how it ended; False if a pause is due before the next."""
        clock = time.monotonic()
        _empty(work.out)
        try:
            made = self._segment(work)
        except BrainsegError as error:
            _empty(work.out)
            return self._failed(work, error)
        kept = self._store.finish(work, made, self._config.send)
        self._goes_well()
        self._log.event(
            "study_done" if kept else "study_discarded",
            study=work.key,
            worker=self._number,
            revision=work.revision,
            seconds=time.monotonic() - clock,
            warnings=len(made.warnings),
        )
        return True

    def _segment(self, work: Work) -> MadeResult:
        """Have the process segment a study.

        Raises:
            BrainsegError: The study's error, or `WorkerError` if the process gave none in time.
        """
        settings = self._config.work
        request = StudyRequest(
            inputs=work.inputs,
            out=work.out,
            kinds=settings.write,
            register=settings.register,
            threshold=settings.threshold,
            partial=settings.partial,
            earlier=self._earlier(work),
        )
        process = self._process
        if process is None or self._stopping.is_set():
            raise WorkerError("the worker is stopping")
        answered = False
        try:
            reply = process.exchange(request.message(), [], settings.deadline_seconds)
            raise_error(reply)
            made = from_json(MadeResult, reply.head.get("made"), "result", error=WorkerError, every_key=True)
            answered = True
        except (InferenceError, OutOfMemoryError):
            raise
        except BrainsegError:
            answered = True
            raise
        finally:
            if not answered:
                self._drop()
        return made

    def _earlier(self, work: Work) -> Earlier | None:
        """The last result of the study of which a report may have gone out."""
        rows = [row for row in self._store.results(work.key) if row.revision < work.revision]
        if not rows:
            return None
        begun = {
            each.result_id for each in self._store.deliveries(work.key) if each.attempts and each.object.kind == "sr"
        }
        sent = [row for row in sorted(rows, key=lambda row: (row.revision, row.id)) if row.id in begun]
        return Earlier.of(sent[-1]) if sent else None

    def _failed(self, work: Work, error: BrainsegError) -> bool:
        """Say why a study has no result; False if it is not the study's fault, and a pause is due."""
        if self._stopping.is_set() and isinstance(error, WorkerError):
            self._store.release(work)
            self._log.event("study_released", study=work.key, worker=self._number)
            return True
        if isinstance(error, NodeFullError):
            self._log.event("study_requeued", study=work.key, worker=self._number, error=kind_of(error))
            self._hold(work, error)
            return False
        crashed = isinstance(error, InferenceError | OutOfMemoryError)
        if crashed:
            self._log.event("worker_crashed", study=work.key, worker=self._number, error=kind_of(error))
        state = self._store.failed(work, error, crashed=crashed)
        ended = _EVENTS.get(state, "study_failed")
        self._log.event(ended, study=work.key, worker=self._number, revision=work.revision, error=kind_of(error))
        return True

    def _hold(self, work: Work | None, error: BrainsegError) -> None:
        """Put a study at the end of the queue and take none for a while, longer each time: the disk is at fault."""
        pause = min(PAUSE_SECONDS * 2**self._refused, LONGEST_PAUSE)
        self._refused = min(self._refused + 1, 16)
        self.hindrance = f"results cannot be kept: {error.got or error.what}"
        if work is not None:
            with contextlib.suppress(BrainsegError):  # the store does it as soon as it can
                self._store.release(work, last=True)
        self._hurried.clear()
        if not self._stopping.is_set():
            self._hurried.wait(pause)

    def _goes_well(self) -> None:
        """Nothing keeps results from being kept, as far as is known."""
        self._refused = 0
        self.hindrance = None

    def _drop(self, *, patience: float = 0.0) -> None:
        """End the process, if there is one."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.end(patience=patience)


def _empty(folder: Path) -> None:
    """Remove what an attempt left behind; what cannot be removed is in the way of the next one, which says so."""
    if folder.is_dir() and not folder.is_symlink():
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    entry.unlink()
