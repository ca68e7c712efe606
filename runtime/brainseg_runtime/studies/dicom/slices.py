"""A file's slices: where each lies, how its values are stored, and what could tell it from another at its place.

Legend: R rows, C columns.
Source: DICOM PS3.3 C.7.6.2 (Image Plane), C.7.6.3 (Image Pixel), C.11.1 (Modality LUT).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom.elements import number, numbers, text, texts, uid, whole, word
from brainseg_runtime.studies.dicom.files import NATIVE, Parsed, PixelElement, parse
from brainseg_runtime.studies.dicom.headers import TAGS as HEADER_TAGS
from brainseg_runtime.studies.dicom.headers import header, is_lossy, moment
from brainseg_runtime.studies.dicom.multiframe import frames
from brainseg_runtime.studies.dicom.placed import Placed, placed
from brainseg_runtime.studies.series import SeriesHeader

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SINGLE: Final = {
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.128": "Positron Emission Tomography Image Storage",
}
"""Objects of one slice."""

MULTI: Final = {
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
}
"""Objects whose slices are frames, each with its own place."""

_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_MOSAIC: Final = "MOSAIC"
"""What Siemens scanners write into ImageType of a picture that holds all slices of a volume side by side."""

_MOST_SIDE: Final = 4096
"""Largest number of rows and columns; scanners make up to 1024."""

_MOST_FRAMES: Final = 20_000

_TELLING: Final = {
    "EchoTime": 0x00180081, "EchoNumbers": 0x00180086, "InversionTime": 0x00180082, "TriggerTime": 0x00181060,
    "DiffusionBValue": 0x00189087, "TemporalPositionIdentifier": 0x00200100, "AcquisitionNumber": 0x00200012,
    "ImageType": 0x00080008, "AcquisitionTime": 0x00080032,
}  # fmt: skip
"""What can tell two slices at one place from each other, as messages name it."""

TAGS: Final = (
    *HEADER_TAGS, *_TELLING.values(), 0x00080016, 0x00080018, 0x00100020, 0x00102210, 0x00180050, 0x00180088,
    0x0020000D, 0x0020000E, 0x00200013, 0x00200032, 0x00200037, 0x00200052, 0x00201002, 0x00280002, 0x00280004,
    0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120,
    0x00280121, 0x00281052, 0x00281053, 0x00282110, 0x00283000, 0x00289145,
)  # fmt: skip
"""The elements that are read of a file."""


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How the values of a file's pixels are stored: the attributes of the Image Pixel module."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    padding: tuple[int, int] | None
    """Lowest and highest stored value that stands for no tissue."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceFile:
    """What is read of one file.

    Attributes:
        path: The file.
        label: Its name in messages.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        sop_class: SOPClassUID.
        sop_uid: SOPInstanceUID.
        patient: Digest of PatientID, to tell patients apart; "" if there is none.
        frame_of_reference: FrameOfReferenceUID.
        header: How it was acquired.
        moment: Day and second of the acquisition.
        instance_number: InstanceNumber.
        images_expected: ImagesInAcquisition.
        syntax: Transfer syntax.
        pixels: Where the pixels are; None with `fault`.
        format: How they are stored; None with `fault`.
        lossy: Whether they were compressed with loss.
        fault: Why it holds no slice that can be used.
    """

    path: Path
    label: str
    study_uid: str
    series_uid: str
    sop_class: str
    sop_uid: str
    patient: str
    frame_of_reference: str
    header: SeriesHeader
    moment: tuple[int | None, float] | None
    instance_number: int | None
    images_expected: int | None
    syntax: str
    pixels: PixelElement | None = None
    format: PixelFormat | None = None
    lossy: bool = False
    fault: StudyError | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """One slice.

    Attributes:
        file: Where it is stored.
        frame: Its number, from 1, in a multi-frame object; None otherwise.
        place: Where it lies in the patient.
        slope: A value is slope × stored + intercept.
        intercept: As above.
        telling: What could tell it from another slice at its place, by name.
    """

    file: SourceFile
    frame: int | None
    place: Placed
    slope: float
    intercept: float
    telling: Mapping[str, str]

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.file.label if self.frame is None else f"{self.file.label} frame {self.frame}"


