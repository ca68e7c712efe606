"""DICOM secondary captures: the slices with the outline as colour pictures, for a PACS that cannot show a SEG.

The first picture is the overview; each slice with a finding follows as one of its own. Every picture shows the
warnings above the slice, and below it the model and that it is for research use; nothing says who the patient is.

Source: DICOM PS3.3 A.8.1 (Secondary Capture Image IOD), C.8.6 (SC modules), 10.7.1.3 (spacing calibration).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.series import Instance
from brainseg_runtime.studies.written.about import RESEARCH
from brainseg_runtime.studies.written.dicom_object import Job, begin, code_item, distinct, ds, reference
from brainseg_runtime.studies.written.pictures import WHITE, Picture, View, draw, with_text, with_warnings
from brainseg_runtime.studies.written.seg import add_lossy
from brainseg_runtime.studies.written.settings import Code

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.7"
_LONGEST: Final = 512
_SOURCE_IMAGE: Final = Code(value="121322", scheme="DCM", meaning="Source image for image processing operation")
_LONGEST_REFERENCES: Final = 1024
"""Source images that the overview refers to at most, so that its header stays small."""


def captures(
    job: Job, grey: NDArray[np.uint8], mask: NDArray[np.uint8], overview: Picture, texts: Sequence[str]
) -> list[Dataset]:
    """Captures: the overview, then each slice with a finding.

    Args:
        job: What is written.
        grey: (K, R, C) uint8, FLAIR for pictures.
        mask: (K, R, C), 0 or 1.
        overview: (H, W, 3), the first picture.
        texts: Lines below each slice, such as the volume.

    Returns:
        Datasets without file meta information, instance numbers from 1.
    """
    view = View.of(job.grid)
    first = _capture(job, overview, distinct(job.series.instances)[:_LONGEST_REFERENCES], number=1)
    made = [first]
    for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist():
        drawn = draw(grey[k], mask[k], view, longest=_LONGEST, colour=job.segment.colour)
        lines = [f"Slice {k + 1} of {len(mask)}, {job.segment.label}", *texts]
        picture = with_warnings(with_text(drawn, [(line, WHITE) for line in lines]), job.warnings)
        made.append(_slice(job, picture, view, k, number=len(made) + 1))
    return made


def _slice(job: Job, picture: Picture, view: View, k: int, *, number: int) -> Dataset:
    """The capture of one slice; lengths can be measured in it."""
    dataset = _capture(job, picture, [job.series.instances[k]], number=number)
    spacing = (length / pixels for length, pixels in zip(view.extent_mm, view.size(_LONGEST), strict=True))
    dataset.PixelSpacing = [ds(each) for each in spacing]
    dataset.PixelSpacingCalibrationType = "GEOMETRY"
    dataset.PixelSpacingCalibrationDescription = "At the depth of the slice"
    dataset.PatientOrientation = list(view.patient_orientation)
    return dataset


def _capture(job: Job, picture: Picture, sources: Sequence[Instance], *, number: int) -> Dataset:
    """A capture of a picture."""
    dataset = begin(
        job,
        kind="sc",
        sop_class=SOP_CLASS,
        modality="OT",
        what="captures",
        number=number,
    )
    dataset.BodyPartExamined = "BRAIN"
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.DerivationDescription = "; ".join(job.about.parameters)
    dataset.ImageComments = "; ".join([*job.warning_texts, job.about.model, RESEARCH])
    images = [reference(each, PurposeOfReferenceCodeSequence=[code_item(_SOURCE_IMAGE)]) for each in sources]
    dataset.SourceImageSequence = images
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    add_lossy(dataset, job)
    data = np.ascontiguousarray(picture).tobytes()
    dataset.add_new(0x7FE00010, "OB", data + b"\0" * (len(data) % 2))
    return dataset
