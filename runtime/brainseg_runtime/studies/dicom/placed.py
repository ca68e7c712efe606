"""Where one slice lies, as its header says, before anything is checked.

Source: DICOM PS3.3 C.7.6.2.1.1 (image position and orientation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainseg_runtime.studies.dicom.elements import number, numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Placed:
    """The place of a slice; None for what its header does not say.

    Attributes:
        position: Centre of its first pixel, LPS mm.
        orientation: Directions in which columns and rows grow, three numbers each.
        spacing: Distance in mm between the centres of neighbouring rows, columns.
        thickness: SliceThickness, mm.
        between: SpacingBetweenSlices, mm.
    """

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    between: float | None


def placed(position: Dataset | None, orientation: Dataset | None, measures: Dataset | None) -> Placed:
    """The place of a slice.

    Args:
        position: Holds ImagePositionPatient.
        orientation: Holds ImageOrientationPatient.
        measures: Holds PixelSpacing, SliceThickness and SpacingBetweenSlices.
    """
    return Placed(
        position=_several(position, 0x00200032, 3),
        orientation=_several(orientation, 0x00200037, 6),
        spacing=_several(measures, 0x00280030, 2),
        thickness=None if measures is None else number(measures, 0x00180050),
        between=None if measures is None else number(measures, 0x00180088),
    )


def _several(dataset: Dataset | None, tag: int, count: int) -> tuple[float, ...] | None:
    """Exactly so many numbers; None otherwise."""
    found = () if dataset is None else numbers(dataset, tag)
    return found if len(found) == count else None
