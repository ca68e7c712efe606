"""Headers of made series, by pydicom's keywords: the three sequences, the patient, and what else a study holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.studies_made.uids import made_uid

Tags = Mapping[str, Any]

STUDY: Final[Tags] = {
    "StudyInstanceUID": made_uid("study"),
    "FrameOfReferenceUID": made_uid("frame of reference"),
    "PatientName": "Made^Patient",
    "PatientID": "MADE-0001",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
    "PatientAge": "050Y",
    "StudyDate": "20000102",
    "StudyTime": "101500",
    "SeriesDate": "20000102",
    "AcquisitionDate": "20000102",
    "ContentDate": "20000102",
    "AccessionNumber": "A1",
    "StudyID": "1",
    "StudyDescription": "MRI BRAIN",
    "ReferringPhysicianName": "",
    "Manufacturer": "MADE",
    "ManufacturerModelName": "Maker",
    "SoftwareVersions": "1",
    "DeviceSerialNumber": "1",
    "InstitutionName": "Made Hospital",
    "Modality": "MR",
    "BodyPartExamined": "HEAD",
    "PatientPosition": "HFS",
    "MagneticFieldStrength": 1.5,
    "PositionReferenceIndicator": "",
}
"""What the series of a made study share; any of them can be given again."""

FLAIR: Final[Tags] = {
    "SeriesNumber": 3,
    "SeriesDescription": "AX FLAIR",
    "ProtocolName": "AX FLAIR",
    "ImageType": ["ORIGINAL", "PRIMARY", "M"],
    "ScanningSequence": ["SE", "IR"],
    "SequenceVariant": ["SK", "SP"],
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "SequenceName": "*tir2d1_21",
    "RepetitionTime": 9000.0,
    "EchoTime": 120.0,
    "InversionTime": 2500.0,
    "EchoTrainLength": 21,
    "FlipAngle": 150.0,
    "AcquisitionTime": "102000",
}
PRE: Final[Tags] = {
    "SeriesNumber": 4,
    "SeriesDescription": "AX T1",
    "ProtocolName": "AX T1",
    "ImageType": ["ORIGINAL", "PRIMARY", "M"],
    "ScanningSequence": "SE",
    "SequenceVariant": ["SP", "OSP"],
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "SequenceName": "*se2d1",
    "RepetitionTime": 550.0,
    "EchoTime": 12.0,
    "EchoTrainLength": 1,
    "FlipAngle": 90.0,
    "AcquisitionTime": "102500",
}
POST: Final[Tags] = {
    **PRE,
    "SeriesNumber": 7,
    "SeriesDescription": "AX T1 POST GD",
    "ProtocolName": "AX T1 POST",
    "ContrastBolusAgent": "Gadobutrol",
    "AcquisitionTime": "104000",
}
T2: Final[Tags] = {
    **PRE,
    "SeriesNumber": 5,
    "SeriesDescription": "AX T2",
    "ProtocolName": "AX T2",
    "SequenceName": "*tse2d1_15",
    "RepetitionTime": 4500.0,
    "EchoTime": 100.0,
    "EchoTrainLength": 15,
    "AcquisitionTime": "102700",
}
LOCALISER: Final[Tags] = {
    **PRE,
    "SeriesNumber": 1,
    "SeriesDescription": "3-plane localizer",
    "ProtocolName": "localizer",
    "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
    "ScanningSequence": "GR",
    "SequenceName": "*fl2d1",
    "RepetitionTime": 8.6,
    "EchoTime": 4.0,
    "FlipAngle": 20.0,
    "AcquisitionTime": "101600",
}

BY_ROLE: Final[Mapping[str, Tags]] = {"flair": FLAIR, "pre": PRE, "post": POST}

OPTIONAL: Final = (
    "FrameOfReferenceUID", "SliceThickness", "SpacingBetweenSlices", "SliceLocation", "InstanceNumber",
    "PatientSex", "PatientAge", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDescription", "StudyDate",
    "StudyTime", "SeriesDate", "AcquisitionDate", "AcquisitionTime", "ContentDate", "Manufacturer",
    "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber", "InstitutionName", "BodyPartExamined",
    "PatientPosition", "MagneticFieldStrength", "PositionReferenceIndicator", "Laterality", "ReferringPhysicianName",
    "ProtocolName", "SequenceName", "ScanOptions", "EchoTrainLength", "FlipAngle", "WindowCenter", "WindowWidth",
)  # fmt: skip
"""Tags that files are often without, and that a reader must not need."""
