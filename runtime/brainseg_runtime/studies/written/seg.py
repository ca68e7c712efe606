"""DICOM SEG: the mask as one binary segment, a frame for each slice of FLAIR.

Every slice gets a frame, empty ones too: readers then see FLAIR's whole grid and not only the slices with tumour, a
single slice with tumour keeps its spacing, and a study without any finding is written in the same way. A frame costs
one bit a voxel. What identifies the segment and the source stands in each frame's own functional groups, never in the
shared ones, since viewers look for it there.

Source: DICOM PS3.3 A.51 (Segmentation IOD), C.8.20.2 to C.8.20.4, C.7.6.16 (functional groups).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.plurals import counted
from brainseg_runtime.studies.series import Instance
from brainseg_runtime.studies.written.about import RESEARCH
from brainseg_runtime.studies.written.colours import cielab
from brainseg_runtime.studies.written.dicom_object import (
    Job,
    add_frame_of_reference,
    begin,
    code_item,
    ds,
    item,
    orientation,
    position,
    reference,
    referenced_series,
)
from brainseg_runtime.studies.written.settings import Code

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.66.4"
SEGMENT: Final = 1
"""Number of the one segment."""

BRAIN: Final = Code(value="12738006", scheme="SCT", meaning="Brain")
ARTIFICIAL_INTELLIGENCE: Final = Code(value="123109", scheme="DCM", meaning="Artificial Intelligence")
_SEGMENTATION: Final = Code(value="113076", scheme="DCM", meaning="Segmentation")
_SOURCE_IMAGE: Final = Code(value="121322", scheme="DCM", meaning="Source image for image processing operation")
_SEGMENT_NUMBER: Final = 0x0062000B
_SEGMENT_GROUP: Final = 0x0062000A
_POSITION: Final = 0x00200032
_POSITION_GROUP: Final = 0x00209113


def segmentation(job: Job, mask: NDArray[np.uint8]) -> Dataset:
    """A segmentation object.

    Args:
        job: What is written.
        mask: (K, R, C), 0 or 1, on FLAIR's grid.

    Returns:
        The dataset, without file meta information.
    """
    dataset = begin(job, kind="seg", sop_class=SOP_CLASS, modality="SEG", what="SEG")
    add_frame_of_reference(dataset, job)
    dataset.ContentLabel = "SEGMENTATION"
    counts = f"; {counted(len(job.warnings), 'warning')}" if job.warnings else ""
    dataset.ContentDescription = f"{job.about.model[:30]}; {RESEARCH}{counts}"
    dataset.ContentCreatorName = "brainseg^"
    _describe_pixels(dataset, job, mask)
    dataset.ReferencedSeriesSequence = [referenced_series(job.series)]
    dataset.SegmentSequence = [_segment(job)]
    organisation = job.uids.make("dimensions")
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    dataset.DimensionIndexSequence = [
        _dimension(organisation, _SEGMENT_NUMBER, _SEGMENT_GROUP, "Segment number"),
        _dimension(organisation, _POSITION, _POSITION_GROUP, "Position of the slice"),
    ]
    dataset.SharedFunctionalGroupsSequence = [_shared(job)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(job, k, each) for k, each in enumerate(job.series.instances)]
    dataset.NumberOfFrames = len(mask)
    return dataset


def _describe_pixels(dataset: Dataset, job: Job, mask: NDArray[np.uint8]) -> None:
    """Image Pixel and Segmentation Image modules, with the packed bits."""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = mask.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 1, 1, 0, 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "NO"
    dataset.BurnedInAnnotation = "NO"
    add_lossy(dataset, job)
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    dataset.add_new(0x7FE00010, "OB", packed + b"\0" * (len(packed) % 2))


def add_lossy(dataset: Dataset, job: Job) -> None:
    """Says whether the source had been compressed with loss, which what is made from it inherits."""
    dataset.LossyImageCompression = "00" if job.header.lossy is None else "01"
    if job.header.lossy is not None:
        dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = job.header.lossy


def _segment(job: Job) -> Dataset:
    """The one item of SegmentSequence."""
    return item(
        SegmentNumber=SEGMENT,
        SegmentLabel=job.segment.label,
        SegmentDescription=job.description,
        SegmentAlgorithmType="AUTOMATIC",
        SegmentAlgorithmName=job.about.model,
        SegmentationAlgorithmIdentificationSequence=[algorithm(job)],
        SegmentedPropertyCategoryCodeSequence=[code_item(job.segment.category)],
        SegmentedPropertyTypeCodeSequence=[code_item(job.segment.type)],
        AnatomicRegionSequence=[code_item(BRAIN)],
        RecommendedDisplayCIELabValue=list(cielab(job.segment.colour)),
        TrackingID=job.segment.label,
        TrackingUID=job.uids.make("tracking"),
    )


def algorithm(job: Job) -> Dataset:
    """An item that identifies the model (Algorithm Identification macro)."""
    return item(
        AlgorithmFamilyCodeSequence=[code_item(ARTIFICIAL_INTELLIGENCE)],
        AlgorithmName=job.about.name,
        AlgorithmVersion=job.about.version,
        AlgorithmParameters="; ".join(job.about.parameters),
    )


def _dimension(organisation: str, attribute: int, group: int, label: str) -> Dataset:
    """An item of DimensionIndexSequence."""
    return item(
        DimensionOrganizationUID=organisation,
        DimensionIndexPointer=attribute,
        FunctionalGroupPointer=group,
        DimensionDescriptionLabel=label,
    )


def _shared(job: Job) -> Dataset:
    """What all frames have in common: orientation and spacing."""
    slices, rows, columns = job.grid.spacing
    measures = item(PixelSpacing=[ds(rows), ds(columns)], SliceThickness=ds(slices), SpacingBetweenSlices=ds(slices))
    return item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=orientation(job.grid))],
        PixelMeasuresSequence=[measures],
    )


def _frame(job: Job, k: int, source: Instance) -> Dataset:
    """Functional groups of slice `k`."""
    image = reference(
        source, SpatialLocationsPreserved="YES", PurposeOfReferenceCodeSequence=[code_item(_SOURCE_IMAGE)]
    )
    derivation = item(DerivationCodeSequence=[code_item(_SEGMENTATION)], SourceImageSequence=[image])
    return item(
        FrameContentSequence=[item(DimensionIndexValues=[SEGMENT, k + 1])],
        PlanePositionSequence=[item(ImagePositionPatient=position(job.grid, k))],
        DerivationImageSequence=[derivation],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=SEGMENT)],
    )
