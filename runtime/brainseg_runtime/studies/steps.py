"""Where a run over a study stands: time by part, steps done, and the caller's wish to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from brainseg_runtime.errors import CancelledError
from brainseg_runtime.segmentation.base_segmenter import Cancel, Progress


@dataclass(kw_only=True)
class Steps:
    """Where a run stands.

    Attributes:
        progress: Called with steps done and steps in all; None: nobody is told.
        cancelled: Asked before each part; a true answer stops.
        before: Steps before the first slice.
        count: Steps done.
        seconds: Time by part.

    Examples:
        >>> steps = Steps(before=1)
        >>> with steps.part("read"):
        ...     steps.done(1)
        >>> list(steps.seconds), steps.count
        (['read'], 1)
    """

    progress: Progress | None = None
    cancelled: Cancel | None = None
    before: int = 0
    count: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the work; before it, stop if the caller wants to."""
        self.check()
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def check(self) -> None:
        """Stop if the caller wants to.

        Raises:
            CancelledError: The caller does.
        """
        if self.cancelled is not None and self.cancelled():
            raise CancelledError("the study was cancelled", got="a stop before its mask was made")

    def done(self, steps: int) -> None:
        """Count steps; how many slices follow is not known yet, so that they count as one."""
        self.count += steps
        if self.progress is not None:
            self.progress(self.count, self.before + 1)

    def slices(self, total: int) -> Progress | None:
        """What the segmenter reports to: the slices come after the steps before."""
        report = self.progress
        if report is None:
            return None
        return lambda done, _: report(self.count + done, self.count + total)
