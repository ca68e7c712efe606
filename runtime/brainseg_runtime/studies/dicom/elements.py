"""Values of DICOM elements, read from their bytes: a value that is not what its tag calls for counts as missing.

pydicom converts a value when it is first asked for, and raises or warns, quoting it, where the value breaks the
standard. Headers of real scanners do: NULs in text, numbers of more than 16 characters, empty and overlong values.

Source: DICOM PS3.5, 6.2 (value representations).
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Final

from brainseg_runtime.studies.dicom.library import FAULTS, quiet

if TYPE_CHECKING:
    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import Dataset

_BINARY: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_MOST_BYTES: Final = 4096
"""Of a value that is read as text or numbers; none that is asked for here is longer."""

_MOST_CHARACTERS: Final = 256
"""Of a text that is kept; the longest, LO, has 64."""


def text(dataset: Dataset, tag: int) -> str:
    """A text without NULs, control characters and surrounding blanks; "" if there is none."""
    raw = _raw(dataset, tag)
    if raw is None:
        return ""
    decoded = _decoded(raw, dataset).strip("\0 ")
    if not decoded.isprintable():
        decoded = "".join(each if each.isprintable() else " " for each in decoded)
    return decoded.strip()[:_MOST_CHARACTERS]


def texts(dataset: Dataset, tag: int) -> tuple[str, ...]:
    """The values of a text of several values; empty if there is none."""
    whole = text(dataset, tag)
    return tuple(each.strip() for each in whole.split("\\")) if whole else ()


def uid(dataset: Dataset, tag: int) -> str:
    """A UID of digits and dots; "" if it is missing or anything else."""
    value = text(dataset, tag)
    return value if _UID.fullmatch(value) and len(value) <= 64 else ""


def numbers(dataset: Dataset, tag: int) -> tuple[float, ...]:
    """Finite numbers, stored as text or binary; empty if one of them is not a number."""
    raw = _raw(dataset, tag)
    if raw is None:
        return ()
    kind = _BINARY.get(_representation(raw))
    values = _from_text(raw) if kind is None else _from_binary(raw, kind)
    return values if all(map(math.isfinite, values)) else ()


def number(dataset: Dataset, tag: int) -> float | None:
    """The first of some numbers; None if there is none."""
    return next(iter(numbers(dataset, tag)), None)


def whole(dataset: Dataset, tag: int) -> int | None:
    """The first of some numbers if it is whole; None otherwise."""
    value = number(dataset, tag)
    return int(value) if value is not None and value == int(value) else None


def word(dataset: Dataset, tag: int, *, signed: bool) -> int | None:
    """A 16-bit value whose sign is that of the pixels, such as the padding value; None if there is none."""
    raw = _raw(dataset, tag)
    if raw is None or len(raw.value or b"") < 2:
        return None
    return int.from_bytes((raw.value or b"")[:2], "little" if raw.is_little_endian else "big", signed=signed)


def items(dataset: Dataset, tag: int) -> tuple[Dataset, ...]:
    """The items of a sequence; empty if there is none, or it is damaged."""
    if tag not in dataset:
        return ()
    from pydicom.sequence import Sequence

    try:
        with quiet():
            value = dataset[tag].value
            return tuple(value) if isinstance(value, Sequence) else ()
    except FAULTS:
        return ()


def first(dataset: Dataset, tag: int) -> Dataset | None:
    """The first item of a sequence; None if there is none."""
    return next(iter(items(dataset, tag)), None)


def is_cut(dataset: Dataset) -> bool:
    """Whether the file ended within one of the values that were read."""
    from pydicom.dataelem import RawDataElement

    raw = [each for each in dataset.values() if isinstance(each, RawDataElement)]
    return any(each.length != 0xFFFFFFFF and len(each.value or b"") < each.length for each in raw)


def _raw(dataset: Dataset, tag: int) -> RawDataElement | None:
    """An element as it is stored; None if it is missing, empty or too long."""
    from pydicom.dataelem import RawDataElement

    if tag not in dataset:
        return None
    try:
        element: object = dataset.get_item(tag)  # converts an empty element, which may fail
    except FAULTS:
        return None
    if not isinstance(element, RawDataElement) or not element.value or len(element.value) > _MOST_BYTES:
        return None
    return element


def _representation(raw: RawDataElement) -> str:
    """The value representation: as stored, or the dictionary's where the file does not say."""
    from pydicom.datadict import dictionary_VR

    if raw.VR is not None and raw.VR != "UN":
        return str(raw.VR)
    try:
        return str(dictionary_VR(raw.tag)).partition(" ")[0]
    except KeyError:
        return "UN"


def _from_text(raw: RawDataElement) -> tuple[float, ...]:
    parts = (raw.value or b"").decode("latin-1").replace("\0", " ").strip().split("\\")
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        return ()


def _from_binary(raw: RawDataElement, kind: str) -> tuple[float, ...]:
    data = raw.value or b""
    count = len(data) // struct.calcsize(kind)
    layout = struct.Struct(f"{'<' if raw.is_little_endian else '>'}{count}{kind}")
    return tuple(map(float, layout.unpack(data[: layout.size])))


def _decoded(raw: RawDataElement, dataset: Dataset) -> str:
    """Bytes as text in the file's character set, or in Latin-1, which takes any."""
    from pydicom.charset import decode_bytes

    data = raw.value or b""
    if data.isascii() and b"\x1b" not in data:  # escapes switch to other sets
        return data.decode("ascii")
    encodings = dataset.original_character_set
    known = [encodings] if isinstance(encodings, str) else list(encodings)
    try:
        with quiet():
            return decode_bytes(data, known, set(b"\\^="))
    except FAULTS:
        return data.decode("latin-1")
