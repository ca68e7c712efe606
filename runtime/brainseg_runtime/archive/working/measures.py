"""What a row says of a mask in numbers, taken slice by slice.

Legend: H rows, W columns.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.archive.working.identity import PixelDigest


class Measured(TypedDict):
    """The columns of a row that are measured on the mask."""

    mask_sha256: str
    n_slices: int
    volume_px: int
    areas: tuple[int, ...]
    confidence: float | None
    max_probability: float
    runs: int
    edge_px: int


class Measures:
    """Measures of a mask whose slices come one after the other.

    Attributes:
        areas: Marked pixels by slice.
        edge_px: Marked pixels on the border of a slice.
        max_probability: Highest probability.

    >>> made = Measures()
    >>> made.add(np.eye(2, dtype=np.uint8), np.full((2, 2), 0.75, np.float32))
    >>> made.areas, made.edge_px, made.confidence, made.runs
    ([2], 2, 0.75, 1)
    """

    def __init__(self) -> None:
        self.areas: list[int] = []
        self.edge_px = 0
        self.max_probability = 0.0
        self._sum = 0.0
        self._digest = PixelDigest()

    def add(self, mask: NDArray[np.uint8], probability: NDArray[np.float32]) -> None:
        """Add a slice.

        Args:
            mask: (H, W), 0 or 1.
            probability: (H, W) in [0, 1].
        """
        area = int(np.count_nonzero(mask))
        self.areas.append(area)
        self.max_probability = max(self.max_probability, float(probability.max(initial=0)))
        self._digest.add("mask", mask)
        if area:
            inner = int(np.count_nonzero(mask[1:-1, 1:-1]))
            self.edge_px += area - inner
            self._sum += float(np.sum(probability[mask != 0], dtype=np.float64))

    @property
    def volume_px(self) -> int:
        """Marked voxels."""
        return sum(self.areas)

    @property
    def confidence(self) -> float | None:
        """Mean probability of the marked voxels; None if none is marked."""
        return round(self._sum / self.volume_px, 6) if self.volume_px else None

    @property
    def runs(self) -> int:
        """Separate stretches of consecutive marked slices."""
        marked = [area > 0 for area in self.areas]
        return sum(now and not before for before, now in zip([False, *marked], marked, strict=False))

    @property
    def columns(self) -> Measured:
        """What a row says."""
        return Measured(
            mask_sha256=self._digest.hex(),
            n_slices=len(self.areas),
            volume_px=self.volume_px,
            areas=tuple(self.areas),
            confidence=self.confidence,
            max_probability=self.max_probability,
            runs=self.runs,
            edge_px=self.edge_px,
        )
