"""Studies to look at first: rules over all rows, each with its points and its reason in words.

A rule's limits are fixed where the trade knows them and robust over the archive where it does not: medians and median
absolute deviations, which a few wrong masks do not move.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from brainseg_runtime.archive.working.rows import Row

MOST: Final = 24
"""Outliers that are listed."""

FAR: Final = 3.5
"""Robust z-score from which a value counts as far: the usual limit of Iglewicz and Hoaglin, 1993."""

LEAST: Final = 12
"""Fewest studies from which a median is worth comparing with."""

BETWEEN: Final = " | "
"""Between two warnings of one reason."""

_SHOWN: Final = 4
"""Warnings of a study that are told."""

_LONGEST: Final = 320
"""Characters of one that are told."""

_TO_SIGMA: Final = 1.4826
"""From a median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlier:
    """A study to look at.

    Attributes:
        id: Its identity.
        source: The reference.
        name: Its patient's folder, or its name.
        score: Points of all rules.
        reasons: Why, the weightiest first.
        volume_px: Marked voxels.
        volume_ml: The same in mL.
        confidence: Mean probability of the marked voxels.
        slice: Index of the slice with the largest area; the middle one if nothing is marked.
        preview: Its picture, from OUT on; null if there is none.
    """

    id: str
    source: str
    name: str
    score: float
    reasons: tuple[str, ...]
    volume_px: int | None
    volume_ml: float | None
    confidence: float | None
    slice: int | None = None
    preview: str | None = None


Unit = Literal["mL", "voxels"]


@dataclass(frozen=True, slots=True)
class Middle:
    """Median and spread of one measure."""

    median: float
    sigma: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Middle | None:
        """Of all values; None if they are too few or do not spread."""
        if len(values) < LEAST:
            return None
        array = np.asarray(values, np.float64)
        median = float(np.median(array))
        sigma = float(np.median(np.abs(array - median))) * _TO_SIGMA
        return cls(median, sigma) if sigma > 0 else None

    def far(self, value: float) -> float:
        """Robust z-score.

        >>> Middle(10.0, 2.0).far(16.0)
        3.0
        """
        return (value - self.median) / self.sigma


@dataclass(frozen=True, slots=True)
class Middles:
    """What rows are compared with.

    Attributes:
        volume: Of the logarithm of marked volumes.
        confidence: Of the marked voxels.
        unit: Of the volumes.
    """

    volume: Middle | None
    confidence: Middle | None
    unit: Unit = "mL"


def outliers(rows: Iterable[Row], middles: Middles, *, most: int = MOST) -> list[Outlier]:
    """The studies with the most points, the highest first.

    Args:
        rows: Every row.
        middles: What they are compared with.
        most: How many.
    """
    best: list[tuple[float, str, Outlier]] = []
    for row in rows:
        found = _judged(row, middles)
        if found is not None:
            item = (found.score, row.id, found)
            if len(best) < most:
                heapq.heappush(best, item)
            else:
                heapq.heappushpop(best, item)
    return [each for _, _, each in sorted(best, key=lambda item: (-item[0], item[1]))]


def _judged(row: Row, middles: Middles) -> Outlier | None:
    """A row with its points; None if no rule speaks."""
    if row.status != "done":
        return None
    found = [verdict for rule in _RULES if (verdict := rule(row, middles)) is not None]
    if not found:
        return None
    found.sort(key=lambda verdict: -verdict[0])
    return Outlier(
        id=row.id,
        source=row.source,
        name=row.name,
        score=round(sum(points for points, _ in found), 2),
        reasons=tuple(text for _, text in found),
        volume_px=row.volume_px,
        volume_ml=row.volume_ml,
        confidence=row.confidence,
        slice=_best(row.areas or ()),
    )


def _best(areas: Sequence[int]) -> int | None:
    """The slice to show."""
    return (areas.index(max(areas)) if any(areas) else len(areas) // 2) if areas else None


Verdict = tuple[float, str]
Rule = Callable[[Row, Middles], Verdict | None]


def size_of(row: Row, unit: Unit) -> float | None:
    """A marked volume as rows are compared by it, a logarithm; None if nothing is marked, or its mL are unknown."""
    value = row.volume_ml if unit == "mL" else row.volume_px
    return math.log(value) if value else None


def _volume(row: Row, middles: Middles) -> Verdict | None:
    size = size_of(row, middles.unit)
    if size is None or middles.volume is None:
        return None
    far = middles.volume.far(size)
    if abs(far) < FAR:
        return None
    return abs(far) - FAR + 1, f"volume far {'above' if far > 0 else 'below'} the archive's median ({far:+.1f} sigma)"


def _confidence(row: Row, middles: Middles) -> Verdict | None:
    if row.confidence is None or middles.confidence is None:
        return None
    far = -middles.confidence.far(row.confidence)
    return None if far < FAR else (min(far - FAR + 1, 5.0), f"low confidence: {row.confidence:.2f} ({far:.1f} sigma)")


def _warned(row: Row, _: Middles) -> Verdict | None:
    if not row.warnings:
        return None
    shown = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in row.warnings[:_SHOWN]]
    more = [f"{len(row.warnings) - _SHOWN} more"] if len(row.warnings) > _SHOWN else []
    text = BETWEEN.join([*shown, *more])
    return min(1.0 + 0.5 * (len(row.warnings) - 1), 3.0), f"{'warnings' if row.warnings[1:] else 'warning'}: {text}"


def _filled(row: Row, _: Middles) -> Verdict | None:
    marked = sum(area > 0 for area in row.areas or ())
    total = row.n_slices or 0
    return (3.0, f"marked in {marked} of {total} slices") if total >= 8 and marked > 0.9 * total else None


def _at_edge(row: Row, _: Middles) -> Verdict | None:
    return (2.0, f"{row.edge_px} marked pixels on the border of a slice") if row.edge_px else None


def _in_pieces(row: Row, _: Middles) -> Verdict | None:
    pieces = row.runs or 0
    return (min(0.5 * (pieces - 2), 3.0), f"{pieces} separate stretches of slices") if pieces > 3 else None


def _nearly(row: Row, _: Middles) -> Verdict | None:
    nearly = row.volume_px == 0 and (row.max_probability or 0) >= 0.25
    return (1.0, f"nothing marked, highest probability {row.max_probability:.2f}") if nearly else None


def _jump(row: Row, _: Middles) -> Verdict | None:
    areas = list(row.areas or ())
    largest = max(areas, default=0)
    if len(areas) < 8 or largest < 200:
        return None
    step = max(abs(now - before) for before, now in pairwise(areas))
    return (1.5, f"the area jumps by {step:,} pixels from one slice to the next") if step > 0.9 * largest else None


_RULES: Final[tuple[Rule, ...]] = (_volume, _confidence, _warned, _filled, _at_edge, _in_pieces, _nearly, _jump)
