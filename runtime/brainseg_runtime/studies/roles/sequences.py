"""What one series is: FLAIR, a T1, or neither, from its tags first and its description second.

FLAIR is an inversion recovery whose inversion time nulls water (about 1,600 to 2,900 ms, longer in strong fields) with
a long repetition and echo time; a T1 has a short echo time and a short repetition time, or an inversion time that
nulls tissue, as MPRAGE and "T1 FLAIR" do. Where tags and description contradict each other, the series is not used.

Sources: DICOM PS3.3 C.8.3.1 (MR Image) and C.8.13.3.1 (Image Type of enhanced MR); the limits are wider than the
protocols that GE, Siemens, Philips, Canon and Hitachi ship for 0.2 to 7 T.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from brainseg_runtime.studies.roles.wording import (
    names_fat_suppression,
    names_flair,
    names_reformat,
    names_t1,
    names_t2,
    why_left_out,
)
from brainseg_runtime.studies.series import SeriesHeader

Kind = Literal["flair", "t1", "other"]
_Tags = Literal["flair", "t1", "stir", "t2", "gradient echo", "echo planar", "unknown"]

_WATER_MS: Final = 1400.0
"""Shortest inversion time that can null water; at 0.2 T protocols go down to about 1,500 ms."""
_FAT_MS: Final = 350.0
"""Longest inversion time that nulls fat (STIR)."""
_FLAIR_TR_MS: Final = 3500.0
_LONG_TE_MS: Final = 60.0
"""Shortest echo time, in ms, of FLAIR and T2."""
_SHORT_TE_MS: Final = 45.0
"""Longest echo time of a T1; turbo spin echo in three dimensions reports up to about 40 ms."""
_T1_TR_MS: Final = 1300.0
_SPIN_ECHO_TR_MS: Final = 300.0
_GRADIENT_TE_MS: Final = 10.0
_T1_INVERSION_TR_MS: Final = 3700.0
_LONGEST_MS: Final = 60_000.0
"""Longer times are no times: some converters write the largest number there is."""

_IMAGE_TYPES: Final = {
    "LOCALIZER": "a localiser", "SUB": "a subtraction", "SUBTRACTION": "a subtraction", "SUBTRACT": "a subtraction",
    "MIP": "a projection", "MINIP": "a projection", "MAX_IP": "a projection", "MIN_IP": "a projection",
    "MNIP": "a projection", "PROJECTION IMAGE": "a projection", "MPR": "a reformat", "REFORMATTED": "a reformat",
    "CSA MPR": "a reformat", "CSA RESAMPLED": "a reformat", "CURVED MPR": "a reformat",
    "ADC": "diffusion", "ADC_UNSPECIFIED": "diffusion", "DIFFUSION": "diffusion", "DIFFUSION_ANISO": "diffusion",
    "TRACEW": "diffusion", "FA": "diffusion", "EADC": "diffusion", "SWI": "susceptibility",
    "PHASE MAP": "a phase image",
    "PERFUSION": "perfusion", "RCBV": "perfusion", "RCBF": "perfusion", "MTT": "perfusion", "TTP": "perfusion",
    "ASL": "perfusion", "FMRI": "functional", "TOF": "angiography", "ANGIO": "angiography", "VELOCITY": "angiography",
    "SPECTROSCOPY": "spectroscopy", "T1 MAP": "a map", "T2 MAP": "a map", "T1_MAP": "a map", "T2_MAP": "a map",
    "RELAXIVITY": "a map", "METABOLITE_MAP": "a map", "P": "a phase image", "PHASE": "a phase image",
    "R": "a real or imaginary image", "I": "a real or imaginary image", "REAL": "a real or imaginary image",
    "IMAGINARY": "a real or imaginary image", "SCREEN SAVE": "a picture", "STIR": "STIR",
    "FAT": "an image of fat", "F": "an image of fat", "FF": "an image of fat", "FAT_FRACTION": "an image of fat",
    "OUT_PHASE": "an image of opposed phases", "OPP_PHASE": "an image of opposed phases",
    "OPPOSED_PHASE": "an image of opposed phases", "OP": "an image of opposed phases",
    "T2_STAR": "susceptibility", "SYNTHETIC": "a calculated image", "UNI": "a calculated image",
}  # fmt: skip
"""Values of ImageType that name an image which is none of the three sequences."""


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """What a series is.

    Attributes:
        kind: FLAIR, T1 (before or after contrast) or neither.
        reason: Why, naming the tags or the words.
        possible: For a series of kind "other": what it may be nonetheless, so that an error can list it.
        gradient_echo: Whether it is a gradient echo, as MPRAGE is.
        fat_suppressed: Whether the header says that fat was suppressed.
    """

    kind: Kind
    reason: str
    possible: Literal["flair", "t1"] | None = None
    gradient_echo: bool = False
    fat_suppressed: bool = False


def what_is(header: SeriesHeader) -> Sequence:
    """What a series is, from its header.

    Args:
        header: The header; a NIfTI file has only its name in it.

    Examples:
        >>> header = SeriesHeader(scanning_sequence=("SE", "IR"), repetition_ms=9000, echo_ms=90, inversion_ms=2500)
        >>> what_is(header).reason
        'FLAIR by its tags (inversion 2500 ms, TR 9000 ms, TE 90 ms)'
    """
    left_out = _left_out(header)
    if left_out is not None:
        return Sequence(kind="other", reason=left_out)
    tags, text = _by_tags(header), _text(header)
    flair, t1, t2 = names_flair(text), names_t1(text), names_t2(text)
    if flair and t1 and not t2:  # "T1 FLAIR": a T1 whose inversion nulls water's neighbour, not water
        flair = False
    kind, possible, reason = _together(header, tags, text, flair=flair, t1=t1, t2=t2)
    return Sequence(
        kind=kind,
        reason=reason,
        possible=possible,
        gradient_echo="GR" in header.scanning_sequence,
        fat_suppressed=bool({"FS", "FATSAT", "SFS"} & set(header.scan_options)) or names_fat_suppression(text),
    )


def milliseconds(value: float | None) -> float | None:
    """A time as a header gives it, or None if it is missing, not above 0, or absurd."""
    return value if value is not None and math.isfinite(value) and 0 < value < _LONGEST_MS else None


def _left_out(header: SeriesHeader) -> str | None:
    """Why a series is out before its contrast is looked at."""
    if header.modality not in ("", "MR"):
        return f"not MR: modality {header.modality}"
    if header.diffusion_b is not None and header.diffusion_b > 0:
        return f"diffusion by its b-value ({header.diffusion_b:g} s/mm²)"
    if "EP" in header.scanning_sequence:
        return why_left_out(_text(header)) or "echo planar by its ScanningSequence"
    return _by_image_type(header) or why_left_out(_text(header)) or _by_reformat(header)


def _by_image_type(header: SeriesHeader) -> str | None:
    """Why a series is out by its ImageType; lossy compression makes DERIVED of ORIGINAL (DICOM PS3.3 C.7.6.1.1.2)."""
    types = tuple(value.upper() for value in header.image_type)
    shown = "\\".join(types)
    for value in types:
        if value in _IMAGE_TYPES:
            return f"{_IMAGE_TYPES[value]} by its ImageType ({shown})"
    if (types[:1] == ("DERIVED",) and not header.lossy) or types[1:2] == ("SECONDARY",):
        return f"a derived image by its ImageType ({shown})"
    return None


def _by_reformat(header: SeriesHeader) -> str | None:
    """Whether a description speaks of a reformat; of an MPRAGE, which has both letters in its tags, it may not."""
    acquired = {"GR", "IR"} <= set(header.scanning_sequence)
    return "a reformat by its description" if names_reformat(_text(header)) and not acquired else None


def _text(header: SeriesHeader) -> str:
    """The description; without one the protocol's name, which on GE's scanners is that of the whole examination."""
    return header.description or header.protocol or header.sequence_name


def _by_tags(header: SeriesHeader) -> _Tags:
    """The weighting that repetition, echo and inversion time give."""
    repetition, echo = milliseconds(header.repetition_ms), milliseconds(header.echo_ms)
    inversion = milliseconds(header.inversion_ms)
    if "FLUID_ATTENUATED" in header.image_type:
        return "flair"
    if repetition is None or echo is None:
        return "unknown"
    if "GR" in header.scanning_sequence:
        return _gradient_echo(header, echo, inversion)
    if inversion is not None:
        return _inversion(repetition, echo, inversion)
    return "unknown" if "IR" in header.scanning_sequence else _spin_echo(header, repetition, echo)


def _spin_echo(header: SeriesHeader, repetition: float, echo: float) -> _Tags:
    """A spin echo without inversion; where the sequence is not named, too short a repetition is a gradient echo's."""
    named = "SE" in header.scanning_sequence
    if echo <= _SHORT_TE_MS and repetition <= _T1_TR_MS:
        return "t1" if named or repetition >= _SPIN_ECHO_TR_MS else "unknown"
    long = echo >= _LONG_TE_MS and repetition >= _T1_TR_MS
    return "t2" if named and (long or repetition > _T1_INVERSION_TR_MS) else "unknown"


