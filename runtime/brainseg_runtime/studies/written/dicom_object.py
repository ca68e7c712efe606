"""What all written DICOM objects share: patient, study, series, equipment, and the way to bytes.

Source: DICOM PS3.3 C.7.1 to C.7.5 and C.12.1 (modules); PS3.10 (files).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.series import Instance, Series
from brainseg_runtime.studies.written.about import MANUFACTURER, About, plain
from brainseg_runtime.studies.written.predecessor import SUPERSEDES, Predecessor
from brainseg_runtime.studies.written.settings import Code, SegmentSettings
from brainseg_runtime.studies.written.source_header import SourceHeader
from brainseg_runtime.studies.written.uids import IMPLEMENTATION, Uids
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.valuerep import DSfloat

KINDS: Final = ("seg", "sr", "sc", "rtstruct")
"""Kinds of DICOM objects, in the order of their series numbers."""

_LONGEST_NAME: Final = 64
"""Characters of VR LO."""
_LONGEST_TEXT: Final = 1024
"""Characters of VR ST."""
_FIRST_OWN_NUMBER: Final = 9900
_LARGEST_NUMBER: Final = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the writers of one study's DICOM objects have in common.

    Attributes:
        header: Patient and study of the source.
        series: FLAIR.
        grid: FLAIR's.
        about: The model.
        warnings: Reasons to distrust the result; every object states them.
        segment: Label and codes.
        uids: Maker of UIDs.
        now: Date and time of the objects: the source's if the bytes are not to depend on the time.
        stamped: Whether `now` is the time of writing.
        predecessor: The report of an earlier result that this one replaces; None if there is none.
    """

    header: SourceHeader
    series: Series
    grid: Grid
    about: About
    warnings: tuple[str, ...]
    segment: SegmentSettings
    uids: Uids
    now: datetime
    stamped: bool
    predecessor: Predecessor | None = None

    @property
    def frame_of_reference(self) -> str:
        """FLAIR's frame of reference; where the source has none, one of the study's own."""
        return self.header.frame_of_reference or self.uids.make("frame of reference")

    @property
    def warning_texts(self) -> list[str]:
        """Each warning as a text for DICOM."""
        return [plain(f"Warning: {warning}", _LONGEST_TEXT) for warning in self.warnings]

    @property
    def description(self) -> str:
        """The warnings, cut off where they are too long, then the model, its digests and the use; fits VR ST."""
        about = "; ".join(self.about.parameters)
        warned = "; ".join(self.warning_texts)
        room = _LONGEST_TEXT - len(about) - len("...; ")
        if len(warned) > room:
            warned = f"{warned[:room].rstrip()}..."
        return f"{warned}; {about}" if warned else about

    def uid(self, kind: str, number: int = 1) -> str:
        """SOPInstanceUID of a written object."""
        return self.uids.make("instance", kind, number)


def begin(job: Job, *, kind: str, sop_class: str, modality: str, what: str, number: int = 1) -> Dataset:
    """A dataset with the modules of patient, study, series, equipment and SOP.

    Args:
        job: What is written.
        kind: One of `KINDS`.
        sop_class: SOPClassUID.
        modality: Such as "SEG".
        what: The last word of SeriesDescription, after the segment's label.
        number: InstanceNumber.
    """
    from pydicom import Dataset

    dataset = Dataset()
    if job.header.charset:
        charset = job.header.charset
        dataset.SpecificCharacterSet = charset[0] if len(charset) == 1 else list(charset)
    for keyword, text in job.header.values.items():
        setattr(dataset, keyword, text)
    dataset.StudyInstanceUID = job.header.study_uid
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = job.uid(kind, number)
    dataset.InstanceNumber = number
    dataset.Modality = modality
    dataset.SeriesInstanceUID = job.uids.make("series", kind)
    dataset.SeriesNumber = _series_number(job.series.header.number, kind)
    dataset.SeriesDescription = _series_description(job, what)
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = job.about.model
    dataset.DeviceSerialNumber = job.about.digest
    dataset.SoftwareVersions = job.about.versions
    for attribute in ("Series", "Content"):
        setattr(dataset, f"{attribute}Date", job.now.strftime("%Y%m%d"))
        setattr(dataset, f"{attribute}Time", job.now.strftime("%H%M%S"))
    if job.stamped:
        dataset.InstanceCreationDate, dataset.InstanceCreationTime = dataset.ContentDate, dataset.ContentTime
    return dataset


