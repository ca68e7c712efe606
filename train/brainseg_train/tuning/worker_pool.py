"""Trials in several worker processes at once, each on its own core, started and watched by this one.

Convolutions of this size gain little from a second thread and much from a second trial: two processes of one thread do
some 40 % more than one of two threads. A worker writes lines of JSON to its standard output. The end of its standard
input, which also comes when this process is killed, tells it to save its state and stop.
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
"""How long Ctrl-C may go unnoticed on systems where waiting on a queue cannot be interrupted."""


def run_workers(study: Study, *, data: Path, cache: Path | None, count: int, show: Callable[[Event], None]) -> None:
    """Train a study's trials in several processes until none is left.

    Args:
        study: What to work on.
        data: The data set's folder.
        cache: Its cache folder, as for `load_dataset`.
        count: How many processes.
        show: Receives each event, in this thread.

    Raises:
        StudyError: A process failed or died; the others were stopped, and everything is kept.
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
    """A process, and where its standard error goes."""

    process: subprocess.Popen[str]
    log: Path


class _Pool:
    """The processes, and what they have reported so far."""

    def __init__(self, workers: Sequence[_Worker], show: Callable[[Event], None]) -> None:
        self._workers = workers
        self._show = show
        self._running = len(workers)
        self._faults: list[StudyError] = []
        self._lines: queue.Queue[tuple[_Worker, str | None]] = queue.Queue()
        for worker in workers:
            threading.Thread(target=self._pump, args=(worker,), daemon=True).start()

    def watch(self) -> None:
        """Read the processes' output until all have ended."""
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
        """Ask every process to save its state and end."""
        for worker in self._workers:
            if worker.process.stdin is not None:
                worker.process.stdin.close()

    def kill(self) -> None:
        """End processes that are still running; usually none."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()
        self.stop()

    def raise_fault(self) -> None:
        """Raise the first fault that a process reported.

        Raises:
            StudyError: There was one.
        """
        if self._faults:
            raise self._faults[0]

    def _pump(self, worker: _Worker) -> None:
        """Pass a process's lines on; None means that it has closed its output."""
        if worker.process.stdout is not None:
            with worker.process.stdout as stream:
                for line in stream:
                    self._lines.put((worker, line))
        self._lines.put((worker, None))

    def _take(self, line: str) -> None:
        """Show an event; stop all processes at the fault of one; ignore anything else."""
        event = Event.from_line(line)
        if event is not None:
            self._show(event)
        elif fault := _fault(line):
            self._faults.append(fault)
            self.stop()

    def _note_end(self, worker: _Worker) -> None:
        """The error for a process that ended with a code other than 0 and reported nothing: killed, or crashed."""
        code = worker.process.wait()
        if code == 0 or self._faults:
            return
        remedy = "repeat the command with --resume; finished work is kept"
        if code == -getattr(signal, "SIGKILL", 9):
            remedy += "; with fewer --workers if the system ran out of memory"
        self._faults.append(
            StudyError(
                "a training process ended unexpectedly",
                expected="exit code 0",
                got=f"{code}; see {worker.log}",
                remedy=remedy,
            )
        )
        self.stop()


def _start(study: Study, number: int, data: Path, cache: Path | None) -> _Worker:
    """Start a process that the terminal's Ctrl-C does not reach: the pool tells it to stop."""
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
