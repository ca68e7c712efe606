"""Intervals, all drawn alike, and a note of every figure that is missing, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from brainseg_runtime.evaluation.volume_scores import Interval95, Missing, PatientSummary
from brainseg_runtime.metrics.bootstrap import (
    Additive,
    Interval,
    bootstrap_interval,
    bootstrap_pooled,
    bootstrap_ratio,
)

P = TypeVar("P", bound=Additive)


@dataclass
class Notes:
    """Draws intervals, with the same seed and so the same patients for each, and notes what is missing and why."""

    samples: int
    _reasons: dict[str, list[str]] = field(default_factory=dict)

    def note(self, figure: str, reason: str) -> None:
        """A figure that is missing."""
        self._reasons.setdefault(reason, []).append(figure)

    def missing(self) -> tuple[Missing, ...]:
        """All notes, grouped by reason."""
        return tuple(Missing(reason=reason, figures=tuple(places)) for reason, places in self._reasons.items())

    def mean(self, figure: str, values: Sequence[float]) -> Interval95:
        """Interval of a mean over patients."""
        return self._kept(figure, bootstrap_interval(values, samples=self.samples))

    def ratio(self, figure: str, sums: Sequence[float], sizes: Sequence[int]) -> Interval95:
        """Interval of a mean over slices."""
        return self._kept(figure, bootstrap_ratio(sums, sizes, samples=self.samples))

    def pooled(self, figure: str, parts: Sequence[P], score: Callable[[P], float]) -> Interval95:
        """Interval of a score over pixels."""
        return self._kept(figure, bootstrap_pooled(parts, score, samples=self.samples))

    def _kept(self, figure: str, interval: Interval) -> Interval95:
        if interval.defined:
            return interval[0], interval[1]
        self.note(figure, interval.reason)
        return None

    def over_patients(self, figure: str, values: Sequence[float | None], *, why: str = "") -> PatientSummary:
        """A score that patients may lack; `why` is the reason where all lack it for the same one."""
        known = [value for value in values if value is not None]
        if not known:
            self.note(figure, why or "it is undefined for every patient")
            nothing = {"mean": None, "median": None, "min": None, "max": None}
            return PatientSummary(**nothing, ci95=None, n=0, n_undefined=len(values))
        return PatientSummary(
            mean=float(np.mean(known)),
            median=float(np.median(known)),
            min=min(known),
            max=max(known),
            ci95=self.mean(f"{figure}.ci95", known),
            n=len(known),
            n_undefined=len(values) - len(known),
        )
