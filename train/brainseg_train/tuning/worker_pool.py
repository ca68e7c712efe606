"""Trials in several processes at once, each on its own core, led by one that watches.

Convolutions of this size gain little from a second thread and much from a second trial: two processes of one thread do
some 40 % more than one of two threads. A worker speaks in lines of JSON on its standard output and listens on its
standard input: the end of that input, which also comes when the leader is killed, tells it to stop and keep its state.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from brainseg_train.errors import StudyError
from brainseg_train.learning.threads import wait_asleep
from brainseg_train.tuning.progress import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from brainseg_train.tuning.study import Study

POLL_SECONDS: Final = 0.2
"""How long the leader may take to see Ctrl-C on systems where waiting on a queue cannot be interrupted."""


def run_workers(study: Study, *, data: Path, cache: Path | None, count: int, show: Callable[[Event], None]) -> None:
    """Let processes work on a study's trials until none is left to take.

    Args:
        study: What to work on.
        data: The data set's folder.
        cache: Its cache folder, as for `load_dataset`.
        count: How many processes.
        show: Receives each event, in this thread.

    Raises:
        StudyError: A process met a fault or died; the others were stopped and everything is kept.
        KeyboardInterrupt: The user interrupted; every process has ended and everything is kept.
    """
    pool = _Pool([_start(study, number, data, cache) for number in range(count)], show)
    try:
        pool.watch()
    except KeyboardInterrupt:
        pool.stop()
        pool.watch()
        raise
    finally:
        pool.kill()
    pool.raise_fault()


@dataclass(frozen=True, kw_only=True)
class _Worker:
    """One process and where its standard error goes."""

    process: subprocess.Popen[str]
    log: Path


class _Pool:
    """The processes, and what they have said so far."""

    def __init__(self, workers: Sequence[_Worker], show: Callable[[Event], None]) -> None:
        self._workers = workers
        self._show = show
        self._running = len(workers)
        self._faults: list[StudyError] = []
        self._lines: queue.Queue[tuple[_Worker, str | None]] = queue.Queue()
        for worker in workers:
            threading.Thread(target=self._pump, args=(worker,), daemon=True).start()

    def watch(self) -> None:
        """Take in what the processes say until all have ended."""
        while self._running:
            try:
                worker, line = self._lines.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if line is None:
                self._running -= 1
                self._note_end(worker)
            else:
                self._take(line)

    def stop(self) -> None:
        """Ask every process to keep its state and end."""
        for worker in self._workers:
            if worker.process.stdin is not None:
                worker.process.stdin.close()

    def kill(self) -> None:
        """End whatever has not ended by itself; nothing in the usual course."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()
        self.stop()

    def raise_fault(self) -> None:
        """Raise the first fault that a process met.

        Raises:
            StudyError: There was one.
        """
        if self._faults:
            raise self._faults[0]

    def _pump(self, worker: _Worker) -> None:
        """Hand a process's lines on; None says that it has closed its output."""
        if worker.process.stdout is not None:
            with worker.process.stdout as stream:
                for line in stream:
                    self._lines.put((worker, line))
        self._lines.put((worker, None))

    def _take(self, line: str) -> None:
        """Show an event; let a fault of one process stop all; pass over anything else."""
        event = Event.from_line(line)
        if event is not None:
            self._show(event)
        elif fault := _fault(line):
            self._faults.append(fault)
            self.stop()

    def _note_end(self, worker: _Worker) -> None:
        """A process that ends with anything but 0 and has not said why was killed or crashed."""
        code = worker.process.wait()
        if code == 0 or self._faults:
            return
        remedy = "repeat the command with --resume: everything up to there is kept"
        if code == -getattr(signal, "SIGKILL", 9):
            remedy += "; if the system killed it for want of memory, with fewer --workers"
        self._faults.append(
            StudyError(
                "a training process ended by itself",
                expected="exit code 0",
                got=f"{code}; its last words are in {worker.log}",
                remedy=remedy,
            )
        )
        self.stop()


def _start(study: Study, number: int, data: Path, cache: Path | None) -> _Worker:
    """One process, out of reach of the terminal's Ctrl-C: it hears of that from the leader."""
    command = [sys.executable, "-m", "brainseg_train.tuning.worker"]
    command += [str(study.runs.resolve()), study.record.id, str(data.resolve())]
    if cache is not None:
        command += ["--cache", str(cache.resolve())]
    environment = {**os.environ, "OMP_NUM_THREADS": str(study.record.threads)}
    wait_asleep(environment)
    log = study.folder / f"worker-{number}.log"
    with log.open("a", encoding="utf-8") as sink:
        process = subprocess.Popen(  # noqa: S603 - this interpreter and this package's own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    return _Worker(process=process, log=log)


def _fault(line: str) -> StudyError | None:
    """The error in a line, or None where the line is something else."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    fault: dict[str, Any] | None = value.get("fault") if isinstance(value, dict) else None
    if fault is None:
        return None
    return StudyError(
        str(fault.get("what")), expected=fault.get("expected"), got=fault.get("got"), remedy=fault.get("remedy")
    )
