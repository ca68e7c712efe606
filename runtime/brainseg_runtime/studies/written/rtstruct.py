"""DICOM RT Structure Set: the outlines in patient coordinates, for treatment planning systems.

A contour runs along the edges of voxels in the plane of its slice. RT structure sets know no holes: each hole is joined
to the outline around it by a cut of no width, which every way of filling a polygon leaves as a hole.

Source: DICOM PS3.3 A.19 (RT Structure Set IOD), C.8.8.5 and C.8.8.6 (Structure Set, ROI Contour).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.written.about import RESEARCH
from brainseg_runtime.studies.written.contours import Corners, regions
from brainseg_runtime.studies.written.dicom_object import (
    Job,
    add_frame_of_reference,
    begin,
    code_item,
    distinct,
    item,
    reference,
)

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY_CLASS: Final = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, which the standard still asks for here."""

_DECIMALS: Final = 4
"""Of positions in mm: a ten-thousandth is far below any voxel."""


def structure_set(job: Job, mask: NDArray[np.uint8]) -> Dataset:
    """An RT structure set.

    Args:
        job: What is written.
        mask: (K, R, C), 0 or 1, on FLAIR's grid.

    Returns:
        The dataset, without file meta information; an empty mask gives a region without contours.
    """
    dataset = begin(job, kind="rtstruct", sop_class=SOP_CLASS, modality="RTSTRUCT", what="RTSTRUCT")
    add_frame_of_reference(dataset, job)
    del dataset.ContentDate, dataset.ContentTime
    dataset.StructureSetLabel = "BRAINSEG"
    dataset.StructureSetName = job.segment.label
    dataset.StructureSetDescription = job.description
    dataset.StructureSetDate, dataset.StructureSetTime = dataset.SeriesDate, dataset.SeriesTime
    dataset.OperatorsName = ""
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(job)]
    dataset.StructureSetROISequence = [_region(job)]
    contours = _contours(job, mask)
    roi = item(ReferencedROINumber=1, ROIDisplayColor=list(job.segment.colour))
    if contours:
        roi.ContourSequence = contours
    dataset.ROIContourSequence = [roi]
    dataset.RTROIObservationsSequence = [_observation(job)]
    return dataset


def _frame_of_reference(job: Job) -> Dataset:
    """The frame of reference, and the images in it."""
    images = [reference(each) for each in distinct(job.series.instances)]
    series = item(SeriesInstanceUID=job.series.uid, ContourImageSequence=images)
    study = item(
        ReferencedSOPClassUID=_STUDY_CLASS,
        ReferencedSOPInstanceUID=job.header.study_uid,
        RTReferencedSeriesSequence=[series],
    )
    return item(FrameOfReferenceUID=job.frame_of_reference, RTReferencedStudySequence=[study])


def _region(job: Job) -> Dataset:
    """The one region."""
    return item(
        ROINumber=1,
        ReferencedFrameOfReferenceUID=job.frame_of_reference,
        ROIName=job.segment.label,
        ROIDescription=f"{job.about.model}; {RESEARCH}"[:64],
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=f"{job.about.model}; {RESEARCH}"[:64],
    )


def _observation(job: Job) -> Dataset:
    """What the region is."""
    return item(
        ObservationNumber=1,
        ReferencedROINumber=1,
        ROIObservationLabel=job.segment.label[:16].strip(),
        RTROIIdentificationCodeSequence=[code_item(job.segment.type)],
        RTROIInterpretedType="",
        ROIInterpreter="",
    )


def _contours(job: Job, mask: NDArray[np.uint8]) -> list[Dataset]:
    """Contours from the first slice to the last."""
    found: list[Dataset] = []
    for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist():
        for region in regions(mask[k]):
            points = _positions(job, k, region.keyhole())
            found.append(
                item(
                    ContourImageSequence=[reference(job.series.instances[k])],
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(points),
                    ContourNumber=len(found) + 1,
                    ContourData=points.ravel().tolist(),
                )
            )
    return found


def _positions(job: Job, k: int, corners: Corners) -> NDArray[np.float64]:
    """(V, 3) LPS mm of corners in slice `k`."""
    indices = np.column_stack([np.full(len(corners), k, np.float64), corners - 0.5])
    return np.asarray(np.round(job.grid.positions(indices), _DECIMALS) + 0.0, np.float64)
