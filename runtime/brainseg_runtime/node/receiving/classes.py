"""What is taken: the SOP classes and transfer syntaxes that the studies' reader knows."""

from __future__ import annotations

from typing import Final

from brainseg_runtime.studies.dicom.codestreams import LOSSY, SYNTAXES
from brainseg_runtime.studies.dicom.files import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT

MR: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"
LEGACY_ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.4"

IMAGE_CLASSES: Final = frozenset({MR, ENHANCED_MR, LEGACY_ENHANCED_MR})
"""SOP classes of images that may hold a series."""

TRANSFER_SYNTAXES: Final = (
    EXPLICIT,
    IMPLICIT,
    DEFLATED,
    *sorted(SYNTAXES - LOSSY),
    *sorted(LOSSY),
    BIG_ENDIAN,
)
"""Transfer syntaxes, the best first: of those that a peer offers for one context, the first of these is chosen."""
