"""Surfaces, lesions and volume errors of all patients together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from brainseg_runtime.evaluation.notes import Notes
from brainseg_runtime.evaluation.result import PatientScores
from brainseg_runtime.evaluation.tally import Tally, defined
from brainseg_runtime.evaluation.volume_scores import (
    LesionScores,
    PatientSummary,
    SurfaceScores,
    VolumeAgreement,
    VolumeErrors,
)
from brainseg_runtime.metrics.agreement import Agreement
from brainseg_runtime.metrics.bootstrap import bootstrap_interval
from brainseg_runtime.metrics.lengths import SpacingXYZ
from brainseg_runtime.metrics.lesions import DILATION, LEAST_VOLUME
from brainseg_runtime.metrics.scores import table

NO_SPACING = "the spacing in mm is unknown"
"""Reason for figures in mm and mL."""


def surface_scores(
    patients: Sequence[PatientScores], spacing_mm: SpacingXYZ | None, tolerance: float, notes: Notes
) -> SurfaceScores:
    """Surface scores over patients."""
    return SurfaceScores(tolerance=tolerance, scores=_of_volumes("surface", patients, spacing_mm, notes))


def _of_volumes(
    group: str, patients: Sequence[PatientScores], spacing_mm: SpacingXYZ | None, notes: Notes
) -> dict[str, PatientSummary]:
    """Each score of a group of the table over patients."""
    unknown = spacing_mm is None
    return {
        score.key: notes.over_patients(
            f"{group}.{score.key}",
            [getattr(patient, group).scores[score.key] for patient in patients],
            why=NO_SPACING if score.needs_spacing and unknown else "",
        )
        for score in table().of_volumes[group]
    }


def lesion_scores(
    tallies: Sequence[Tally], patients: Sequence[PatientScores], spacing_mm: SpacingXYZ | None, notes: Notes
) -> LesionScores:
    """Lesion scores over patients; patients whose slices are not a volume are in none."""
    counted = [tally.lesions for tally in tallies if tally.lesions is not None]
    return LesionScores(
        dilation=DILATION,
        least_volume=LEAST_VOLUME,
        least_volume_unit="voxels" if spacing_mm is None else "mm3",
        scores=_of_volumes("lesions", patients, spacing_mm, notes),
        found=sum(one.found for one in counted),
        missed=sum(one.missed for one in counted),
        false=sum(one.false for one in counted),
        small=sum(one.small for one in counted),
    )


def volume_errors(patients: Sequence[PatientScores], spacing_mm: SpacingXYZ | None, notes: Notes) -> VolumeErrors:
    """Predicted against true volumes."""
    volumes = [patient.volume for patient in patients if patient.volume is not None]
    ml = [volume.error_ml for volume in volumes if volume.error_ml is not None]
    if not ml:
        notes.note("volume_error.ml", NO_SPACING if spacing_mm is None else "no patient's slices are a volume")
    return VolumeErrors(
        px=_agreement("volume_error.px", [float(volume.error_px) for volume in volumes], notes),
        ml=_agreement("volume_error.ml", ml, notes) if ml else None,
        relative=notes.over_patients("volume_error.relative", [volume.error_relative for volume in volumes]),
    )


def _agreement(figure: str, errors: Sequence[float], notes: Notes) -> VolumeAgreement:
    """Errors over patients."""
    found = Agreement.of(errors)
    interval = notes.mean(f"{figure}.bias_ci95", errors)
    if math.isnan(found.sd):
        for key in ("sd", "limits"):
            notes.note(f"{figure}.{key}", bootstrap_interval(errors).reason)
    return VolumeAgreement(
        bias=found.bias,
        bias_ci95=interval,
        sd=defined(found.sd),
        limits=None if math.isnan(found.sd) else (found.low, found.high),
        mean_absolute=found.mean_absolute,
    )
