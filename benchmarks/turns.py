"""Two ways timed in turns, so that whatever else the machine does meets both alike.

A machine that is shared runs at one speed now and at another a minute later. Ways that are timed one after the other
then differ by more than what is asked; the ratio of two neighbouring turns does not care.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 9
"""How often the two change places."""

SECONDS = 0.12
"""How long a turn lasts at least: many calls of a slice, and long enough that the other way's threads are asleep."""

ENOUGH = 10.0
"""Seconds after which three pairs of turns will do."""


def in_turns(reference: Callable[[], object], way: Callable[[], object], *, turns: int = TURNS) -> dict[str, float]:
    """How many times as fast a way is as the reference.

    Args:
        reference: What is compared with.
        way: What is compared; both are called many times.
        turns: How many pairs of turns; fewer, but at least three, where they take longer than `ENOUGH`.

    Returns:
        Median, first and third quartile of the turns' ratios, as `ratio`, `ratio_low` and `ratio_high`.
    """
    begun = time.perf_counter()
    ratios: list[float] = []
    while len(ratios) < min(turns, 3) or (len(ratios) < turns and time.perf_counter() - begun < ENOUGH):
        ratios.append(_turn(reference) / _turn(way))
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"ratio": middle, "ratio_low": low, "ratio_high": high}


def _turn(call: Callable[[], object]) -> float:
    """Median seconds of a turn's calls; the first one wakes things up and does not count, unless it fills the turn."""
    begun = time.perf_counter()
    first = _timed(call)
    times: list[float] = []
    while time.perf_counter() - begun < SECONDS:
        times.append(_timed(call))
    return statistics.median(times) if times else first


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
