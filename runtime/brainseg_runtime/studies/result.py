"""What segmenting a study gives: the mask on FLAIR's own grid, and how it came about.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices of the frame that the network saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.segmentation.results import Provenance
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.series import Role
from brainseg_runtime.studies.study import Study


@dataclass(frozen=True, kw_only=True, eq=False)
class Registration:
    """How a T1 series was brought onto FLAIR.

    Attributes:
        matrix: (4, 4) float64; takes a position in FLAIR's patient coordinates (LPS mm) to the T1's.
        quality: Normalised mutual information of the two inside the head after registration; its meaning and limit
            are in `registration.py`.
        rotation_deg: Angle of the rotation, degrees.
        translation_mm: Mean displacement of the head's voxels, mm.
        applied: False if the header's geometry was kept: the motion found is below what can be told from none, or
            registration was switched off.
        note: What was done, in words.
    """

    matrix: NDArray[np.float64]
    quality: float
    rotation_deg: float
    translation_mm: float
    applied: bool
    note: str


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyResult:
    """A segmented study.

    Attributes:
        study: What was segmented.
        mask: (K, R, C) uint8, 0 or 1, on FLAIR's grid.
        probability: (K, R, C) float32 in [0, 1], on FLAIR's grid; 0 outside the frame that the network saw.
        flair: (K, R, C) float32, FLAIR's values, for pictures.
        grid: FLAIR's grid.
        volume_ml: Volume of the mask in ml.
        registration: By role, "pre" and "post"; a missing sequence has none.
        warnings: Reasons to distrust the result, those of the study first.
        images: (N, 256, 256, 3) uint8, what the network saw.
        provenance: Model, digests, provider, threshold.
        seconds: Time by part, s.
    """

    study: Study
    mask: NDArray[np.uint8]
    probability: NDArray[np.float32]
    flair: NDArray[np.float32]
    grid: Grid
    volume_ml: float
    registration: Mapping[Role, Registration]
    warnings: tuple[str, ...]
    images: NDArray[np.uint8]
    provenance: Provenance
    seconds: Mapping[str, float] = field(default_factory=dict)
