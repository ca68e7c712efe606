"""Patient and study modules of the source, repaired where a value breaks the standard, with a note of each repair.

Only the attributes listed here are copied: what identifies the patient and the study, so that a PACS files the new
objects beside the images. Private attributes, institutions, operators and comments are not.

Values are taken from the stored bytes by the VR of the data dictionary, not by what the file says, since scanners and
anonymisers write NULs, wrong VRs, and texts in character sets that they do not declare.

Source: DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.2.2 (Patient Study); PS3.5 6.2 (VRs).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import DataError
from brainseg_runtime.problems import printable
from brainseg_runtime.studies.series import Series

if TYPE_CHECKING:
    from pydicom import Dataset

_REQUIRED: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
"""Type 2: present in every object, empty if the source has no value."""

_OPTIONAL: Final = (
    "IssuerOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod",
    "PatientAge", "PatientSize", "PatientWeight", "StudyDescription",
)  # fmt: skip

_LONGEST: Final[Mapping[str, int]] = {"LO": 64, "SH": 16, "CS": 16, "DS": 16}
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "DA": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"),
    "AS": re.compile(r"\d{3}[DWMY]"),
    "DS": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
}
_SEXES: Final[Mapping[str, str]] = {"M": "M", "F": "F", "O": "O", "MALE": "M", "FEMALE": "F", "OTHER": "O"}
_UID: Final = re.compile(r"[0-9.]{1,64}")
_NAME_GROUP: Final = 64


@dataclass(frozen=True, kw_only=True)
class SourceHeader:
    """What the new objects take over.

    Attributes:
        values: Text by keyword, repaired; those of the required ones that are missing are "".
        charset: SpecificCharacterSet for the values; () for plain ASCII.
        study_uid: StudyInstanceUID.
        frame_of_reference: FrameOfReferenceUID; "" if the source has none.
        position_reference: PositionReferenceIndicator.
        burned_in: Whether the source states that its pixels show who the patient is.
        lossy: LossyImageCompression, its ratios and its methods, for pictures and masks made from it; else None.
        date: Date of acquisition, YYYYMMDD, or "".
        time: Its time, HHMMSS, or "".
        notes: Each repair, without the value.
    """

    values: Mapping[str, str]
    charset: tuple[str, ...]
    study_uid: str
    frame_of_reference: str
    position_reference: str
    burned_in: bool
    lossy: tuple[str, str] | None
    date: str
    time: str
    notes: tuple[str, ...]


def source_header(series: Series, study_uid: str) -> SourceHeader:
    """Reads the modules of a series' first object.

    Args:
        series: FLAIR.
        study_uid: StudyInstanceUID as the study was read.

    Raises:
        DataError: The file is gone or is no DICOM any more.
    """
    dataset = _read(series.instances[0].path)
    notes: list[str] = []
    source = _Values(dataset, notes)
    values = {keyword: source.text(keyword) for keyword in _REQUIRED}
    values |= {keyword: text for keyword in _OPTIONAL if (text := source.text(keyword))}
    if values.get("PatientIdentityRemoved") == "YES":
        values.setdefault("DeidentificationMethod", "Not stated in the source")
    date, time = _when(source)
    position_reference = source.text("PositionReferenceIndicator")
    values, charset = _encodable(values, source.charset, notes)
    return SourceHeader(
        values=values,
        charset=charset,
        study_uid=study_uid,
        frame_of_reference=series.frame_of_reference if _UID.fullmatch(series.frame_of_reference) else "",
        position_reference=position_reference if position_reference.isascii() else "",
        burned_in=source.quiet("BurnedInAnnotation").upper() == "YES",
        lossy=_lossy(source),
        date=date,
        time=time,
        notes=tuple(notes),
    )


def _read(path: Path) -> Dataset:
    """The dataset up to its pixels."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each value that is used is checked below
            return pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except (OSError, InvalidDicomError, ValueError, KeyError, AttributeError, NotImplementedError, TypeError) as error:
        raise DataError(
            f"{printable(path.name)} cannot be read again for the patient and study attributes of what is written",
            expected="the DICOM file that the study was read from",
            got=type(error).__name__,
            remedy="keep the study's files in place until its results are written",
        ) from error


