"""What segmenting a study gives: the mask on FLAIR's own grid, and how it came about.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices of the frame that the network saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.safe_io.arguments import check_kind, check_path
from brainseg_runtime.segmentation.results import Provenance
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.series import Role
from brainseg_runtime.studies.study import Study
from brainseg_runtime.studies.written.record import Output
from brainseg_runtime.studies.written.settings import SegmentSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Registration:
    """How a T1 series was brought onto FLAIR.

    Attributes:
        matrix: (4, 4) float64; takes a position in FLAIR's patient coordinates (LPS mm) to the T1's.
        quality: 0 to 1: how much of the two volumes' similarity a small motion would cost; its limit is
            `registration.LEAST_QUALITY`.
        rotation_deg: Angle of the rotation, degrees.
        translation_mm: Mean displacement of the head's voxels, mm.
        applied: False if the header's geometry was kept: the motion found is below what can be told from none, or
            registration was switched off.
        note: What was done, in words.
        similarity: Normalised mutual information of the two inside the head, 1 to 2.
    """

    matrix: NDArray[np.float64]
    quality: float
    rotation_deg: float
    translation_mm: float
    applied: bool
    note: str
    similarity: float = 1.0


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

    def write(
        self,
        out: Path | str,
        kinds: Sequence[str] | None = None,
        *,
        deterministic_uids: bool = False,
        segment: SegmentSettings | None = None,
    ) -> tuple[Output, ...]:
        """Write the study's folder, `out/<study.name>/`, whole or not at all; an earlier run's is replaced.

        Args:
            out: The folder that gets the study's folder; made if it does not exist.
            kinds: Any of "seg", "sr", "sc", "rtstruct", "nifti", "preview"; None for seg, sr, sc, nifti and
                preview, or for nifti and preview if the study is NIfTI. `study.json` is always written.
            deterministic_uids: Derive UIDs from the content and take dates from the source, so that the same study
                and model give the same bytes at any time.
            segment: Label and codes of the segment.

        Returns:
            The files, each with its path from `out` on.

        Raises:
            ArgumentError: An unknown kind, or one that a NIfTI study cannot give; or another argument is of the wrong
                type.
            StudyError: The result does not fit its series.
            FileWriteError: The system refused, or the study's folder holds files that are not of an earlier run.
            MissingExtraError: pydicom or Pillow is not installed.
        """
        from brainseg_runtime.studies.written.writing import write_study

        if segment is not None:
            check_kind("segment", segment, SegmentSettings)
        return write_study(self, check_path("out", out), kinds, deterministic_uids=deterministic_uids, segment=segment)
