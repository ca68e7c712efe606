"""`Node`: every part put together, started in order and stopped in order.

What listens is started first, so that an address in use is found at once, then the model; what takes in is stopped
first, so that nothing arrives that nobody would see to. A kill at any moment is the same to the queue as a stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import NodeError
from brainseg_runtime.node.config import NodeConfig, require_consistent
from brainseg_runtime.node.extra import require_extra
from brainseg_runtime.node.fetch_route import fetch_router
from brainseg_runtime.node.heap import keep_small
from brainseg_runtime.node.keeper import Keeper, Part
from brainseg_runtime.node.receiving.scp import Receiver
from brainseg_runtime.node.sending.sender import Sender
from brainseg_runtime.node.service_manager import ServiceManager
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.app import create_app
from brainseg_runtime.node.watching.libraries import quieted
from brainseg_runtime.node.watching.log import Label, Log
from brainseg_runtime.node.watching.server import Server
from brainseg_runtime.node.working.worker import Worker

if TYPE_CHECKING:
    from fastapi import APIRouter

STOP_SECONDS: Final = 30.0
"""How long the studies at hand may still take when the node stops, s."""

RECEIVER_SECONDS: Final = 5.0
"""How long associations at hand may still take, s."""

SENDER_SECONDS: Final = 5.0
"""How long the object at hand may still take to be sent, s."""

_POLL: Final = 0.1
"""Pause between looks at whether the node is to stop, s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listening:
    """Where a node listens.

    Attributes:
        aet: Its title.
        dicom_host: The address for DICOM.
        dicom_port: The port for DICOM.
        dicom_tls: Whether DICOM is over TLS.
        http_url: Where it is watched.
        folder: Its state.
        bundle: The model's folder.
        digest: The bundle's digest.
        destinations: Names of the destinations.
    """

    aet: str
    dicom_host: str
    dicom_port: int
    dicom_tls: bool
    http_url: str
    folder: str
    bundle: str
    digest: str
    destinations: tuple[str, ...]


