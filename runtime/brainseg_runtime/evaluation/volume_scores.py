"""Records of whole volumes: surfaces, lesions and volume errors, of each patient and over patients.

What is undefined is None, and a `Missing` beside it says why. Scores of the table are keys of the JSON like any field,
and are read like fields too: `surface.hd95_px`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from brainseg_runtime.metrics.scores import table
from brainseg_runtime.safe_io.typed_json import inline

Interval95: TypeAlias = tuple[float, float] | None
"""Low and high end of a 95 % BCa interval by patient bootstrap; None if the interval is undefined."""


class Scored:
    """Holds `scores` by key and offers each as an attribute; the table defines which there are."""

    __slots__ = ()

    def __getattr__(self, key: str) -> Any:  # noqa: ANN401 - a value, an interval or a summary
        """The score with a key."""
        if key != "scores" and key in self.scores:
            return self.scores[key]
        raise AttributeError(f"{type(self).__name__} has no {key}")


def keyed(group: str, kind: Any) -> Callable[[], dict[str, Any]]:  # noqa: ANN401 - a type has no narrower one
    """For `inline`: the keys of a group of the table, each with a value of one type; None for scores added later."""
    return lambda: {score.key: kind if score.in_every_record else kind | None for score in getattr(table(), group)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A reason, and the figures that are missing for it."""

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
class PatientSurface(Scored):
    """Distances between the surfaces of a patient's true and predicted tumour."""

    scores: Mapping[str, float | None] = inline(keyed("surface", float | None))


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientLesions(Scored):
    """A patient's lesions."""

    scores: Mapping[str, float | None] = inline(keyed("lesions", float | None))
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
class SurfaceScores(Scored):
    """Surface scores over patients."""

    tolerance: float
    """Of the surface Dice; pixels for `nsd_px`, mm for `nsd_mm`."""
    scores: Mapping[str, PatientSummary | None] = inline(keyed("surface", PatientSummary))


@dataclass(frozen=True, kw_only=True, slots=True)
class LesionScores(Scored):
    """Lesion scores over patients, and the lesions of all together."""

    dilation: int
    """Steps by which the truth is grown."""
    least_volume: float
    """Lesions up to this volume are left out."""
    least_volume_unit: Literal["voxels", "mm3"]
    scores: Mapping[str, PatientSummary | None] = inline(keyed("lesions", PatientSummary))
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
