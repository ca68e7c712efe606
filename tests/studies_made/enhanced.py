"""One file a series: Enhanced MR Image Storage, with its functional groups.

Source: DICOM PS3.3 A.36 (Enhanced MR Image), C.7.6.16 (multi-frame functional groups).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage

from brainseg_runtime.studies.geometry import Grid
from tests.studies_made.series import Stored, begun, ds, save, set_pixels
from tests.studies_made.tags import FLAIR, STUDY, Tags
from tests.studies_made.uids import made_uid

_IN_GROUPS = {"RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "EchoTrainLength", "ContrastBolusAgent"}


def write_enhanced(
    path: Path,
    voxels: NDArray[Any],
    grid: Grid,
    *,
    tags: Tags = FLAIR,
    stored: Stored | None = None,
    order: Sequence[int] | None = None,
    per_frame: bool = False,
    edit: Callable[[Dataset], Dataset] | None = None,
) -> Path:
    """Write a volume as one enhanced multi-frame MR image.

    Args:
        path: The file.
        voxels: (K, R, C).
        grid: Where they lie.
        tags: Header by keyword, as for `write_series`; timings go into the functional groups.
        stored: How values are stored.
        order: Frame i holds slice order[i].
        per_frame: Orientation, spacing and rescaling in each frame's groups instead of the shared ones.
        edit: Changes the dataset before it is written.

    Returns:
        `path`.
    """
    stored = stored or Stored()
    order = list(range(len(voxels))) if order is None else list(order)
    given = {key: value for key, value in tags.items() if key not in _IN_GROUPS}
    dataset = begun({**given, "VolumetricProperties": "VOLUME", "PixelPresentation": "MONOCHROME"})
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.SOPInstanceUID = made_uid(dataset.SeriesInstanceUID, "enhanced")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber = 1
    dataset.ImageType = [*list(dataset.ImageType)[:2], "M", "NONE"]
    dataset.NumberOfFrames = len(order)
    dataset.Rows, dataset.Columns = voxels.shape[1:]
    stored.describe(dataset)
    _organise(dataset)
    same = _same_for_all(grid, stored)
    dataset.SharedFunctionalGroupsSequence = Items([_timing(tags)])
    if not per_frame:
        dataset.SharedFunctionalGroupsSequence[0].update(same)
    begin = f"{tags.get('AcquisitionDate', STUDY['AcquisitionDate'])}{tags.get('AcquisitionTime', '100000')}"
    frames = [_frame(grid, k, begin) for k in order]
    if per_frame:
        for frame in frames:
            frame.update(_same_for_all(grid, stored))
    dataset.PerFrameFunctionalGroupsSequence = Items(frames)
    if tags.get("ContrastBolusAgent"):
        agent = _item(ContrastBolusAgentNumber=1, CodeValue="C-17800", CodeMeaning=tags["ContrastBolusAgent"])
        agent.CodingSchemeDesignator = "SRT"
        dataset.ContrastBolusAgentSequence = Items([agent])
    set_pixels(dataset, stored.encode(np.asarray(voxels)[order]))
    path.parent.mkdir(parents=True, exist_ok=True)
    save(dataset if edit is None else edit(dataset), path)
    return path


def _item(**values: object) -> Dataset:
    """A dataset with these attributes."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _organise(dataset: Dataset) -> None:
    """Multi-frame Dimension module: by stack and position in it."""
    uid = made_uid(dataset.SOPInstanceUID, "dimensions")
    dataset.DimensionOrganizationSequence = Items([_item(DimensionOrganizationUID=uid)])
    dataset.DimensionIndexSequence = Items(
        [
            _item(DimensionOrganizationUID=uid, DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111)
            for pointer in (0x00209056, 0x00209057)
        ]
    )


def _same_for_all(grid: Grid, stored: Stored) -> Dataset:
    """Orientation, spacing and rescaling."""
    slices, rows, columns = (ds(each) for each in grid.spacing)
    orientation = [ds(each) for each in (*grid.directions[2], *grid.directions[1])]
    groups = Dataset()
    groups.PlaneOrientationSequence = Items([_item(ImageOrientationPatient=orientation)])
    groups.PixelMeasuresSequence = Items(
        [_item(PixelSpacing=[rows, columns], SliceThickness=slices, SpacingBetweenSlices=slices)]
    )
    rescale = _item(RescaleIntercept=ds(stored.intercept), RescaleSlope=ds(stored.slope or 1.0), RescaleType="US")
    groups.PixelValueTransformationSequence = Items([rescale])
    groups.FrameVOILUTSequence = Items([_item(WindowCenter="500", WindowWidth="1000")])
    return groups


def _timing(tags: Tags) -> Dataset:
    """What the header says of the acquisition, in its functional groups."""
    groups = Dataset()
    groups.MRImageFrameTypeSequence = Items(
        [_item(FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"], PixelPresentation="MONOCHROME")]
    )
    groups.MRTimingAndRelatedParametersSequence = Items(
        [
            _item(
                RepetitionTime=ds(tags.get("RepetitionTime", 0)),
                FlipAngle=ds(tags.get("FlipAngle", 90)),
                EchoTrainLength=int(tags.get("EchoTrainLength", 1)),
            )
        ]
    )
    groups.MREchoSequence = Items([_item(EffectiveEchoTime=float(tags.get("EchoTime", 0)))])
    modifier = _item(InversionRecovery="YES" if tags.get("InversionTime") else "NO")
    if tags.get("InversionTime"):
        modifier.InversionTimes = [float(tags["InversionTime"])]
    groups.MRModifierSequence = Items([modifier])
    if tags.get("ContrastBolusAgent"):
        usage = _item(
            ContrastBolusAgentNumber=1, ContrastBolusAgentAdministered="YES", ContrastBolusAgentDetected="YES"
        )
        groups.ContrastBolusUsageSequence = Items([usage])
    return groups


def _frame(grid: Grid, k: int, begin: str) -> Dataset:
    """Groups of one frame: its place in the stack and in the patient."""
    groups = Dataset()
    groups.FrameContentSequence = Items(
        [
            _item(
                StackID="1",
                InStackPositionNumber=k + 1,
                DimensionIndexValues=[1, k + 1],
                FrameAcquisitionNumber=1,
                FrameAcquisitionDateTime=begin,
                FrameReferenceDateTime=begin,
            )
        ]
    )
    position = [ds(each) for each in grid.positions([k, 0, 0])]
    groups.PlanePositionSequence = Items([_item(ImagePositionPatient=position)])
    return groups
