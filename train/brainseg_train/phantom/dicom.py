"""Generated patients as DICOM studies: three series of single-frame MR images a patient, as a scanner sends them.

The voxels are those of the slices that the same seed gives, so the two ways can be compared. Where a sequence is
missing, its series is missing too.

Legend: N slices, H rows, W columns.
Source: DICOM PS3.3 A.4 (MR Image), PS3.5 B.2 (UIDs from UUIDs).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.safe_io.files import replace_folder, write_json
from brainseg_train.phantom.patients import MARK, PhantomPatient, check_phantom, make_patient

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
_EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_FIELD_MM: Final = 240.0
"""Side of the image; heads are drawn 0.66 to 0.92 of it wide and long, which gives 160 to 220 mm."""
_HEIGHT_MM: Final = 140.0
"""From the first slice to the last."""


@dataclass(frozen=True, kw_only=True)
class _Sequence:
    """What the header says of a series."""

    channel: int
    number: int
    description: str
    scanning: tuple[str, ...]
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None
    flip_deg: float
    agent: str | None
    time: str


_SEQUENCES: Final = (
    _Sequence(
        channel=0, number=2, description="AX T1", scanning=("SE",), repetition_ms=550, echo_ms=12, inversion_ms=None,
        flip_deg=90, agent=None, time="101000",
    ),
    _Sequence(
        channel=1, number=3, description="AX FLAIR", scanning=("SE", "IR"), repetition_ms=9000, echo_ms=120,
        inversion_ms=2500, flip_deg=150, agent=None, time="101500",
    ),
    _Sequence(
        channel=2, number=4, description="AX T1 POST", scanning=("SE",), repetition_ms=550, echo_ms=12,
        inversion_ms=None, flip_deg=90, agent="Phantom agent", time="102500",
    ),
)  # fmt: skip


def write_phantom_studies(
    out: Path,
    *,
    patients: int,
    seed: int = 0,
    slices: tuple[int, int] = (20, 40),
    side: int = 256,
    on_patient: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a phantom as DICOM studies, a folder each, whole or not at all.

    Args:
        out: Folder of the studies; an older phantom there is replaced, anything else is an error.
        patients: How many, at least 1.
        seed: Which phantom, from 0: the same seed gives the same bytes with the same version of pydicom.
        slices: Fewest and most slices of a patient.
        side: Rows and columns, even, pixels.
        on_patient: Called with the number of patients written and of all.

    Returns:
        `out`.

    Raises:
        PhantomError: An argument is out of range, or `out` holds something that is not a phantom.
        MissingExtraError: pydicom is not installed.
        FileWriteError: A file could not be written.
    """
    out = Path(out)
    check_phantom(out, patients, seed, slices, side)
    try:
        import pydicom  # noqa: F401 - asked for before anything is written
    except ImportError as error:
        raise MissingExtraError(
            "DICOM needs pydicom, which is not installed", remedy=install_remedy("study")
        ) from error
    with replace_folder(out) as folder:
        for index in range(patients):
            _write_study(folder, make_patient(index, seed, slices=slices, side=side), seed)
            if on_patient is not None:
                on_patient(index + 1, patients)
        mark = {"phantom": 1, "patients": patients, "seed": seed, "slices": list(slices), "side": side, "dicom": True}
        write_json(folder / MARK, mark)
    return out


def _write_study(folder: Path, patient: PhantomPatient, seed: int) -> None:
    """Writes one patient's series, each in a folder of its own; one that repeats FLAIR was not acquired."""
    flair = patient.images[..., 1]
    for sequence in _SEQUENCES:
        voxels = patient.images[..., sequence.channel]
        if sequence.channel != 1 and np.array_equal(voxels, flair):
            continue
        home = folder / patient.id / f"{sequence.number}_{sequence.description.replace(' ', '_')}"
        home.mkdir(parents=True)
        for index in range(len(voxels)):
            image = _mr_image(patient.id, seed, sequence, voxels, index)
            image.save_as(home / f"IM{index + 1:04d}.dcm", enforce_file_format=True)


def _mr_image(patient: str, seed: int, sequence: _Sequence, voxels: NDArray[np.uint8], index: int) -> Dataset:
    """One slice as an MR image."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    made = Dataset()
    made.SOPClassUID = _MR_IMAGE
    made.SOPInstanceUID = _uid(patient, seed, sequence.number, index)
    made.StudyInstanceUID = _uid(patient, seed)
    made.SeriesInstanceUID = _uid(patient, seed, sequence.number)
    made.FrameOfReferenceUID = _uid(patient, seed, "frame of reference")
    made.PatientName = f"Phantom^{patient.split('_')[2]}"
    made.PatientID = patient
    made.PatientBirthDate = made.PatientSex = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.PositionReferenceIndicator = ""
    made.BodyPartExamined = "HEAD"
    made.StudyID = "1"
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = patient.rpartition("_")[2]
    made.StudyTime = "100000"
    made.SeriesTime = made.AcquisitionTime = made.ContentTime = sequence.time
    made.StudyDescription = "Generated patient, not a person"
    made.Modality, made.Manufacturer, made.PatientPosition = "MR", "brainseg phantom", "HFS"
    _describe_sequence(made, sequence)
    made.InstanceNumber = index + 1
    _place(made, len(voxels), voxels.shape[2], index)
    _set_pixels(made, voxels[index])
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
    return made


def _describe_sequence(made: Dataset, sequence: _Sequence) -> None:
    """General Series, MR Image and Contrast/Bolus modules."""
    made.SeriesNumber = sequence.number
    made.SeriesDescription = made.ProtocolName = sequence.description
    made.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    made.ScanningSequence = list(sequence.scanning)
    made.SequenceVariant, made.ScanOptions, made.MRAcquisitionType = "NONE", "", "2D"
    made.RepetitionTime, made.EchoTime = f"{sequence.repetition_ms:g}", f"{sequence.echo_ms:g}"
    if sequence.inversion_ms is not None:
        made.InversionTime = f"{sequence.inversion_ms:g}"
    made.EchoTrainLength, made.FlipAngle = 1, f"{sequence.flip_deg:g}"
    if sequence.agent is not None:
        made.ContrastBolusAgent = sequence.agent


def _place(made: Dataset, count: int, side: int, index: int) -> None:
    """Image Plane module: axial slices from the base of the skull up, centred on the origin."""
    pixel, step = _FIELD_MM / side, _HEIGHT_MM / max(count - 1, 1)
    corner, height = -(side - 1) / 2 * pixel, step * (index - (count - 1) / 2)
    made.PixelSpacing = [f"{pixel:.9g}"] * 2
    made.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    made.ImagePositionPatient = [f"{corner:.9g}", f"{corner:.9g}", f"{height:.9g}"]
    made.SliceThickness = made.SpacingBetweenSlices = f"{step:.9g}"
    made.SliceLocation = f"{height:.9g}"


def _set_pixels(made: Dataset, voxels_hw: NDArray[np.uint8]) -> None:
    """Image Pixel module, 16 bits as scanners write."""
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = voxels_hw.shape
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.WindowCenter, made.WindowWidth = "128", "256"
    made.add_new("PixelData", "OW", voxels_hw.astype("<u2").tobytes())


def _uid(*names: object) -> str:
    """A UID that depends on its names alone, made as a UUID of version 8 (RFC 9562) from their SHA-256."""
    digest = bytearray(hashlib.sha256("\0".join(map(str, ("brainseg phantom", *names))).encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"
