"""A patient's slices, and what perturbations of one slice need to know of all of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.perturbations.brain import HeadMasks, head_masks
from brainseg_runtime.perturbations.geometry import Box, box_of
from brainseg_runtime.perturbations.intensity import levels_at
from brainseg_runtime.perturbations.slices import TrueSlice


class Volume:
    """The slices of one patient with their true masks.

    Args:
        slices: In anatomical order, of one size, at least one. They are kept, not copied.

    Raises:
        DataError: There is no slice, or they differ in size.
    """

    def __init__(self, slices: Sequence[TrueSlice]) -> None:
        sizes = {each.mask.shape for each in slices}
        if len(sizes) != 1:
            raise DataError(
                "a volume that cannot be perturbed",
                expected="slices of one size, at least one",
                got=f"{len(slices)} slices of {len(sizes)} sizes",
            )
        self.slices = tuple(slices)

    @cached_property
    def masks(self) -> HeadMasks:
        """Head and brain in each slice."""
        return head_masks([each.image for each in self.slices])

    @cached_property
    def box(self) -> Box | None:
        """Of the head, over all slices."""
        return box_of(self.masks.head)

    def levels(self, percentile: float) -> NDArray[np.float64]:
        """(3,) grey level at a percentile of each channel, over pixels that are not 0; 100 is the largest."""
        if percentile not in self._levels:
            self._levels[percentile] = levels_at([each.image for each in self.slices], percentile)
        return self._levels[percentile]

    def generator(self, seed: int, name: str, at: int | None = None) -> np.random.Generator:
        """Random numbers that depend on the pixels, a seed and a perturbation's name, not on the patient's.

        Args:
            seed: Any integer from 0.
            name: The perturbation's.
            at: Index of a slice; None for what is drawn once for the volume.
        """
        return np.random.default_rng([seed, zlib.crc32(name.encode()), self._checksum, 0 if at is None else at + 1])

    @cached_property
    def _levels(self) -> dict[float, NDArray[np.float64]]:
        return {}

    @cached_property
    def _checksum(self) -> int:
        found = 0
        for each in self.slices:
            found = zlib.crc32(each.image.tobytes(), found)
        return found
