"""Both masks of one patient's volume, gathered slice by slice; surfaces and lesions need the whole volume.

Slices without a tumour pixel in either mask take no memory, others a bit for each pixel of the rectangle around it, and
only one patient is held at a time.

Legend: H rows, W columns; Z slices, Y rows, X columns of the box around all tumour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.metrics.lengths import TOLERANCE, VOXELS, SpacingXYZ
from brainseg_runtime.metrics.lesions import DILATION, LesionCounts, lesion_counts
from brainseg_runtime.metrics.surface import SurfaceDistances, distances_between, surface_voxels

_Box: TypeAlias = tuple[int, int, int, int]  # first and last row, first and last column, the last ones excluded


@dataclass(frozen=True, eq=False)
class VolumePair:
    """Prediction and truth of one patient, cut to the box around all tumour and a margin.

    Attributes:
        prediction: (Z, Y, X) bool.
        truth: (Z, Y, X) bool.
        spacing_mm: Pixel width, pixel height and slice distance, or None.
        tolerance: Of the surface Dice; pixels for distances in pixels, mm for those in mm.
    """

    prediction: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    spacing_mm: SpacingXYZ | None = None
    tolerance: float = TOLERANCE

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel; NaN where the spacing is unknown."""
        return math.nan if self.spacing_mm is None else math.prod(self.spacing_mm)

    @cached_property
    def surface_px(self) -> SurfaceDistances:
        """Distances between the surfaces in voxels: neighbouring slices are 1 apart, as pixels are."""
        return distances_between(*self._surfaces, spacing=VOXELS)

    @cached_property
    def surface_mm(self) -> SurfaceDistances:
        """Distances between the surfaces in mm.

        Raises:
            DataError: The spacing is unknown.
        """
        if self.spacing_mm is None:
            raise DataError(
                "distances in mm need the spacing",
                expected="pixel width, pixel height and slice distance in mm",
                got="none",
            )
        x, y, z = self.spacing_mm
        return distances_between(*self._surfaces, spacing=(z, y, x))

    @cached_property
    def lesions(self) -> LesionCounts:
        """Lesions, as BraTS counts them; its limit is in mm³ where the spacing is known, else in voxels."""
        known = self.spacing_mm is not None
        return lesion_counts(self.prediction, self.truth, voxel_volume=self.voxel_mm3 if known else 1.0)

    @cached_property
    def _surfaces(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return surface_voxels(self.prediction), surface_voxels(self.truth)


@dataclass
class VolumeMasks:
    """Gathers a patient's masks.

    Attributes:
        fault: Why the slices are not a volume, as a sentence without full stop; empty while they are one.
    """

    fault: str = ""
    _size: tuple[int, int] | None = None
    _next: int | None = None
    _n: int = 0
    _kept: dict[int, tuple[_Box, NDArray[np.uint8]]] = field(default_factory=dict)

    def add(self, number: int, prediction: NDArray[Any], truth: NDArray[Any]) -> None:
        """Add one slice.

        Args:
            number: Its place in the volume; the one before plus 1.
            prediction: (H, W) bool, or uint8 with 0 and 1.
            truth: The same.
        """
        if self.fault:
            return
        if self._size not in {None, truth.shape}:
            self._give_up("the patient's slices differ in size")
        elif self._next not in {None, number}:
            self._give_up("slice numbers between the first and the last are missing")
        else:
            if tumour := _box(prediction.astype(np.bool_) | truth.astype(np.bool_)):
                rows, columns = slice(*tumour[:2]), slice(*tumour[2:])
                both = np.stack([prediction[rows, columns], truth[rows, columns]]).astype(np.bool_)
                self._kept[self._n] = tumour, np.packbits(both)
            self._size, self._next, self._n = (truth.shape[0], truth.shape[1]), number + 1, self._n + 1

    def pair(self, spacing_mm: SpacingXYZ | None, tolerance: float) -> VolumePair:
        """The volume, once every slice was added.

        Args:
            spacing_mm: Pixel width, pixel height and slice distance, or None.
            tolerance: Of the surface Dice.

        Raises:
            DataError: The slices are not a volume.
        """
        if self.fault or self._size is None:
            raise DataError(
                "the slices are not a volume", expected="slices of one size, in order", got=self.fault or "none"
            )
        if not self._kept:
            nothing = np.zeros((1, 1, 1), dtype=np.bool_)
            return VolumePair(nothing, nothing, spacing_mm, tolerance)
        boxes = np.array([box for box, _ in self._kept.values()])
        first = np.array([min(self._kept), boxes[:, 0].min(), boxes[:, 2].min()])
        end = np.array([max(self._kept) + 1, boxes[:, 1].max(), boxes[:, 3].max()])
        # The margin is what lesions grow into; where the volume ends, they do not grow.
        low, high = np.maximum(first - DILATION, 0), np.minimum(end + DILATION, [self._n, *self._size])
        volumes = np.zeros((2, *(high - low)), dtype=np.bool_)
        for place, ((top, bottom, left, right), bits) in self._kept.items():
            shape = (2, bottom - top, right - left)
            both = np.unpackbits(bits, count=math.prod(shape)).reshape(shape)
            rows, columns = slice(top - low[1], bottom - low[1]), slice(left - low[2], right - low[2])
            volumes[:, place - low[0], rows, columns] = both
        return VolumePair(volumes[0], volumes[1], spacing_mm, tolerance)

    def _give_up(self, fault: str) -> None:
        """Discard what was kept: without every slice in its place there is no volume."""
        self.fault = fault
        self._kept.clear()


def _box(mask: NDArray[np.bool_]) -> _Box | None:
    """The rectangle around a mask's pixels; None if the mask is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
