"""Perturbations of the channels: a sequence missing, and the two T1s exchanged. The mask stays.

Legend: channels 0 pre-contrast, 1 FLAIR, 2 post-contrast.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from brainseg_runtime.contract import CHANNELS
from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.slices import TrueSlice

PRE: Final = 0
FLAIR: Final = 1
POST: Final = 2


def repeat_flair(one: TrueSlice, missing: Collection[int]) -> TrueSlice:
    """FLAIR in the place of sequences that are missing, as the data set has it.

    Args:
        one: The slice.
        missing: Of `PRE` and `POST`.

    Raises:
        ArgumentError: FLAIR itself is missing.
    """
    if FLAIR in missing:
        raise ArgumentError("FLAIR cannot stand in for itself", expected="pre-contrast or post-contrast", got="FLAIR")
    order = [FLAIR if channel in missing else channel for channel in range(len(CHANNELS))]
    return one.with_image(np.ascontiguousarray(one.image[..., order]))


def blank(one: TrueSlice, missing: Collection[int]) -> TrueSlice:
    """Zeros in the place of sequences that are missing."""
    kept = np.array([channel not in missing for channel in range(len(CHANNELS))], np.uint8)
    return one.with_image(one.image * kept)


def swap_t1s(one: TrueSlice) -> TrueSlice:
    """Pre-contrast and post-contrast exchanged."""
    return one.with_image(np.ascontiguousarray(one.image[..., [POST, FLAIR, PRE]]))
