"""How long a call takes, and slices to time it on: for `brainseg bench` and for an export's table.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

WARM_UP: Final = 3
"""Calls before the clock starts: the first ones allocate and, on some providers, compile."""


def time_calls(
    call: Callable[[], object], *, seconds: float, least: int, most: int | None = None, warm_up: int = WARM_UP
) -> list[float]:
    """Times of repeated calls, in ms.

    Args:
        call: What to time.
        seconds: For how long to repeat it.
        least: Calls that are made even if they take longer.
        most: Calls after which to stop earlier; None: any number.
        warm_up: Calls before the first one that is timed.

    Examples:
        >>> len(time_calls(lambda: None, seconds=0, least=10))
        10
    """
    for _ in range(warm_up):
        call()
    end = time.perf_counter() + seconds
    times: list[float] = []
    while len(times) < least or (time.perf_counter() < end and (most is None or len(times) < most)):
        times.append(milliseconds(call))
    return times


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes, in ms."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def synthetic_slices(count: int, side: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Slices with the grey values of a head on black; their content does not change how long they take.

    Args:
        count: How many.
        side: Height and width in pixels.
        seed: Of the noise.

    Returns:
        (N, H, W, 3) uint8, the same for the same arguments.

    Examples:
        >>> synthetic_slices(2, 64).shape
        (2, 64, 64, 3)
    """
    noise = np.random.default_rng(seed).normal(90.0, 25.0, (count, side, side, 3))
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    head = (rows**2 / 0.8 + columns**2 / 0.6 < 1.0)[None, :, :, None]
    slices: NDArray[np.uint8] = np.clip(noise * head, 0, 255).astype(np.uint8)
    return slices
