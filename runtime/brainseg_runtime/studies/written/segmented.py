"""What the writers need of a segmented study, as protocols: `studies.result` has the classes, and writes through here.

Legend: K slices, R rows, C columns of FLAIR's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.segmentation.results import Provenance
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.series import Role
from brainseg_runtime.studies.study import Study


class Registered(Protocol):
    """How a T1 series was brought onto FLAIR, as `Registration` has it."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(4, 4) float64; FLAIR's position to the T1's, LPS mm."""
        ...

    @property
    def quality(self) -> float:
        """Similarity after registration."""
        ...

    @property
    def rotation_deg(self) -> float:
        """Angle in degrees."""
        ...

    @property
    def translation_mm(self) -> float:
        """Mean displacement in mm."""
        ...

    @property
    def applied(self) -> bool:
        """Whether the header's geometry was left."""
        ...

    @property
    def note(self) -> str:
        """What was done, in words."""
        ...


class Segmented(Protocol):
    """A segmented study, as `StudyResult` has it."""

    @property
    def study(self) -> Study:
        """What was segmented."""
        ...

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(K, R, C), 0 or 1."""
        ...

    @property
    def probability(self) -> NDArray[np.float32]:
        """(K, R, C), in [0, 1]."""
        ...

    @property
    def flair(self) -> NDArray[np.float32]:
        """(K, R, C), FLAIR's values."""
        ...

    @property
    def grid(self) -> Grid:
        """FLAIR's grid."""
        ...

    @property
    def volume_ml(self) -> float:
        """Volume of the mask, ml."""
        ...

    @property
    def registration(self) -> Mapping[Role, Registered]:
        """By role; a missing sequence has none."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to distrust the result."""
        ...

    @property
    def provenance(self) -> Provenance:
        """Model, digests, provider, threshold."""
        ...

    @property
    def seconds(self) -> Mapping[str, float]:
        """Time by part, s."""
        ...
