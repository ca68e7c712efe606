"""What a volume knows of its slices."""

from __future__ import annotations

import numpy as np
import pytest

from brainseg_runtime.errors import DataError
from brainseg_runtime.perturbations.slices import TrueSlice
from brainseg_runtime.perturbations.volume import Volume
from tests.runtime.perturbations.drawn_head import drawn_head


def test_the_box_holds_every_slices_head() -> None:
    drawn = [drawn_head(size=size) for size in (0.5, 0.9)]
    box = Volume([each.slice for each in drawn]).box
    assert box is not None
    rows, columns = np.flatnonzero(drawn[1].head.any(axis=1)), np.flatnonzero(drawn[1].head.any(axis=0))
    assert np.abs(np.subtract(box, (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))).max() <= 2


def test_random_numbers_depend_on_pixels_name_seed_and_slice_alone() -> None:
    volume, again = Volume([drawn_head().slice]), Volume([drawn_head().slice])
    other = Volume([drawn_head(seed=1).slice])
    first = volume.generator(0, "noise", 0).random()
    assert again.generator(0, "noise", 0).random() == first
    different = [
        other.generator(0, "noise", 0),
        volume.generator(1, "noise", 0),
        volume.generator(0, "blur", 0),
        volume.generator(0, "noise", 1),
        volume.generator(0, "noise"),
    ]
    assert first not in [each.random() for each in different]


def test_slices_of_several_sizes_are_no_volume() -> None:
    sizes = [TrueSlice(np.zeros((side, 20, 3), np.uint8), np.zeros((side, 20), np.uint8)) for side in (20, 21)]
    with pytest.raises(DataError, match="one size"):
        Volume(sizes)
    with pytest.raises(DataError, match="at least one"):
        Volume([])
