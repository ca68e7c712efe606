"""The process of an isolated segmenter: started, talked to under a deadline, and ended.

The host waits for a thread that reads and writes, never for the pipe itself, since reading and writing a pipe can both
block for ever when the other side hangs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from brainseg_runtime import errors
from brainseg_runtime.errors import BrainsegError, WorkerError
from brainseg_runtime.inference.providers import all_providers
from brainseg_runtime.isolation import messages
from brainseg_runtime.safe_io.strict_json import Json

START_DEADLINE: Final = 120.0
"""Seconds within which the process must have started, verified the bundle and loaded the model."""

SLICES: Final = (
    "from brainseg_runtime.isolation.server import serve; "
    "from brainseg_runtime.segmenter import Segmenter; "
    "serve(Segmenter)"
)
"""What the process runs: an answer for each slice."""

_PATH: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "


class IsolatedProcess:
    """One process and the pipe to it.

    Args:
        request: The first message: the model to load.
        boot: The line of Python that the process runs, once modules are found where this process finds them.

    Raises:
        BrainsegError: It could not be started, or could not load the model.
    """

    def __init__(self, request: Mapping[str, Json], *, boot: str = SLICES) -> None:
        self._process = _start(boot)
        self._pipe = ThreadPoolExecutor(1, thread_name_prefix="brainseg-isolated")
        self.pid = self._process.pid
        ready = False
        try:
            reply = self.exchange(request, [], START_DEADLINE)
            raise_error(reply)
            ready = True
        finally:
            if not ready:
                self.end()
        self.info = reply.head

    def exchange(self, head: Mapping[str, Json], blobs: Sequence[memoryview], deadline: float) -> messages.Message:
        """Send one message and wait for its answer.

        Raises:
            WorkerError: No answer came in time, or the process is gone.
        """
        answer: Future[messages.Message | None] = self._pipe.submit(self._talk, head, blobs)
        try:
            reply = answer.result(deadline)
        except TimeoutError as error:
            raise WorkerError(
                "the isolated process hung and was ended", expected=f"an answer within {deadline:g} s", got="none"
            ) from error
        except OSError as error:
            raise self._gone() from error
        if reply is None:
            raise self._gone()
        return reply

    def kill(self) -> None:
        """End the process from another thread than the one that waits for its answer, which then gets its error."""
        self._process.kill()

    def end(self, *, patience: float = 0.0) -> None:
        """End the process and free its pipe.

        Args:
            patience: Seconds in which an idle process may end by itself, once its input is closed, before it is killed.
        """
        if patience > 0 and self._process.stdin is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                self._process.stdin.close()
                self._process.wait(patience)
        self._process.kill()
        self._pipe.shutdown(wait=True)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # buffered data has no reader any more
                    stream.close()
        self._process.wait()

    def _talk(self, head: Mapping[str, Json], blobs: Sequence[memoryview]) -> messages.Message | None:
        """Write, then read; runs on the pipe's own thread."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            return None
        messages.send(stdin, head, blobs)  # type: ignore[arg-type]  # a buffered writer, which is a BinaryIO in all but name
        return messages.receive(stdout)  # type: ignore[arg-type]

    def _gone(self) -> WorkerError:
        """The error for a process that ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return WorkerError("the isolated process crashed", got=how, remedy="the next call starts a new one")


def _start(boot: str) -> subprocess.Popen[bytes]:
    """Start the process with this interpreter and this process's module path."""
    if not sys.executable:
        raise WorkerError(
            "no interpreter to start the isolated process with",
            expected="sys.executable",
            got="nothing",
            remedy="set sys.executable to a Python that has this package, as an embedding host can",
        )
    path = json.dumps([str(Path(entry).absolute()) for entry in sys.path])
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter and this package's own module, nothing from outside
            [sys.executable, "-c", _PATH + boot, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_environment()},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise WorkerError("the isolated process could not be started", got=error.strerror or error) from error


def _environment() -> dict[str, str]:
    """Environment variables of all providers; the process itself chooses which one runs."""
    return {name: value for provider in all_providers() for name, value in provider.environment.items()}


def raise_error(reply: messages.Message) -> None:
    """Raise the error that a reply reports, as the class that it was; do nothing if it reports none.

    Raises:
        BrainsegError: The reply reports one.
    """
    report = reply.head.get("error")
    if not isinstance(report, dict):
        return
    kind = getattr(errors, str(report.get("kind")), WorkerError)
    if not (isinstance(kind, type) and issubclass(kind, BrainsegError)):
        kind = WorkerError
    error = BrainsegError.__new__(kind)
    BrainsegError.__init__(
        error,
        str(report.get("what")),
        expected=report.get("expected"),
        got=report.get("got"),
        remedy=None if report.get("remedy") is None else str(report["remedy"]),
    )
    raise error
