"""Takes what identifies a patient out of warnings and errors, which quote headers, before anything keeps or shows them.

What is removed: UIDs; the values of the identifying attributes of every image of the study, whole and by their parts;
dates of eight digits; paths.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Final

REMOVED: Final = "[removed]"

_IDENTIFYING: Final = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "IssuerOfPatientID",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "DeviceSerialNumber",
)
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3,}|(?=[0-9.]{16})[0-9]+(?:\.[0-9]+){2,}")
"""Four numbers or more between dots; or, as UIDs made of a UUID are ("2.25." and a number), fewer and long ones."""
_DATE: Final = re.compile(r"\b(?:18|19|20)[0-9]{2}[-/.]?[01][0-9][-/.]?[0-3][0-9]\b")
_PATH: Final = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][^\s\\/:;,]+){2,}")
_LEAST: Final = 3
"""Shorter parts of a name or an identifier are left: they would take words and numbers apart, and tell nobody."""

_LONGEST: Final = 2000
"""Characters of a text that are kept."""


class Scrubber:
    """Removes what identifies the patient of one study.

    Args:
        secrets: Names, identifiers and dates as the headers have them.

    Examples:
        >>> Scrubber(["Doe^Jane"]).text("AX FLAIR jane doe 1.2.840.10008.1.2 of 19700131")
        'AX FLAIR [removed] [removed] [removed] of [removed]'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in (secret.strip(), *re.split(r"[\^=\s,;\\]+", secret.strip()))}
        known = sorted((re.escape(part) for part in parts if len(part) >= _LEAST), key=len, reverse=True)
        self._known = re.compile("|".join(known), re.IGNORECASE) if known else None

    @classmethod
    def of(cls, folder: Path) -> Scrubber:
        """One that knows every image in a folder.

        Args:
            folder: Of DICOM files; what is none, or cannot be read, is passed over.
        """
        return cls({secret for path in sorted(folder.rglob("*")) if path.is_file() for secret in _secrets(path)})

    def text(self, text: str) -> str:
        """A text without what identifies, cut to 2000 characters."""
        text = _PATH.sub(REMOVED, _UID.sub(REMOVED, text[: 2 * _LONGEST]))
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        text = _DATE.sub(REMOVED, text)
        return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST]


def _secrets(path: Path) -> set[str]:
    """The identifying values of one file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, specific_tags=list(_IDENTIFYING), stop_before_pixels=True)
            values = [header.get(keyword) for keyword in _IDENTIFYING]
    except (InvalidDicomError, OSError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError, EOFError):
        return set()  # such a file is not read by the study's reader either, so nothing quotes it
    found: set[str] = set()
    for value in values:
        each = value if isinstance(value, list | tuple) or hasattr(value, "__iter__") else [value]
        found |= {str(value), *map(str, each)} if value else set()
    return found
