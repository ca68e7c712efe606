"""The overview: which slices it shows, and that it says the volume and the warnings."""

from __future__ import annotations

import numpy as np

from brainseg_runtime.studies.written.preview import preview, shown
from tests.runtime.studies.written.made_results import AXIAL, SHAPE, awkward_mask


def test_slices_with_a_finding_are_shown_up_to_twelve() -> None:
    mask = np.zeros((60, 4, 4), np.uint8)
    mask[10:50, 1, 1] = 1
    found = shown(mask)
    assert len(found) == 12
    assert (found[0], found[-1]) == (10, 49)
    assert sorted(set(found)) == found
    assert shown(awkward_mask()) == [1, 2, 4]


def test_every_warning_makes_the_picture_longer() -> None:
    grey, mask = np.zeros(SHAPE, np.uint8), awkward_mask()
    plain = preview(grey, mask, AXIAL, texts=["text"], warnings=(), colour=(255, 0, 0))
    warned = preview(grey, mask, AXIAL, texts=["text"], warnings=("one", "two"), colour=(255, 0, 0))
    assert warned.shape[0] > plain.shape[0]
    assert warned.shape[1:] == plain.shape[1:]
    assert (warned == (255, 0, 0)).all(axis=2).any()