def add_frame_of_reference(dataset: Dataset, job: Job) -> None:
    """The Frame of Reference module: FLAIR's own."""
    dataset.FrameOfReferenceUID = job.frame_of_reference
    dataset.PositionReferenceIndicator = job.header.position_reference


def encode(dataset: Dataset, *, implicit: bool = False) -> bytes:
    """The bytes of a DICOM file, little endian.

    Args:
        dataset: Without file meta information.
        implicit: Leave VRs out; then a list of decimal strings may be longer than 64 KiB.
    """
    import pydicom
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    syntax = pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = pydicom.uid.UID(IMPLEMENTATION)
    meta.ImplementationVersionName = f"BRAINSEG_{__version__}"[:16]
    dataset.file_meta = meta
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # UIDs of the source that break the standard are referred to as they are
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def item(**values: object) -> Dataset:
    """A dataset for a sequence, from keywords."""
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code_item(code: Code) -> Dataset:
    """A coded term, as an item of a code sequence."""
    return item(CodeValue=code.value, CodingSchemeDesignator=code.scheme, CodeMeaning=code.meaning)


def ds(value: float) -> DSfloat:
    """A decimal string of at most 16 characters; never "-0.0"."""
    from pydicom.valuerep import DSfloat

    return DSfloat(float(value) + 0.0, auto_format=True)


def orientation(grid: Grid) -> list[DSfloat]:
    """ImageOrientationPatient: direction along a row (growing column), then along a column (growing row)."""
    return [ds(each) for each in (*grid.directions[2], *grid.directions[1])]


def position(grid: Grid, k: int) -> list[DSfloat]:
    """ImagePositionPatient of slice `k`."""
    return [ds(each) for each in grid.positions([k, 0, 0])]


def reference(instance: Instance, **more: object) -> Dataset:
    """A reference to a source image, with its frame for a multi-frame object."""
    made = item(ReferencedSOPClassUID=instance.sop_class, ReferencedSOPInstanceUID=instance.sop_uid)
    if instance.frame is not None:
        made.ReferencedFrameNumber = instance.frame
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def distinct(instances: Sequence[Instance]) -> list[Instance]:
    """The objects that instances lie in, each once, without frames."""
    objects = {each.sop_uid: each for each in reversed(instances)}
    return [Instance(path=each.path, sop_class=each.sop_class, sop_uid=uid) for uid, each in reversed(objects.items())]


def referenced_series(series: Series) -> Dataset:
    """An item of ReferencedSeriesSequence that lists a source series' objects."""
    instances = [reference(each) for each in distinct(series.instances)]
    return item(SeriesInstanceUID=series.uid, ReferencedInstanceSequence=instances)


def _series_description(job: Job, what: str) -> str:
    """Label, kind and marks that lists of series show: of a warning, and of a result that replaces an earlier one."""
    end = f" {what}{' - WARNING' if job.warnings else ''}{'' if job.predecessor is None else SUPERSEDES}"
    return job.segment.label[: _LONGEST_NAME - len(end)] + end


def _series_number(of_source: int | None, kind: str) -> int:
    """A number behind the source's, such as 301 for 3 and the first kind; above 9900 if that cannot be."""
    place = KINDS.index(kind) + 1
    number = 0 if of_source is None else of_source * 100
    return number + place if 0 < number <= _LARGEST_NUMBER - 100 else _FIRST_OWN_NUMBER + place
