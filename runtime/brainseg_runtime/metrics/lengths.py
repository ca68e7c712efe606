"""Lengths in a volume: the spacing of its voxels, and the tolerance of the surface Dice."""

from __future__ import annotations

from typing import Final, TypeAlias

SpacingXYZ: TypeAlias = tuple[float, float, float]
"""Pixel width, pixel height and slice distance in mm."""

Spacing: TypeAlias = tuple[float, float, float]
"""Distance between neighbouring voxel centres along Z, Y and X."""

VOXELS: Final[Spacing] = (1.0, 1.0, 1.0)
"""Spacing that measures in voxels."""

TOLERANCE: Final = 2.0
"""Distance up to which two surfaces count as the same for NSD: each of two masks may be a pixel off, by where a
border between two pixels is drawn, and pixels of the data set are about 1 mm wide."""
