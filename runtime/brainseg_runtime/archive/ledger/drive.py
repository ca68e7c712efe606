"""The driver: references in, what is known passed over, answers taken over one after the other, counts kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from brainseg_runtime.archive.engines.engine import Engine
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.counts import Counts
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.job import Job
from brainseg_runtime.archive.working.rows import Answer, Entry
from brainseg_runtime.archive.working.work import mark_of


class Drive:
    """One run over a source.

    Args:
        ledger: Of OUT.
        job: What workers do.
        retry_failed: Whether studies that failed before are tried again.

    Attributes:
        counts: So far.
        slices: Segmented so far.
        first_seconds: From the start to the first row taken over, s; None until then.
        references: Every reference that has been given to a worker, by name.
    """

    def __init__(self, ledger: Ledger, job: Job, *, retry_failed: bool) -> None:
        self.counts = Counts()
        self.slices = 0
        self.first_seconds: float | None = None
        self.references: dict[str, Reference] = {}
        self._ledger = ledger
        self._job = job
        self._retry_failed = retry_failed
        self._seen: set[str] = set()
        self._passed: set[str] = set()
        self._leaning: dict[str, tuple[Reference, Counts]] = {}
        self._lock = threading.Lock()  # an engine takes references in threads of its own

    def run(
        self,
        engine: Engine,
        source: Iterable[Reference],
        *,
        cancelled: Callable[[], bool],
        taken: Callable[[Entry], object],
    ) -> None:
        """Have every study of a source segmented, unless it is known.

        Args:
            engine: Has the workers.
            source: References as they are found.
            cancelled: Asked before each reference.
            taken: Called with each line of the ledger that this run adds.

        Raises:
            BrainsegError: A fault that is no study's; what was taken over stays.
            WorkerError: The counts do not add up.
        """
        begun = time.monotonic()
        whole = False
        missing: Iterable[Reference] = self._missing(source)
        try:
            while missing:
                with closing(engine.run(missing, self._job, cancelled)) as answers:  # type: ignore[type-var]
                    for answer in answers:
                        taken(self._taken(answer))
                        self.first_seconds = self.first_seconds or time.monotonic() - begun
                missing = [] if cancelled() else self._bereft()
            whole = not cancelled()
        finally:
            self.counts.check(whole=whole)

    def _taken(self, answer: Answer) -> Entry:
        """Take an answer over and count it."""
        with self._lock:
            reference = self.references.pop(answer.source)
            outcome = self._ledger.take(reference, answer)
            self.counts.add(answer.found, outcome.entry)
            for source_name, recent in outcome.withdrawn:
                if recent or source_name in self._passed:  # one that has not come yet is counted then
                    self.counts.withdrawn(recent=recent)
            if outcome.entry.duplicates:
                counted = Counts()
                counted.add(answer.found, outcome.entry)
                self._leaning[reference.name] = (reference, counted)
        self.slices += sum(row.n_slices or 0 for row in outcome.entry.rows)
        return outcome.entry

    def _bereft(self) -> list[Reference]:
        """Duplicates whose original was replaced in this run by other pixels, so that no row is left for them."""
        found = []
        for name in [name for name in self._leaning if not self._ledger.stands(name)]:
            reference, counted = self._leaning.pop(name)
            self.counts.forget(counted)
            self._passed.discard(name)
            self.references[name] = reference
            found.append(reference)
        return found

    def _missing(self, source: Iterable[Reference]) -> Iterator[Reference]:
        """The references that need work; others are counted."""
        for reference in source:
            with self._lock:
                self.counts.references += 1
                if reference.name in self._seen:
                    self.counts.answered += 1
                    continue
                self._seen.add(reference.name)
                if not self._is_known(reference):
                    self.references[reference.name] = reference
            if reference.name in self.references:
                yield reference

    def _is_known(self, reference: Reference) -> bool:
        """Whether an earlier run has a reference; counts it then."""
        if reference.name not in self._ledger.known:
            return False
        known = self._ledger.settled(reference, mark_of(reference))
        if known is None or (known.failed and self._retry_failed):
            return False
        self._passed.add(reference.name)
        self.counts.known(len(known.ids), known.failed, len(known.duplicates))
        if known.duplicates:
            counted = Counts()
            counted.known(len(known.ids), known.failed, len(known.duplicates))
            self._leaning[reference.name] = (reference, counted)
        return True