def read_slices(path: Path, label: str) -> tuple[SourceFile, tuple[Slice, ...]]:
    """Read the slices of a file, without their pixels.

    Args:
        path: The file.
        label: Its name in messages.

    Returns:
        The file, and its slices in the order in which they are stored; none if the file has a fault.

    Raises:
        StudyError: It is damaged, or does not say which study and series it belongs to.
    """
    parsed = parse(path, label, TAGS)
    file = _source_file(parsed, path, label)
    if file.fault is not None:
        return file, ()
    try:
        return file, _slices(parsed.dataset, file)
    except StudyError as error:
        return _with_fault(parsed, path, label, error), ()


def _source_file(parsed: Parsed, path: Path, label: str) -> SourceFile:
    try:
        pixel_format = _pixel_format(parsed, label)
    except StudyError as error:
        return _with_fault(parsed, path, label, error)
    return _described(parsed, path, label, pixel_format, None)


def _with_fault(parsed: Parsed, path: Path, label: str, fault: StudyError) -> SourceFile:
    return _described(parsed, path, label, None, fault)


def _described(
    parsed: Parsed, path: Path, label: str, pixel_format: PixelFormat | None, fault: StudyError | None
) -> SourceFile:
    dataset = parsed.dataset
    uids = {name: uid(dataset, tag) for name, tag in _UIDS.items()}
    for name, value in uids.items():
        if not value:
            raise StudyError(f"{label} has no valid {name}", remedy="export the series again from its source")
    patient = text(dataset, 0x00100020)
    return SourceFile(
        path=path,
        label=label,
        study_uid=uids["StudyInstanceUID"],
        series_uid=uids["SeriesInstanceUID"],
        sop_class=uids["SOPClassUID"],
        sop_uid=uids["SOPInstanceUID"],
        patient=hashlib.sha256(patient.encode()).hexdigest() if patient else "",
        frame_of_reference=uid(dataset, 0x00200052),
        header=header(dataset),
        moment=moment(dataset),
        instance_number=whole(dataset, 0x00200013),
        images_expected=whole(dataset, 0x00201002),
        syntax=parsed.syntax,
        pixels=parsed.pixels,
        format=pixel_format,
        lossy=is_lossy(dataset),
        fault=fault,
    )


_UIDS: Final = {
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
}


def _pixel_format(parsed: Parsed, label: str) -> PixelFormat:
    """How a file's pixels are stored, checked.

    Raises:
        StudyError: It holds no image of the kinds that are read, or its pixels cannot be.
    """
    dataset = parsed.dataset
    sop_class = uid(dataset, 0x00080016)
    if sop_class == _DIRECTORY:
        raise StudyError(f"{label} is a directory of other files")
    if sop_class not in SINGLE and sop_class not in MULTI:
        raise StudyError(f"{label} is no MR image", got=_name(sop_class))
    if _MOSAIC in texts(dataset, 0x00080008):
        raise StudyError(
            f"{label} is a mosaic: many slices in one picture, without a place for each",
            expected="a picture for each slice, or an enhanced object",
            remedy="convert the series with dcm2niix, and give NIfTI",
        )
    if parsed.pixels is None:
        raise StudyError(f"{label} has no pixels", remedy="fetch it again: it may be cut off")
    if parsed.pixels.keyword != "PixelData" or text(dataset, 0x00102210) == "QUADRUPED" or 0x00283000 in dataset:
        raise StudyError(f"{label} holds values that are not read", expected="integers of a human's images, no table")
    found = _format_of(dataset)
    _check_format(found, whole(dataset, 0x00280002), label)
    expected = found.rows * found.columns * found.frames * found.bits_allocated // 8
    length = parsed.pixels.length
    if parsed.syntax in NATIVE and (length is None or length < expected or parsed.pixels.offset + length > parsed.size):
        stored = None if length is None else min(length, max(0, parsed.size - parsed.pixels.offset))
        raise StudyError(f"{label} is cut off within its pixels", expected=f"{expected:,} bytes", got=stored)
    return found


