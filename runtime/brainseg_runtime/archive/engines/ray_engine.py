"""The Ray engine: Ray Data over references, one loaded model an actor, on this machine or on a cluster.

Ray schedules, restarts actors and moves their work when a machine is lost; nothing of that is written here. The object
store holds references and answers, a few kilobytes each: pixels and objects never leave their worker, which writes into
OUT, so that every machine must reach SOURCE, the bundle and OUT under the same paths.

Ray asks nobody's leave to report its use over the network, and to open a dashboard; both are switched off.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.archive.engines.engine import read_answer
from brainseg_runtime.archive.engines.server import answered, unexpected
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.working.job import Crew, Job
from brainseg_runtime.archive.working.rows import Answer
from brainseg_runtime.archive.working.work import WHY
from brainseg_runtime.errors import BrainsegError, MissingExtraError, OutOfMemoryError, WorkerError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.inference.providers import all_providers
from brainseg_runtime.isolation.messages import LoadRequest, Message
from brainseg_runtime.isolation.process import raise_error
from brainseg_runtime.isolation.server import as_text, load_model
from brainseg_runtime.safe_io.system_faults import as_fault
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Batch = dict[str, NDArray[np.object_]]

PORTION: Final = 4_000
"""Most references of one data set: a source of millions is gone through in portions, so that the driver stays small."""

_GATHERED_SECONDS: Final = 5.0
"""How long references are gathered for a portion, s: the first row does not wait for a search that is slow."""

_RESERVED: Final = 0.05
"""Cores that an actor reserves. It uses more, and how many there are is decided by `crew.count`; but an actor of a lost
machine must find a place on those that are left, or Ray waits for the machine to come back."""

_STORE_BYTES: Final = 256 << 20
"""Object store of a machine of its own: references and answers alone."""

_START_SECONDS: Final = 180
"""Longest that Ray may take to start: on a busy machine its own 60 s are too short."""

_LOOPBACK: Final = "127.0.0.1"
_LOST: Final = 1
"""Exit code of an actor that ends itself, so that Ray starts another."""


class RayEngine:
    """Actors of Ray.

    Args:
        crew: The model, how many actors, and where.

    Raises:
        MissingExtraError: Ray is not installed.
        WorkerError: The cluster cannot be reached.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._began, self._folder = _begin(crew)

    def run(  # noqa: D102 - `engines.Engine` documents it
        self, references: Iterable[Reference], job: Job, cancelled: Callable[[], bool]
    ) -> Iterator[Answer]:
        with closing(_Ahead(references)) as ahead:
            while not cancelled() and (portion := ahead.portion()):
                yield from self._portion(portion, job, cancelled)

    def close(self) -> None:  # noqa: D102 - as above
        if self._began:
            import ray

            ray.shutdown()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _portion(self, portion: list[Reference], job: Job, cancelled: Callable[[], bool]) -> Iterator[Answer]:
        """The answers to some references."""
        import ray
        from ray.data import ActorPoolStrategy

        items = [{"reference": json.dumps(to_json(each))} for each in portion]
        actors = min(self._crew.count, len(items))
        arguments = (json.dumps(to_json(self._crew.load)), json.dumps(to_json(job)))
        answers = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker,
            batch_size=1,
            batch_format="numpy",
            fn_constructor_args=arguments,
            compute=ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
            num_cpus=_RESERVED,
        )  # by Ray's defaults actors are spread and restarted, and their calls repeated; `taken` counts attempts
        try:
            for line in answers.iter_rows():
                if fault := line["fault"]:
                    raise_error(Message(head={"error": json.loads(fault)}))
                yield read_answer(line["answer"])
                if cancelled():
                    return
        except ray.exceptions.RayError as error:
            raise WorkerError(
                "Ray gave up", expected="answers", got=type(error).__name__, remedy="start again: what is done is kept"
            ) from error