def _gradient_echo(header: SeriesHeader, echo: float, inversion: float | None) -> _Tags:
    """A gradient echo: T1 if it is prepared by an inversion."""
    prepared = "IR" in header.scanning_sequence or "MP" in header.sequence_variant
    nulls_tissue = inversion is None or _FAT_MS < inversion < _WATER_MS
    return "t1" if prepared and nulls_tissue and echo <= _GRADIENT_TE_MS else "gradient echo"


def _inversion(repetition: float, echo: float, inversion: float) -> _Tags:
    """A spin echo after an inversion."""
    if inversion <= _FAT_MS:
        return "stir"
    if inversion >= _WATER_MS:
        return "flair" if repetition >= _FLAIR_TR_MS and echo >= _LONG_TE_MS else "unknown"
    return "t1" if echo <= _SHORT_TE_MS and repetition <= _T1_INVERSION_TR_MS else "unknown"


_Told = tuple[Kind, Literal["flair", "t1"] | None, str]
"""Kind, what it may be nonetheless, and why."""


def _together(header: SeriesHeader, tags: _Tags, text: str, *, flair: bool, t1: bool, t2: bool) -> _Told:
    """What the tags and the words say together."""
    if tags == "flair":
        if t1 and not t2 and not flair:
            return _contradiction(header, text, "flair", "a T1")
        return "flair", None, f"FLAIR by its tags ({_times(header)})"
    if flair:
        return _named_flair(header, tags, text)
    if tags == "t1" or t1:
        return _perhaps_t1(header, tags, text, t1=t1, t2=t2)
    return _neither(header, tags, t2=t2)


