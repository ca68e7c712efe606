"""Missing and exchanged sequences, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.sequences import FLAIR, POST, PRE, blank, repeat_flair, swap_t1s
from brainseg_runtime.perturbations.slices import TrueSlice

ONE = TrueSlice(np.tile(np.array([10, 20, 30], np.uint8), (4, 5, 1)), np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize(
    ("missing", "levels"), [((PRE,), [20, 20, 30]), ((POST,), [10, 20, 20]), ((PRE, POST), [20, 20, 20])]
)
def test_flair_stands_in_for_what_is_missing(missing: tuple[int, ...], levels: list[int]) -> None:
    assert (repeat_flair(ONE, missing).image == levels).all()


@pytest.mark.parametrize(
    ("missing", "levels"), [((PRE,), [0, 20, 30]), ((FLAIR,), [10, 0, 30]), ((PRE, POST), [0, 20, 0])]
)
def test_zeros_stand_in_for_what_is_missing(missing: tuple[int, ...], levels: list[int]) -> None:
    got = blank(ONE, missing).image
    assert got.dtype == np.uint8
    assert (got == levels).all()


def test_the_t1s_change_places() -> None:
    assert (swap_t1s(ONE).image == [30, 20, 10]).all()


def test_flair_cannot_stand_in_for_itself() -> None:
    with pytest.raises(ArgumentError, match="itself"):
        repeat_flair(ONE, (FLAIR,))
