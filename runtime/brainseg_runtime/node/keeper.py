"""The node's clock: studies that have become quiet are completed, what has been kept for long enough is deleted.

It also tells the service manager that the node is not hung, and ends that when a thread that must run does not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.node.config import IntakeSettings, NodeConfig, RetentionSettings
from brainseg_runtime.node.heap import give_back
from brainseg_runtime.node.service_manager import ServiceManager
from brainseg_runtime.node.watching.log import Label, Log, kind_of

if TYPE_CHECKING:
    from brainseg_runtime.node.records import Expired

EXPIRE_SECONDS: Final = 60.0
"""Pause between looks at what has been kept for long enough, s."""

LONGEST_ROUND: Final = 0.5
"""Longest pause between looks at what has become quiet, s."""


class Kept(Protocol):
    """What the keeper asks of the store."""

    def close_quiet(self, intake: IntakeSettings) -> list[str]:
        """Complete the studies that have become quiet; their keys."""
        ...

    def expire(self, retention: RetentionSettings) -> Expired:
        """Delete what has been kept for long enough."""
        ...

    def writable(self, limits: IntakeSettings | None = None) -> str | None:
        """Why no study can be taken now."""
        ...


class Part(Protocol):
    """A part of the node with a thread that must run."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        ...


class Keeper:
    """A thread that does what the clock demands.

    Args:
        config: The node's settings.
        store: The node's store.
        log: The node's log.
        wake: Called when a study waits for a worker.
        parts: What must run for the node to count as alive.
        manager: Who is told.
        clock: Seconds, for pauses.
    """

    def __init__(
        self,
        config: NodeConfig,
        store: Kept,
        log: Log,
        *,
        wake: Callable[[], None],
        parts: Sequence[Part] = (),
        manager: ServiceManager,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._store = store
        self._log = log
        self._wake = wake
        self._parts = parts
        self._manager = manager
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="brainseg-keeper", daemon=True)
        self._expired_at = -EXPIRE_SECONDS
        self._refuses: str | None = None
        self._faulty = False
        watchdog = manager.watchdog_seconds
        self._pause = min(LONGEST_ROUND, config.intake.quiet_seconds / 4, *([] if watchdog is None else [watchdog / 4]))

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def round(self) -> None:
        """Do what is due now; a store that refuses is asked again in the next round."""
        try:
            self._complete()
            if self._clock() - self._expired_at >= EXPIRE_SECONDS:
                self._expired_at = self._clock()
                self._expire()
                give_back()
            self._look_whether_images_are_taken()
        except BrainsegError as error:
            if not self._faulty:  # once, until it goes well again
                self._log.event("store_fault", error=kind_of(error))
            self._faulty = True
        else:
            self._faulty = False
        if all(part.alive for part in self._parts):
            self._manager.alive()

    def _run(self) -> None:
        """Rounds, until stopped."""
        while not self._stopping.wait(self._pause):
            self.round()

    def _complete(self) -> None:
        """Studies that have become quiet wait for a worker."""
        keys = self._store.close_quiet(self._config.intake)
        for key in keys:
            self._log.event("study_completed", study=key)
        if keys:
            self._wake()

    def _expire(self) -> None:
        """What has been kept for long enough is deleted."""
        expired = self._store.expire(self._config.retention)
        if expired.inputs:
            self._log.event("inputs_deleted", studies=expired.inputs)
        if expired.results:
            self._log.event("results_deleted", results=expired.results)
        if expired.studies:
            self._log.event("study_forgotten", studies=expired.studies)

    def _look_whether_images_are_taken(self) -> None:
        """A change of it is logged."""
        reason = self._store.writable(self._config.intake)
        if reason == self._refuses:
            return
        if reason is None:
            self._log.event("store_accepts")
        else:
            self._log.event("store_refuses", reason=Label(reason.replace(" ", "_")))
        self._refuses = reason
