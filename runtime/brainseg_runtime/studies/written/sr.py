"""DICOM SR after TID 1500: volume and longest axis of the finding, tied to the SEG and to the images.

Source: DICOM PS3.16 TID 1500 (Measurement Report), TID 1411 (Volumetric ROI Measurements), TID 1600 (Image Library),
TID 4019 (Algorithm Identification), TID 1001 and 1004 (observation context, device observer); PS3.3 A.35.2 (Enhanced
SR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brainseg_runtime.studies.series import Series
from brainseg_runtime.studies.written.about import MANUFACTURER, RESEARCH
from brainseg_runtime.studies.written.contours import LongAxis
from brainseg_runtime.studies.written.dicom_object import (
    Job,
    begin,
    code_item,
    distinct,
    ds,
    item,
    reference,
)
from brainseg_runtime.studies.written.predecessor import Predecessor
from brainseg_runtime.studies.written.seg import BRAIN, SEGMENT
from brainseg_runtime.studies.written.seg import SOP_CLASS as SEG_CLASS
from brainseg_runtime.studies.written.settings import Code
from brainseg_runtime.studies.written.uids import derived

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.88.22"
_MM: Final = Code(value="mm", scheme="UCUM", meaning="millimeter")
_ML: Final = Code(value="mL", scheme="UCUM", meaning="milliliter")
VOLUME: Final = Code(value="118565006", scheme="SCT", meaning="Volume")
LONG_AXIS: Final = Code(value="103339001", scheme="SCT", meaning="Long Axis")
_FINDING_CATEGORY: Final = Code(value="276214006", scheme="SCT", meaning="Finding category")
_FINDING_SITE: Final = Code(value="363698007", scheme="SCT", meaning="Finding Site")
_ENGLISH: Final = Code(value="en-US", scheme="RFC5646", meaning="English (United States)")
_MR_BRAIN: Final = Code(value="24590-2", scheme="LN", meaning="MR Brain")
_DECIMALS: Final = 3
"""Of ml and mm: a microlitre and a micrometre."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the report states.

    Attributes:
        volume_ml: Volume in ml.
        axis: Longest axis; None for an empty finding, whose report states the volume 0 alone.
    """

    volume_ml: float
    axis: LongAxis | None


def report(job: Job, measured: Measured, others: Sequence[Series]) -> Dataset:
    """A measurement report.

    Args:
        job: What is written.
        measured: What it states.
        others: The T1 series used, which are listed as evidence beside FLAIR.

    Returns:
        The dataset, without file meta information.
    """
    dataset = begin(job, kind="sr", sop_class=SOP_CLASS, modality="SR", what="report")
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    if job.predecessor is not None:
        dataset.PredecessorDocumentsSequence = [_predecessor(job.predecessor, job.header.study_uid)]
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(job, others)]
    root = _container(_dcm("126000", "Imaging Measurement Report"))
    dataset.ValueType = root.ValueType
    dataset.ConceptNameCodeSequence = root.ConceptNameCodeSequence
    dataset.ContinuityOfContent = root.ContinuityOfContent
    dataset.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier="1500")]
    dataset.ContentSequence = [
        _code("HAS CONCEPT MOD", _dcm("121049", "Language of Content Item and Descendants"), _ENGLISH),
        *_observer(job),
        _code("HAS CONCEPT MOD", _dcm("121058", "Procedure reported"), _MR_BRAIN),
        _library(job, others),
        _measurements(job, measured),
    ]
    return dataset


def _predecessor(earlier: Predecessor, study_uid: str) -> Dataset:
    """The report that this one replaces."""
    document = item(ReferencedSOPClassUID=earlier.sop_class, ReferencedSOPInstanceUID=earlier.sop_uid)
    series = item(SeriesInstanceUID=earlier.series_uid, ReferencedSOPSequence=[document])
    return item(StudyInstanceUID=study_uid, ReferencedSeriesSequence=[series])


def _evidence(job: Job, others: Sequence[Series]) -> Dataset:
    """Every object that the report refers to: the SEG and the images."""
    seg = item(ReferencedSOPClassUID=SEG_CLASS, ReferencedSOPInstanceUID=job.uid("seg"))
    listed = [item(SeriesInstanceUID=job.uids.make("series", "seg"), ReferencedSOPSequence=[seg])]
    for series in (job.series, *others):
        images = [reference(each) for each in distinct(series.instances)]
        listed.append(item(SeriesInstanceUID=series.uid, ReferencedSOPSequence=images))
    return item(StudyInstanceUID=job.header.study_uid, ReferencedSeriesSequence=listed)


def _observer(job: Job) -> list[Dataset]:
    """The device that observed: this package with its model."""
    return [
        _code("HAS OBS CONTEXT", _dcm("121005", "Observer Type"), _dcm("121007", "Device")),
        _uid("HAS OBS CONTEXT", _dcm("121012", "Device Observer UID"), derived("device", job.about.digest)),
        _text("HAS OBS CONTEXT", _dcm("121013", "Device Observer Name"), f"{job.about.model}; {RESEARCH}"),
        _text("HAS OBS CONTEXT", _dcm("121014", "Device Observer Manufacturer"), MANUFACTURER),
        _text("HAS OBS CONTEXT", _dcm("121015", "Device Observer Model Name"), job.about.model),
        _text("HAS OBS CONTEXT", _dcm("121016", "Device Observer Serial Number"), job.about.digest),
    ]


def _library(job: Job, others: Sequence[Series]) -> Dataset:
    """The images, a group for each series."""
    groups = []
    for series in (job.series, *others):
        modality = _code("HAS ACQ CONTEXT", _dcm("121139", "Modality"), _dcm("MR", "Magnetic Resonance"))
        images = [_image("CONTAINS", None, reference(each)) for each in distinct(series.instances)]
        groups.append(_container(_dcm("126200", "Image Library Group"), [modality, *images], relationship="CONTAINS"))
    return _container(_dcm("111028", "Image Library"), groups, relationship="CONTAINS")


def _measurements(job: Job, measured: Measured) -> Dataset:
    """The container of the one measurement group."""
    segment = item(
        ReferencedSOPClassUID=SEG_CLASS, ReferencedSOPInstanceUID=job.uid("seg"), ReferencedSegmentNumber=SEGMENT
    )
    content = [
        _text("HAS OBS CONTEXT", _dcm("112039", "Tracking Identifier"), job.segment.label),
        _uid("HAS OBS CONTEXT", _dcm("112040", "Tracking Unique Identifier"), job.uids.make("tracking")),
        _code("CONTAINS", _FINDING_CATEGORY, job.segment.category),
        _code("CONTAINS", _dcm("121071", "Finding"), job.segment.type),
        _image("CONTAINS", _dcm("121191", "Referenced Segment"), segment),
        _uid("CONTAINS", _dcm("121232", "Source series for segmentation"), job.series.uid),
        _code("HAS CONCEPT MOD", _FINDING_SITE, BRAIN),
        _text("HAS CONCEPT MOD", _dcm("111001", "Algorithm Name"), job.about.name),
        _text("HAS CONCEPT MOD", _dcm("111003", "Algorithm Version"), job.about.version),
        *[_text("HAS CONCEPT MOD", _dcm("111002", "Algorithm Parameters"), text) for text in job.about.parameters],
        _number(VOLUME, measured.volume_ml, _ML),
    ]
    if measured.axis is not None:
        content.append(_number(LONG_AXIS, measured.axis.mm, _MM))
    content += [_text("CONTAINS", _dcm("121106", "Comment"), text) for text in job.warning_texts]
    group = _container(_dcm("125007", "Measurement Group"), content, relationship="CONTAINS")
    group.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier="1411")]
    return _container(_dcm("126010", "Imaging Measurements"), [group], relationship="CONTAINS")


def _dcm(value: str, meaning: str) -> Code:
    """A code of DICOM's own."""
    return Code(value=value, scheme="DCM", meaning=meaning)


