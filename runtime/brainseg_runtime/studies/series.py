"""What is known of one series before its pixels are read: header, grid, and where its pixels come from.

One class for DICOM and NIfTI: what only DICOM tells is None for NIfTI. `Series.load` reads the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.nifti.fields import Fields

Role = Literal["flair", "pre", "post"]
"""What a series is used as: FLAIR, T1 before contrast, T1 after contrast."""


@dataclass(frozen=True, kw_only=True)
class SeriesHeader:
    """How a series was acquired, as far as its header says; text is stripped of NULs and blanks, "" if missing.

    No patient's name, identifier or date of birth is kept here.
    """

    modality: str = ""
    description: str = ""
    """SeriesDescription; for NIfTI the file's name."""
    protocol: str = ""
    """ProtocolName."""
    sequence_name: str = ""
    """SequenceName or PulseSequenceName."""
    scanning_sequence: tuple[str, ...] = ()
    """Such as ("SE", "IR")."""
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    """Such as ("ORIGINAL", "PRIMARY", "M")."""
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    flip_deg: float | None = None
    agent: str = ""
    """ContrastBolusAgent, also from the enhanced objects' sequence."""
    acquired: float | None = None
    """AcquisitionTime (else ContentTime, SeriesTime) as seconds since midnight of the study's first day."""
    number: int | None = None
    """SeriesNumber."""
    manufacturer: str = ""
    model: str = ""
    """ManufacturerModelName."""
    body_part: str = ""
    diffusion_b: float | None = None
    """DiffusionBValue, s/mm²."""
    lossy: bool = False
    """Whether LossyImageCompression says that something was lost; what compressed it then called the image derived."""
    has_patient_orientation: bool = True
    """False if a NIfTI file states no orientation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Instance:
    """One DICOM object of a series, or one frame of a multi-frame object; the order is that of the grid's slices.

    Attributes:
        path: The file.
        sop_class: SOPClassUID.
        sop_uid: SOPInstanceUID.
        frame: 1-based number of the frame in a multi-frame object; None for a single-frame object.
    """

    path: Path
    sop_class: str
    sop_uid: str
    frame: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One series of a study.

    Attributes:
        uid: SeriesInstanceUID; for NIfTI the path.
        source: Where it comes from.
        header: How it was acquired.
        grid: Slices sorted along the normal, so that the third direction is rows × columns or its opposite; None if
            the geometry is faulty, and `fault` says how.
        frame_of_reference: FrameOfReferenceUID; "" if there is none (NIfTI).
        instances: DICOM objects, or their frames, by slice of the grid; empty for NIfTI.
        paths: Its files.
        load: Reads the pixels: rescaled values, float32. Raises `StudyError`.
        fault: Why the series cannot be used, or None.
        notes: What was handled on reading and is worth telling, such as a duplicate left out.
        nifti: The NIfTI header's fields, whose orientation is repeated in what is written; None for DICOM.
    """

    uid: str
    source: Literal["dicom", "nifti"]
    header: SeriesHeader
    grid: Grid | None
    frame_of_reference: str
    instances: tuple[Instance, ...] = ()
    paths: tuple[Path, ...] = ()
    load: Callable[[], Volume] = field(repr=False)
    fault: Exception | None = None
    notes: tuple[str, ...] = ()
    nifti: Fields | None = None