def _format_of(dataset: Dataset) -> PixelFormat:
    allocated = whole(dataset, 0x00280100) or 0
    stored = whole(dataset, 0x00280101) or allocated
    high = whole(dataset, 0x00280102)
    signed = whole(dataset, 0x00280103) == 1
    low, limit = (word(dataset, tag, signed=signed) for tag in (0x00280120, 0x00280121))
    ends = None if low is None else (low, low if limit is None else limit)
    return PixelFormat(
        rows=whole(dataset, 0x00280010) or 0,
        columns=whole(dataset, 0x00280011) or 0,
        frames=1 if 0x00280008 not in dataset else whole(dataset, 0x00280008) or 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high is None else high,
        signed=signed,
        photometric=text(dataset, 0x00280004),
        padding=None if ends is None else (min(ends), max(ends)),
    )


def _check_format(found: PixelFormat, samples: int | None, label: str) -> None:
    """Refuses pixels of other kinds, and sizes beyond the caps."""
    if samples not in {None, 1} or found.photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise StudyError(
            f"{label} is no grey image", expected="MONOCHROME2 or MONOCHROME1", got=found.photometric or "none"
        )
    if not (1 <= found.rows <= _MOST_SIDE and 1 <= found.columns <= _MOST_SIDE):
        raise StudyError(
            f"{label} has a wrong size", expected=f"1 to {_MOST_SIDE} pixels", got=f"{found.rows} × {found.columns}"
        )
    if not 1 <= found.frames <= _MOST_FRAMES:
        raise StudyError(f"{label} has a wrong number of frames", expected=f"1 to {_MOST_FRAMES:,}", got=found.frames)
    fits = found.bits_stored <= found.high_bit + 1 <= found.bits_allocated
    if found.bits_allocated not in {8, 16, 32} or found.bits_stored < 1 or not fits:
        got = f"{found.bits_stored} of {found.bits_allocated} bits, the highest {found.high_bit}"
        raise StudyError(f"{label} has pixels of a wrong depth", expected="8, 16 or 32 bits", got=got)


def _slices(dataset: Dataset, file: SourceFile) -> tuple[Slice, ...]:
    if file.sop_class in MULTI:
        count = 1 if file.format is None else file.format.frames
        return tuple(
            Slice(
                file=file,
                frame=frame.number,
                place=frame.place,
                slope=_slope(frame.slope, file.label),
                intercept=frame.intercept,
                telling=frame.telling,
            )
            for frame in frames(dataset, count, file.label)
        )
    if file.format is not None and file.format.frames > 1:
        raise StudyError(f"{file.label} holds several frames without a place for each", got=file.format.frames)
    slope, intercept = rescaling(dataset, file.label)
    telling = {name: "\\".join(texts(dataset, tag)) or _shown(dataset, tag) for name, tag in _TELLING.items()}
    one = Slice(
        file=file,
        frame=None,
        place=placed(dataset, dataset, dataset),
        slope=slope,
        intercept=intercept,
        telling={name: value for name, value in telling.items() if value},
    )
    return (one,)


def rescaling(dataset: Dataset, label: str) -> tuple[float, float]:
    """Slope and intercept of a dataset; 1 and 0 where it has none.

    Raises:
        StudyError: The slope is 0, or one of them is no number.
    """
    slope, intercept = number(dataset, 0x00281053), number(dataset, 0x00281052)
    for tag, value, name in ((0x00281053, slope, "RescaleSlope"), (0x00281052, intercept, "RescaleIntercept")):
        if value is None and text(dataset, tag):
            raise StudyError(f"{label} has a {name} that is not a number")
    return _slope(1.0 if slope is None else slope, label), 0.0 if intercept is None else intercept


def _slope(slope: float, label: str) -> float:
    if not 1e-12 < abs(slope) < 1e12:
        raise StudyError(f"{label} has a wrong RescaleSlope", expected="a number other than 0", got=slope)
    return slope


def _shown(dataset: Dataset, tag: int) -> str:
    return "\\".join(f"{value:g}" for value in numbers(dataset, tag))


def _name(sop_class: str) -> str:
    """The name of a SOP class, such as "Segmentation Storage"."""
    from pydicom.uid import UID

    return str(UID(sop_class).name) if sop_class else "no SOP class"