def _content(value_type: str, name: Code | None, relationship: str | None, **values: object) -> Dataset:
    """A content item."""
    made = item(ValueType=value_type, **values)
    if relationship is not None:
        made.RelationshipType = relationship
    if name is not None:
        made.ConceptNameCodeSequence = [code_item(name)]
    return made


def _container(name: Code, content: Sequence[Dataset] = (), *, relationship: str | None = None) -> Dataset:
    """A CONTAINER item."""
    made = _content("CONTAINER", name, relationship, ContinuityOfContent="SEPARATE")
    if content:
        made.ContentSequence = list(content)
    return made


def _text(relationship: str, name: Code, text: str) -> Dataset:
    """A TEXT item."""
    return _content("TEXT", name, relationship, TextValue=text)


def _code(relationship: str, name: Code, value: Code) -> Dataset:
    """A CODE item."""
    return _content("CODE", name, relationship, ConceptCodeSequence=[code_item(value)])


def _uid(relationship: str, name: Code, value: str) -> Dataset:
    """A UIDREF item."""
    return _content("UIDREF", name, relationship, UID=value)


def _image(relationship: str, name: Code | None, referenced: Dataset) -> Dataset:
    """An IMAGE item."""
    return _content("IMAGE", name, relationship, ReferencedSOPSequence=[referenced])


def _number(name: Code, value: float, unit: Code) -> Dataset:
    """A NUM item."""
    measured = item(NumericValue=ds(round(value, _DECIMALS)), MeasurementUnitsCodeSequence=[code_item(unit)])
    return _content("NUM", name, "CONTAINS", MeasuredValueSequence=[measured])