class _Ahead:
    """References that a thread finds while those before them are at work.

    Args:
        references: As they are found.
    """

    def __init__(self, references: Iterable[Reference]) -> None:
        self._found: queue.Queue[Reference | Exception | None] = queue.Queue(PORTION)
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._search, args=(references,), name="brainseg-search", daemon=True)
        self._thread.start()

    def portion(self) -> list[Reference]:
        """What has been found, at least one reference and at most `PORTION`; empty at the end.

        Raises:
            BrainsegError: The search failed.
        """
        made: list[Reference] = []
        until = time.monotonic() + _GATHERED_SECONDS
        while not self._ended and len(made) < PORTION and (not made or time.monotonic() < until):
            try:
                found = self._found.get(timeout=None if not made else max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(found, Exception):
                raise found
            if found is None:
                self._ended = True
            else:
                made.append(found)
        return made

    def close(self) -> None:
        """End the search."""
        self._closed.set()
        with suppress(queue.Empty):
            while True:
                self._found.get_nowait()
        self._thread.join()

    def _search(self, references: Iterable[Reference]) -> None:
        try:
            for each in references:
                self._put(each)
                if self._closed.is_set():
                    return
            self._put(None)
        except Exception as error:  # noqa: BLE001 - the thread's edge: the driver raises it
            self._put(error)

    def _put(self, found: Reference | Exception | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._found.put(found, timeout=0.2)
                return


class Worker:
    """An actor: loads the bundle once, then answers for each reference.

    Args:
        load: The model, as JSON.
        job: What to do, as JSON.
    """

    def __init__(self, load: str, job: str) -> None:
        for provider in all_providers():
            os.environ.update(provider.environment)
        self._job = from_json(Job, json.loads(job), "job", error=WorkerError)
        asked: LoadRequest = from_json(LoadRequest, json.loads(load), "load", error=WorkerError)
        self._fault: BrainsegError | None = None
        try:
            asked = replace(asked, memory_mib=_beside_ray(asked.memory_mib))
            self._segmenter = load_model(Message(head=to_json(asked)), Segmenter)
        except BrainsegError as error:  # told with the first answer: an actor that cannot start is started for ever
            self._fault = error

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """Answer for each reference of a batch."""
        answers = [self._answer(str(text)) for text in batch["reference"]]
        return {"answer": [data for data, _ in answers], "fault": [fault for _, fault in answers]}

    def _answer(self, text: str) -> tuple[bytes, str]:
        """The answer and "", or b"" and the fault that stops the run."""
        reference = from_json(Reference, json.loads(text), "reference", error=WorkerError)
        if self._fault is not None:
            return b"", json.dumps(as_text(self._fault))
        try:
            with _watched(self._job, reference):
                return answered(self._segmenter, reference, self._job), ""
        except (OutOfMemoryError, MemoryError, WorkerError):
            os._exit(_LOST)
        except BrainsegError as error:
            return b"", json.dumps(as_text(error))
        except Exception as error:  # noqa: BLE001 - the process's edge
            fault = as_fault(error) or unexpected(error)
            if isinstance(fault, OutOfMemoryError | WorkerError):
                os._exit(_LOST)
            return b"", json.dumps(as_text(fault))


class _watched:  # noqa: N801 - a context, used as `with _watched(...)`
    """Ends this process if a reference outlasts the deadline: Ray starts another, which finds the attempt."""

    def __init__(self, job: Job, reference: Reference) -> None:
        self._timer = threading.Timer(job.deadline, self._end, args=(job.work / reference.key, job.deadline))
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @staticmethod
    def _end(home: Path, deadline: float) -> None:
        attempts = sorted((each for each in home.glob("*") if each.name.isdigit()), key=lambda each: int(each.name))
        with suppress(OSError, IndexError):
            (attempts[-1] / WHY).write_text(f"it took longer than {deadline:g} s", encoding="utf-8")
        os._exit(_LOST)


def _beside_ray(memory_mib: int | None) -> int | None:
    """A cap on memory and what this process has already: the threads of a Ray worker alone have gigabytes reserved."""
    if memory_mib is None:
        return None
    try:
        told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
        return memory_mib + int(told["VmData"].split()[0]) // 1024
    except (OSError, ValueError, KeyError):  # a system without /proc says itself whether it takes a cap
        return memory_mib


def environment(address: str | None = None) -> Mapping[str, str]:
    """What the environment must hold before Ray is imported: it reports nothing and checks nothing over the network.

    Args:
        address: Of a cluster; None: this machine alone, where Ray is to listen on the loopback address, which it does
            only where it takes clusters for impossible.
    """
    alone = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if address is None else {}
    return {
        **alone,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_raylet_start_wait_time_s": str(_START_SECONDS),
    }


def _own_folder() -> Path:
    """A new folder of a Ray of this process alone; short: Ray's sockets in it have names of 107 bytes at most."""
    return Path(tempfile.mkdtemp(prefix="ray-"))


def _begin(crew: Crew) -> tuple[bool, Path | None]:
    """Connect to a cluster, or start one of this machine alone; whether it was this call that did, and its folder."""
    address = crew.address
    os.environ.update(environment(address))
    try:
        import ray
        from ray.data import DataContext
    except ImportError as error:
        raise MissingExtraError(
            "the engine ray needs Ray, which is not installed", got=error, remedy=install_remedy("archive")
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if ray.is_initialized():
        return False, None
    folder = _own_folder() if address is None else None
    shared: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        if address is not None:
            ray.init(address=address, **shared)
        else:
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=max(1, crew.count),
                object_store_memory=_STORE_BYTES,
                _node_ip_address=_LOOPBACK,
                _temp_dir=f"{folder}/r",  # Ray opens what it is given to every user, but not the folder around it
                **shared,
            )
    except Exception as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise WorkerError(
            "Ray cannot be started" if address is None else "the cluster cannot be reached",
            expected="a machine with /dev/shm and free ports" if address is None else "HOST:PORT of a running Ray head",
            got=type(error).__name__,
            remedy="use --engine local" if address is None else "start it with ray start --head, and name its address",
        ) from error
    return True, folder