class Node:
    """A node; started once, stopped once.

    Args:
        config: Its settings.
        bundle: The model's folder.
        log: Where events go; None: stderr.
        manager: The service manager that is told; None: the one that started this process.

    Raises:
        BrainsegError: The extra "node" is missing, the settings do not go together, or the bundle is missing, damaged
            or not the pinned one.
    """

    def __init__(
        self, config: NodeConfig, bundle: Path, *, log: Log | None = None, manager: ServiceManager | None = None
    ) -> None:
        require_extra()
        require_consistent(config)
        self._bundle = bundle.resolve()  # a link may be set to the next model while this one is in use
        self._log = Log() if log is None else log
        self._manager = ServiceManager() if manager is None else manager
        self._digest = open_bundle(self._bundle, digest=config.work.digest).digest
        self._config = replace(config, work=replace(config.work, digest=self._digest))  # no worker takes another model
        self._quiet = ExitStack()
        self._stopping = False
        self._store: Store | None = None
        self._receiver: Receiver | None = None
        self._server: Server | None = None
        self._keeper: Keeper | None = None
        self._workers: list[Worker] = []
        self._senders: list[Sender] = []

    def run(
        self,
        stopped: Callable[[], bool],
        *,
        listening: Callable[[Listening], None] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """Start, run until it is to stop, and stop.

        Args:
            stopped: Whether it is to stop; asked several times a second.
            listening: Called once everything listens and the model is loaded.
            stop_seconds: How long the studies at hand may still take then, s; after that they go back into the queue.

        Raises:
            BrainsegError: It could not be started; whatever was started is stopped again.
        """
        try:
            where = self.start(stopped)
            if where is not None and listening is not None:
                listening(where)
            while not stopped():
                time.sleep(_POLL)
        finally:
            self.stop(stop_seconds)

    def start(self, stopped: Callable[[], bool] = lambda: False) -> Listening | None:
        """Open the store, listen, and load the model.

        Args:
            stopped: Whether to give up.

        Returns:
            Where it listens; None if it was to stop meanwhile.

        Raises:
            BrainsegError: The folder is in use, an address cannot be listened on, a file for TLS or a token is unfit,
                or the model cannot be loaded as the settings ask.
        """
        config, log = self._config, self._log
        keep_small(at_once=True)
        log.event("starting", digest=Label(self._digest))
        self._quiet.enter_context(quieted(log))
        store = self._store = Store.open(config.folder)
        self._workers = [
            Worker(config, self._bundle, store, log, number=number + 1) for number in range(config.work.workers)
        ]
        self._senders = [Sender(config, each, store, log) for each in config.send]
        app = create_app(
            config, store, log, not_ready=self.not_ready, wake=self._wake_all, routers=self._routers(store)
        )
        self._server = Server(app, config.http, log)
        self._receiver = Receiver(config, store, log)
        self._keeper = Keeper(config, store, log, wake=self._wake, parts=self._parts(), manager=self._manager)
        self._server.start()
        self._receiver.start()
        for worker in self._workers:
            worker.start()
        for sender in self._senders:
            sender.start()
        self._keeper.start()
        if not self._loaded(stopped):
            return None
        where = self._where()
        log.event("listening", dicom_port=where.dicom_port, http_port=self._server.port, tls=where.dicom_tls)
        log.event("ready", workers=len(self._workers))
        self._manager.ready(f"{where.aet} on {where.dicom_host}:{where.dicom_port}, {where.http_url}")
        return where

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Take no more, finish what is at hand or put it back, and close the folder.

        Args:
            seconds: How long the studies at hand may still take, s.
        """
        if self._store is None:
            self._quiet.close()
            return
        self._stopping = True
        self._log.event("stopping")
        self._manager.stopping(seconds + RECEIVER_SECONDS + SENDER_SECONDS + 30)
        self._store.drain(True)
        if self._receiver is not None:
            self._receiver.stop(RECEIVER_SECONDS)
        _together(partial(each.stop, patience=seconds) for each in self._workers)
        _together(partial(each.stop, patience=SENDER_SECONDS) for each in self._senders)
        if self._keeper is not None:
            self._keeper.stop()
        if self._server is not None:
            self._server.stop()
        self._store.close()
        self._store = None
        self._log.event("stopped")
        self._quiet.close()

    def not_ready(self) -> list[str]:
        """Why no study would be segmented now, in short words; empty if one would."""
        reasons = ["stopping"] if self._stopping else []
        if not any(worker.ready.is_set() for worker in self._workers):
            reasons.append("model not loaded")
        reasons += sorted({worker.hindrance for worker in self._workers if worker.hindrance is not None})
        if not all(part.alive for part in self._parts()):
            reasons.append("a thread ended")
        return reasons

    def _routers(self, store: Store) -> list[APIRouter]:
        """Routes beside those of watching."""
        found = [fetch_router(store, self._config, self._log)]
        if self._config.http.stow:
            from brainseg_runtime.node.receiving.stow import stow_router

            found.append(stow_router(store, self._config, self._log))
        return found

    def _parts(self) -> list[Part]:
        """What must run."""
        return [*self._workers, *self._senders]

    def _wake(self) -> None:
        """A study waits."""
        for worker in self._workers:
            worker.wake()

    def _wake_all(self) -> None:
        """Somebody asked for a study to be segmented or sent again: no pause is waited for."""
        for worker in self._workers:
            worker.wake(at_once=True)
        for sender in self._senders:
            sender.wake()

    def _loaded(self, stopped: Callable[[], bool]) -> bool:
        """Whether a worker has loaded the model; False if the node is to stop.

        Raises:
            BrainsegError: It cannot be loaded as the settings ask.
        """
        while not stopped():
            for worker in self._workers:
                if worker.ready.wait(_POLL / len(self._workers)):
                    return True
                if worker.fault is not None:
                    raise worker.fault
                if not worker.alive:
                    raise NodeError("a worker ended before it had loaded the model", remedy="see the log")
        return False

    def _where(self) -> Listening:
        """Where it listens."""
        config = self._config
        if self._server is None or self._receiver is None:
            raise NodeError("the node has not been started")
        scheme = "http" if config.http.tls is None else "https"
        host = f"[{config.http.host}]" if ":" in config.http.host else config.http.host
        return Listening(
            aet=config.dicom.aet,
            dicom_host=config.dicom.host,
            dicom_port=self._receiver.port,
            dicom_tls=config.dicom.tls is not None,
            http_url=f"{scheme}://{host}:{self._server.port}",
            folder=str(config.folder.absolute()),
            bundle=str(self._bundle),
            digest=self._digest,
            destinations=tuple(each.name for each in config.send),
        )


def _together(calls: Iterable[Callable[[], None]]) -> None:
    """Call all at a time, and wait for them."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