def _perhaps_t1(header: SeriesHeader, tags: _Tags, text: str, *, t1: bool, t2: bool) -> _Told:
    """A series that is a T1 by its tags or is called one."""
    if tags == "t1":
        if t2 and not t1:
            return _contradiction(header, text, "t1", "T2 or proton density")
        return "t1", None, f"T1 by its tags ({_times(header)})"
    if tags in ("unknown", "gradient echo") and not t2:
        return "t1", None, f'T1 by its description "{text}"'
    return _contradiction(header, text, "t1", "a T1")


def _contradiction(header: SeriesHeader, text: str, possible: Literal["flair", "t1"], named: str) -> _Told:
    """A series whose description and tags do not fit."""
    return "other", possible, f'contradiction: "{text}" names {named}, the tags do not fit it ({_times(header)})'


def _named_flair(header: SeriesHeader, tags: _Tags, text: str) -> _Told:
    """A series called FLAIR whose tags do not show it; the inversion time is often missing."""
    if tags == "t1" and milliseconds(header.inversion_ms) is not None:
        return "t1", None, f'a T1 by its tags, although "{text}" names FLAIR ({_times(header)})'
    if tags == "unknown" or (tags == "t2" and (milliseconds(header.repetition_ms) or 0) >= _FLAIR_TR_MS):
        return "flair", None, f'FLAIR by its description "{text}"'
    return _contradiction(header, text, "flair", "FLAIR")


def _neither(header: SeriesHeader, tags: _Tags, *, t2: bool) -> _Told:
    """A series that is neither FLAIR nor T1, or of which nothing is known."""
    if tags == "unknown" and not t2:
        long = (milliseconds(header.echo_ms) or 0) >= _LONG_TE_MS and "IR" in header.scanning_sequence
        possible: Literal["flair"] | None = "flair" if long or not _times(header) else None
        return "other", possible, "neither its tags nor its description tell what it is"
    return "other", None, f"{_NAMED.get(tags, 'T2 or proton density')} by its {'words' if t2 else 'tags'}"


_NAMED: Final = {"stir": "STIR", "gradient echo": "a gradient echo, not known to be a T1,"}


def _times(header: SeriesHeader) -> str:
    """The times that decide, in words; "" if there are none."""
    named = (("inversion", header.inversion_ms), ("TR", header.repetition_ms), ("TE", header.echo_ms))
    return ", ".join(f"{name} {value:g} ms" for name, value in named if milliseconds(value) is not None)
