"""The JSON file that dcm2niix and BIDS keep beside a NIfTI image: the tags that tell what the sequence is.

Source: the Brain Imaging Data Structure 1.9, "Magnetic Resonance Imaging", common metadata fields.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import StudyError
from brainseg_runtime.safe_io.strict_json import Json, parse
from brainseg_runtime.studies.nifti.names import stem
from brainseg_runtime.studies.series import SeriesHeader

_MAX_SIDECAR: Final = 1 << 20


def read_sidecar(path: Path) -> tuple[dict[str, Json], tuple[str, ...]]:
    """The object in the JSON file beside an image.

    Args:
        path: The image.

    Returns:
        The object, empty if there is none or it cannot be read; and in that second case a note.
    """
    beside = path.with_name(stem(path) + ".json")
    try:
        with beside.open("rb") as file:
            return parse(file.read(_MAX_SIDECAR + 1), beside.name, limit=_MAX_SIDECAR, error=StudyError), ()
    except FileNotFoundError:
        return {}, ()
    except (OSError, StudyError):
        return {}, (f"{beside.name} cannot be read; the roles go by the names alone",)


def with_tags(path: Path, tags: dict[str, Json], *, oriented: bool) -> SeriesHeader:
    """The header of a series, from its file's name and the JSON file's tags.

    Args:
        path: The image.
        tags: What `read_sidecar` gave; times are in seconds there.
        oriented: Whether the image states an orientation.
    """
    described = _text(tags, "SeriesDescription")
    name = stem(path)
    return SeriesHeader(
        modality=_text(tags, "Modality"),
        description=name if not described or described in name else f"{name} {described}",
        protocol=_text(tags, "ProtocolName"),
        sequence_name=_text(tags, "PulseSequenceName") or _text(tags, "SequenceName"),
        scanning_sequence=_texts(tags, "ScanningSequence"),
        sequence_variant=_texts(tags, "SequenceVariant"),
        scan_options=_texts(tags, "ScanOptions"),
        image_type=_texts(tags, "ImageType"),
        repetition_ms=_milliseconds(tags, "RepetitionTime"),
        echo_ms=_milliseconds(tags, "EchoTime"),
        inversion_ms=_milliseconds(tags, "InversionTime"),
        flip_deg=_number(tags, "FlipAngle"),
        agent=_text(tags, "ContrastBolusIngredient") or _text(tags, "ContrastBolusAgent"),
        acquired=_clock(_text(tags, "AcquisitionTime")),
        number=_whole(_number(tags, "SeriesNumber")),
        manufacturer=_text(tags, "Manufacturer"),
        model=_text(tags, "ManufacturersModelName"),
        body_part=_text(tags, "BodyPartExamined"),
        has_patient_orientation=oriented,
    )


def _text(tags: dict[str, Json], key: str) -> str:
    """A text, "" if it is missing or something else."""
    value = tags.get(key)
    return value.strip()[:256] if isinstance(value, str) else ""


def _texts(tags: dict[str, Json], key: str) -> tuple[str, ...]:
    r"""Several texts: a list, or one text with "\" or "_" between, as converters differ."""
    value = tags.get(key)
    if isinstance(value, list):
        return tuple(each for each in value[:32] if isinstance(each, str))
    return tuple(re.split(r"[\\_/]", value)) if isinstance(value, str) and value else ()


def _number(tags: dict[str, Json], key: str) -> float | None:
    """A number, None if it is missing or something else."""
    value = tags.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _milliseconds(tags: dict[str, Json], key: str) -> float | None:
    """A time in ms."""
    value = _number(tags, key)
    return None if value is None else round(value * 1000, 6)


def _whole(value: float | None) -> int | None:
    """A whole number."""
    return None if value is None or not value.is_integer() else int(value)


def _clock(text: str) -> float | None:
    """Seconds since midnight from "15:00:8.35"; None if it is none."""
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)", text)
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