class _Values:
    """Text values of a dataset by keyword, repaired."""

    def __init__(self, dataset: Dataset, notes: list[str]) -> None:
        self._dataset = dataset
        self._notes = notes
        self.charset = self._declared()

    def text(self, keyword: str) -> str:
        """A value that its VR allows; a note says what was repaired."""
        from pydicom.datadict import dictionary_VR, tag_for_keyword

        tag = tag_for_keyword(keyword)
        vr = "" if tag is None else dictionary_VR(tag)
        raw = self._bytes(keyword)
        decoded = self._decoded(raw, vr, keyword)
        text, repairs = _cleaned(decoded, keyword, vr)
        for repair in repairs:
            self._notes.append(f"{keyword} of the source {repair}")
        return text

    def quiet(self, keyword: str) -> str:
        """A value as it stands, for what is only compared."""
        return self._bytes(keyword).decode("ascii", "ignore").strip(" \0")

    def _bytes(self, keyword: str) -> bytes:
        """The value as stored."""
        if keyword not in self._dataset:
            return b""
        value = self._dataset.get_item(keyword).value
        if isinstance(value, bytes):
            return value
        if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
            return "\\".join(map(str, value)).encode("utf-8", "replace")
        return b"" if value is None else str(value).encode("utf-8", "replace")

    def _decoded(self, raw: bytes, vr: str, keyword: str) -> str:
        """Text in the declared character set, else in UTF-8, else with a question mark for each foreign byte."""
        from pydicom.charset import convert_encodings, decode_bytes

        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        delimiters = {0x0D, 0x0A, 0x09, 0x0C} | ({0x5E, 0x3D} if vr == "PN" else {0x5C})
        if self.charset:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    decoded: str = decode_bytes(raw, convert_encodings(list(self.charset)), delimiters)
                    return decoded
            except (UnicodeError, LookupError, ValueError, UserWarning):
                pass  # falls through to the note
        self._notes.append(f"{keyword} of the source is not in the character set that the source declares")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("ascii", "replace").replace("\ufffd", "?")

    def _declared(self) -> tuple[str, ...]:
        """SpecificCharacterSet, or () if it is missing or unknown."""
        from pydicom.charset import convert_encodings

        terms = tuple(term.strip(" \0") for term in self.quiet("SpecificCharacterSet").split("\\"))
        if not any(terms):
            return ()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                convert_encodings(list(terms))
        except (UserWarning, LookupError, ValueError, AttributeError):
            self._notes.append("SpecificCharacterSet of the source is unknown")
            return ()
        return terms


def _cleaned(text: str, keyword: str, vr: str) -> tuple[str, list[str]]:
    """A text that the VR allows, and what was repaired."""
    repairs = []
    kept = "".join(letter for letter in text.split("\0", maxsplit=1)[0] if letter.isprintable())
    if kept.strip() != text.strip(" \0"):
        repairs.append("holds NULs or control characters; they are left out")
    kept = kept.strip()
    if keyword == "PatientSex":
        cleaned = _SEXES.get(kept.upper(), "")
    elif vr in _PATTERNS:
        cleaned = kept if _PATTERNS[vr].fullmatch(kept) and len(kept) <= 16 else _repaired_date(kept, vr)
    elif vr == "PN":
        cleaned = _name(kept)
    elif vr == "CS":
        cleaned = kept.upper() if re.fullmatch(r"[A-Z0-9_ ]{1,16}", kept.upper()) else ""
    else:
        cleaned = _single(kept)[: _LONGEST.get(vr, 64)].strip()
    if cleaned != kept:
        repairs.append(
            "breaks the standard; it is shortened or corrected" if cleaned else "is not valid; it is left empty"
        )
    return cleaned, repairs


def _repaired_date(text: str, vr: str) -> str:
    """A date of ACR-NEMA's form (YYYY.MM.DD), in today's; else ""."""
    digits = text.replace(".", "").replace("-", "")
    return digits if vr == "DA" and _PATTERNS["DA"].fullmatch(digits) else ""


def _name(text: str) -> str:
    """A person's name: at most three groups of at most five components and 64 characters each."""
    groups = _single(text).split("=")[:3]
    return "=".join("^".join(group.split("^")[:5])[:_NAME_GROUP].rstrip() for group in groups).rstrip("=")


def _single(text: str) -> str:
    """The first of several values."""
    return text.split("\\", 1)[0].strip()


def _encodable(
    values: dict[str, str], declared: Sequence[str], notes: list[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The character set that the values are written in: none for ASCII, the source's, or UTF-8 where that fails."""
    if all(text.isascii() for text in values.values()):
        return values, ()
    if declared and _round_trips(values, declared):
        return values, tuple(declared)
    notes.append("texts of the source are written in UTF-8 (ISO_IR 192)")
    return values, ("ISO_IR 192",)


def _round_trips(values: Mapping[str, str], charset: Sequence[str]) -> bool:
    """Whether pydicom writes the values in a character set and reads the same values again."""
    import io

    import pydicom
    from pydicom import Dataset
    from pydicom.filewriter import write_dataset

    dataset = Dataset()
    dataset.SpecificCharacterSet = list(charset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for keyword, text in values.items():
                setattr(dataset, keyword, text)
            buffer = pydicom.filebase.DicomBytesIO()
            buffer.is_little_endian, buffer.is_implicit_VR = True, False
            write_dataset(buffer, dataset)
            again = pydicom.filereader.read_dataset(
                io.BytesIO(buffer.getvalue()), is_implicit_VR=False, is_little_endian=True
            )
            again.decode()
            return all(str(again.get(keyword, "")) == text for keyword, text in values.items())
    except (UnicodeError, LookupError, ValueError, TypeError, UserWarning):
        return False


def _when(source: _Values) -> tuple[str, str]:
    """Date and time of acquisition, else of the series or the study."""
    for kind in ("Acquisition", "Series", "Study"):
        date = source.quiet(f"{kind}Date")
        if _PATTERNS["DA"].fullmatch(date):
            time = source.quiet(f"{kind}Time")
            return date, time.split(".")[0] if _PATTERNS["TM"].fullmatch(time) else ""
    return "", ""


def _lossy(source: _Values) -> tuple[str, str] | None:
    """Ratio and method of lossy compression that the source went through."""
    if source.quiet("LossyImageCompression") != "01":
        return None
    ratio = source.quiet("LossyImageCompressionRatio").split("\\")[0]
    method = source.quiet("LossyImageCompressionMethod").split("\\")[0]
    return ratio if _PATTERNS["DS"].fullmatch(ratio) else "1", method or "ISO_10918_1"
