"""A DICOM SEG as planes in the patient.

Each frame is placed by its own position, so that left-out empty slices, any order of frames and frames that cover a
part of the image are taken as they are.

Source: DICOM PS3.3 C.8.20 (Segmentation), PS3.5 8.1.1 (bits of a pixel).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.problems import printable
from brainseg_runtime.studies.dicom.library import FAULTS, quiet, require_pydicom
from brainseg_train.importing.planes import MaskPlanes, Plane

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.66.4"
_PLAIN: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
_MOST_BYTES: Final = 1 << 28
_MOST_PIXELS: Final = 1 << 30
_HEAD_TAGS: Final = ["SOPClassUID", "StudyInstanceUID", "PatientID"]


def head_of(path: Path) -> Dataset | None:
    """SOP class, study and patient of a DICOM file; None if it cannot be read.

    Args:
        path: A file.

    Examples:
        >>> head_of(Path("not there.dcm")) is None
        True
    """
    require_pydicom()
    import pydicom

    try:
        with quiet():
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEAD_TAGS), force=True)
    except FAULTS:
        return None


def read_segmentation(path: Path, segments: tuple[int, ...] | None = None) -> MaskPlanes:
    """Read a SEG.

    Args:
        path: The file.
        segments: Numbers of the segments that are the abnormality; None: the only one.

    Raises:
        DataError: It is no binary SEG, is damaged or too large, or it does not say which of several segments to take.
        MissingExtraError: pydicom is not installed.

    Examples:
        >>> read_segmentation(Path("not there.dcm"))
        Traceback (most recent call last):
        ...
        brainseg_runtime.errors.DataError: not there.dcm cannot be read; expected a DICOM SEG; got FileNotFoundError
    """
    require_pydicom()
    import pydicom

    name = printable(path.name)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{name} is too large", expected=f"at most {_MOST_BYTES:,} bytes")
        with quiet():
            syntax = str(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)
            if syntax not in _PLAIN:
                raise DataError(
                    f"{name} is compressed", expected="a SEG in plain little endian", got=syntax,
                    remedy="decompress it, for example with dcmtk's dcmconv or gdcm's gdcmconv --raw",
                )  # fmt: skip
            return _planes(pydicom.dcmread(path), name, segments)
    except FAULTS as error:
        raise DataError(f"{name} cannot be read", expected="a DICOM SEG", got=type(error).__name__) from error


def _planes(seg: Dataset, name: str, wanted: tuple[int, ...] | None) -> MaskPlanes:
    """The frames of the segments wanted."""
    if seg.SOPClassUID != SOP_CLASS or seg.SegmentationType != "BINARY":
        kind = str(seg.get("SegmentationType", "no SEG"))
        raise DataError(f"{name} is not a binary segmentation", expected="a SEG of type BINARY", got=kind)
    numbers = _numbers(seg, name, wanted)
    bits = _bits(seg, name)
    shared = seg.SharedFunctionalGroupsSequence[0] if seg.get("SharedFunctionalGroupsSequence") else seg
    planes = []
    for own, marked in zip(seg.PerFrameFunctionalGroupsSequence, bits, strict=True):
        if int(_group(own, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber) in numbers:
            planes.append(_plane(own, shared, marked))
    series = {str(each.SeriesInstanceUID) for each in seg.get("ReferencedSeriesSequence", ())}
    return MaskPlanes(
        planes=planes,
        values=tuple(str(each.SegmentNumber) for each in seg.SegmentSequence),
        frame_of_reference=str(seg.get("FrameOfReferenceUID", "")),
        series=frozenset(series),
    )


def _numbers(seg: Dataset, name: str, wanted: tuple[int, ...] | None) -> set[int]:
    """Numbers of the segments to take."""
    there = {int(each.SegmentNumber): str(each.get("SegmentLabel", "")) for each in seg.SegmentSequence}
    listed = ", ".join(f"{number} ({printable(label)})" for number, label in list(there.items())[:20])
    if wanted is None and len(there) != 1:
        raise DataError(
            f"{name} has {len(there)} segments", expected="one, or a choice", got=listed,
            remedy="name those of the abnormality with --labels",
        )  # fmt: skip
    if wanted is not None and not set(wanted) & set(there):
        raise DataError(
            f"{name} has none of the segments asked for", expected=", ".join(map(str, wanted)), got=listed
        )  # fmt: skip
    return set(there if wanted is None else wanted)


def _bits(seg: Dataset, name: str) -> NDArray[np.bool_]:
    """(F, R, C) bool; pixels of all frames follow one another without a gap, the lowest bit first."""
    shape = (int(seg.NumberOfFrames), int(seg.Rows), int(seg.Columns))
    count = int(np.prod(shape, dtype=np.float64))
    data = seg.PixelData
    if min(shape) < 1 or count > _MOST_PIXELS or int(seg.BitsAllocated) != 1 or len(data) * 8 < count:
        raise DataError(
            f"{name} is damaged or too large", expected=f"one bit for each pixel, at most {_MOST_PIXELS:,}",
            got=f"{len(data):,} bytes for {shape[0]} frames of {shape[1]} × {shape[2]}",
        )  # fmt: skip
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little").reshape(shape).astype(bool)


def _plane(own: Dataset, shared: Dataset, marked: NDArray[np.bool_]) -> Plane:
    """A frame in its place."""
    measures = _group(own, shared, "PixelMeasuresSequence")
    down, across = (float(value) for value in measures.PixelSpacing)
    directions = np.array(_group(own, shared, "PlaneOrientationSequence").ImageOrientationPatient, np.float64)
    return Plane(
        marked=marked,
        origin=np.array(_group(own, shared, "PlanePositionSequence").ImagePositionPatient, np.float64),
        row_step=directions[3:] * down,
        column_step=directions[:3] * across,
    )


def _group(own: Dataset, shared: Dataset, keyword: str) -> Any:  # noqa: ANN401 - pydicom's elements have no types
    """A functional group, the frame's own or the one that all share."""
    return (own.get(keyword) or shared[keyword].value)[0]
