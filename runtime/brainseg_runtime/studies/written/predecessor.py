"""The report that a new one replaces: what the DICOM objects of a study that was segmented again say of the first ones.

Source: DICOM PS3.3 C.17.2 (Predecessor Documents Sequence of the SR Document General module).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SUPERSEDES: Final = " - supersedes earlier"
"""The end of the series' descriptions, for lists in which both stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predecessor:
    """An earlier report of the same study.

    Attributes:
        sop_class: SOPClassUID.
        sop_uid: SOPInstanceUID.
        series_uid: SeriesInstanceUID.
    """

    sop_class: str
    sop_uid: str
    series_uid: str
