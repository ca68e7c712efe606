"""The result of scoring a model under perturbations: what `brainseg evaluate --stress` writes, key for key.

Patients with tumour have a volume Dice, and a difference from the Dice of their own unperturbed slices. Patients
without tumour have what was marked, all of it falsely: pixels, and ml where the spacing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.result import VolumeScore
from brainseg_runtime.evaluation.volume_scores import Interval95, Missing
from brainseg_runtime.safe_io import typed_json
from brainseg_runtime.safe_io.strict_json import Json

UNPERTURBED = "unperturbed"
"""Name of the row that all others are compared with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Dice of each patient minus the same patient's unperturbed one; negative where the perturbation does harm."""

    mean: float
    ci95: Interval95
    """Of the mean."""
    min: float
    """Of the patient who loses most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """What was marked in patients without tumour."""

    n: int
    """Patients without tumour."""
    px_mean: float
    px_max: float
    """Of the patient with most."""
    ml_mean: float | None
    """None where the spacing is unknown."""
    ml_max: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StressedPatient:
    """One patient under one perturbation. Pixels are those of the slices as they were read."""

    id: str
    true_px: float
    """Of the true mask, moved with the image; less than unperturbed where a part has left the picture."""
    marked_px: float
    """Of the predicted mask."""
    marked_ml: float | None
    """None where the spacing is unknown."""
    dice: float | None
    """Of the volume; None for a patient without tumour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StressRow:
    """All patients under one perturbation."""

    name: str
    group: str
    """What the perturbation is a change of."""
    about: str
    """What it does, in words."""
    dice: VolumeScore | None
    """Volume Dice over patients with tumour; None where there are none."""
    difference: Difference | None
    """From the unperturbed Dice; None where there are no patients with tumour, and for `unperturbed` itself."""
    marked: Marked | None
    """In patients without tumour; None where there are none."""
    patients: tuple[StressedPatient, ...] = ()
    """In the order in which they came; left out where the table is kept in a bundle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StressTable:
    """A model under every perturbation."""

    n_patients: int
    n_with_tumour: int
    n_without_tumour: int
    n_slices: int
    seed: int
    """Of what is drawn at random."""
    provider: str
    """What computed; empty where the caller did not say."""
    variant: str
    """Which weights; likewise."""
    spacing_mm: tuple[float, float, float] | None
    """Pixel width, pixel height and slice distance of the slices as they were read."""
    rows: tuple[StressRow, ...]
    """`unperturbed` first."""
    missing: tuple[Missing, ...] = ()
    """Why figures are None."""

    @property
    def by_name(self) -> Mapping[str, StressRow]:
        """The rows by name."""
        return {row.name: row for row in self.rows}

    def to_json(self) -> dict[str, Json]:
        """Plain JSON, the keys in the order above."""
        return typed_json.to_json(self)

    def without_patients(self) -> StressTable:
        """The table without single patients: for a bundle, which names none but the worst."""
        return replace(self, rows=tuple(replace(row, patients=()) for row in self.rows))

    @classmethod
    def from_json(cls, value: object, where: str = "stress") -> StressTable:
        """Read what `to_json` made.

        Raises:
            DataError: A key is missing or unknown, or a value has the wrong type.
        """
        return typed_json.from_json(cls, value, where, error=DataError)
