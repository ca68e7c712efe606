"""What an evaluation says of whole volumes: surfaces, lesions and volume errors, of each patient and over patients.

Records alone, as `evaluation` has them; what is undefined is None, and a `Missing` beside it says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Interval95: TypeAlias = tuple[float, float] | None
"""Low and high end of a 95 % BCa interval by patient bootstrap; None where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """Why figures are not given."""

    reason: str
    """In words, without full stop."""
    figures: tuple[str, ...]
    """Their places, such as ``volume_dice.ci95``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientSummary:
    """A score over patients; all but the counts are None where no patient has it."""

    mean: float | None
    median: float | None
    min: float | None
    max: float | None
    ci95: Interval95
    """Of the mean."""
    n: int
    """Patients for whom it is defined; the others are in no figure here."""
    n_undefined: int
    """Patients for whom it is undefined."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientSurface:
    """Distances between the surfaces of a patient's true and predicted tumour."""

    hd95_px: float | None
    assd_px: float | None
    nsd_px: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd_mm: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientLesions:
    """A patient's lesions."""

    dice: float | None
    f1: float | None
    found: int | None
    missed: int | None
    false: int | None
    small: int | None
    """Lesions left out for their size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientVolumes:
    """A patient's tumour volume; errors are predicted minus true."""

    true_px: int
    predicted_px: int
    error_px: int
    error_relative: float | None
    """Error over true volume; None without true tumour."""
    true_ml: float | None
    predicted_ml: float | None
    error_ml: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SurfaceScores:
    """Surface scores over patients."""

    tolerance: float
    """Of the surface Dice; pixels for `nsd_px`, mm for `nsd_mm`."""
    hd95_px: PatientSummary
    assd_px: PatientSummary
    nsd_px: PatientSummary
    hd95_mm: PatientSummary
    assd_mm: PatientSummary
    nsd_mm: PatientSummary


@dataclass(frozen=True, kw_only=True, slots=True)
class LesionScores:
    """Lesion scores over patients, and the lesions of all together."""

    dilation: int
    """Steps by which the truth is grown."""
    least_volume: float
    """Lesions up to this volume are left out."""
    least_volume_unit: Literal["voxels", "mm3"]
    dice: PatientSummary
    f1: PatientSummary
    found: int
    missed: int
    false: int
    small: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeAgreement:
    """Predicted against true volume over patients, as Bland and Altman describe agreement."""

    bias: float
    """Mean error."""
    bias_ci95: Interval95
    sd: float | None
    """Standard deviation of the errors."""
    limits: tuple[float, float] | None
    """Limits of agreement: bias ± 1.96 sd."""
    mean_absolute: float
    """Mean size of the errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeErrors:
    """Volume errors over patients."""

    px: VolumeAgreement
    ml: VolumeAgreement | None
    """None where the spacing is unknown."""
    relative: PatientSummary
