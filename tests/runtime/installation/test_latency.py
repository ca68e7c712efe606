"""Timing: the slices are the same every time, and as many calls are made as asked for."""

from __future__ import annotations

import numpy as np

from brainseg_runtime.installation.latency import synthetic_slices, time_calls


def calls_made(*, seconds: float, least: int, most: int | None) -> tuple[int, int]:
    """How many calls are made in all, and how many of them are timed."""
    made: list[None] = []
    times = time_calls(lambda: made.append(None), seconds=seconds, least=least, most=most, warm_up=2)
    return len(made), len(times)


def test_the_least_number_of_calls_is_made_however_long_they_take() -> None:
    assert calls_made(seconds=0, least=7, most=None) == (9, 7)


def test_no_more_than_the_most_are_made_however_short_they_are() -> None:
    assert calls_made(seconds=60, least=1, most=5) == (7, 5)


def test_slices_to_time_are_the_same_every_time() -> None:
    first, again = synthetic_slices(2, 32), synthetic_slices(2, 32)
    assert first.dtype == np.uint8
    assert first.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(first, again)
    assert first[:, 0, 0].max() == 0, "air around the head"
    assert first[:, 16, 16].max() > 0
