"""How a series was acquired, out of a file's header: attributes of single images, and of multi-frame objects' groups.

Source: DICOM PS3.3 C.8.3.1 (MR Image), C.8.13.4 and C.8.13.5 (enhanced MR), C.7.6.4b (enhanced contrast).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

from brainseg_runtime.studies.dicom.elements import first, items, number, text, texts, whole
from brainseg_runtime.studies.series import SeriesHeader

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TAGS: Final = (
    0x00080008, 0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A, 0x00080030, 0x00080031,
    0x00080032, 0x00080033, 0x00080060, 0x00080070, 0x0008103E, 0x00081090, 0x00180010, 0x00180012, 0x00180015,
    0x00180020, 0x00180021, 0x00180022, 0x00180024, 0x00180080, 0x00180081, 0x00180082, 0x00181030, 0x00181314,
    0x00189005, 0x00189008, 0x00189087, 0x00200011, 0x00282110, 0x52009229, 0x52009230,
)  # fmt: skip
"""The elements that headers are made of."""

_ECHO_PULSE: Final = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
"""EchoPulseSequence of enhanced objects, as single images have it in ScanningSequence."""

_DATE: Final = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_TIME: Final = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2}(?:\.\d+)?)?")


def header(dataset: Dataset) -> SeriesHeader:
    """The header of the series that a file belongs to; `acquired` is left to `moment`.

    Args:
        dataset: With the elements in `TAGS`.
    """
    groups = _Groups(dataset)
    return SeriesHeader(
        modality=text(dataset, 0x00080060),
        description=text(dataset, 0x0008103E),
        protocol=text(dataset, 0x00181030),
        sequence_name=text(dataset, 0x00180024) or text(dataset, 0x00189005),
        scanning_sequence=texts(dataset, 0x00180020) or _scanning_sequence(dataset, groups),
        sequence_variant=texts(dataset, 0x00180021),
        scan_options=texts(dataset, 0x00180022),
        image_type=texts(dataset, 0x00080008),
        repetition_ms=_either(number(dataset, 0x00180080), groups.number(0x00189112, 0x00180080)),
        echo_ms=_either(number(dataset, 0x00180081), groups.number(0x00189114, 0x00189082)),
        inversion_ms=_either(number(dataset, 0x00180082), groups.number(0x00189115, 0x00189079)),
        flip_deg=_either(number(dataset, 0x00181314), groups.number(0x00189112, 0x00181314)),
        agent=_agent(dataset, groups),
        number=whole(dataset, 0x00200011),
        manufacturer=text(dataset, 0x00080070),
        model=text(dataset, 0x00081090),
        body_part=text(dataset, 0x00180015) or _anatomy(groups),
        diffusion_b=_either(number(dataset, 0x00189087), groups.number(0x00189117, 0x00189087)),
        lossy=is_lossy(dataset),
    )


def is_lossy(dataset: Dataset) -> bool:
    """Whether a header says that its image was compressed with loss, now or before."""
    return text(dataset, 0x00282110) == "01"


def moment(dataset: Dataset) -> tuple[int | None, float] | None:
    """When a file's images were acquired: the day (as Python counts them; None if unknown) and seconds of that day.

    Args:
        dataset: With the elements in `TAGS`.
    """
    frame = _Groups(dataset).item(0x00209111)
    dates = [text(dataset, tag) or text(dataset, 0x00080020) for tag in (0x00080022, 0x00080023, 0x00080021)]
    times = [text(dataset, tag) for tag in (0x00080032, 0x00080033, 0x00080031)]
    stamps = [text(dataset, 0x0008002A), "" if frame is None else text(frame, 0x00189074)]
    whole_stamp, of_frame = ((stamp[:8], stamp[8:]) for stamp in stamps)
    acquisition, content, series = zip(dates, times, strict=True)
    pairs = (whole_stamp, acquisition, of_frame, content, series)
    for date_text, time_text in pairs:
        seconds = _seconds(time_text)
        if seconds is not None:
            return day(date_text), seconds
    return None


def day(text_of_date: str) -> int | None:
    """The number of a day, as Python counts them, of a date such as 20260131; None if it is none.

    >>> day("20260131") - day("20260130")
    1
    """
    found = _DATE.match(text_of_date)
    if found is None:
        return None
    try:
        return date(*map(int, found.groups())).toordinal()
    except ValueError:
        return None


class _Groups:
    """The functional groups of a multi-frame object: those of its first frame, else those that all frames share."""

    def __init__(self, dataset: Dataset) -> None:
        self.sets = [each for each in (first(dataset, 0x52009230), first(dataset, 0x52009229)) if each is not None]

    def items(self, group: int) -> Iterator[Dataset]:
        for each in self.sets:
            yield from items(each, group)

    def item(self, group: int) -> Dataset | None:
        return next(self.items(group), None)

    def number(self, group: int, tag: int) -> float | None:
        item = self.item(group)
        return None if item is None else number(item, tag)

    def text(self, group: int, tag: int) -> str:
        item = self.item(group)
        return "" if item is None else text(item, tag)


def _either(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _seconds(time: str) -> float | None:
    """Seconds since midnight of a time such as 101530.25; None if it is none."""
    found = _TIME.match(time)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    total = int(hours) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    return total if total <= 86400 else None


def _scanning_sequence(dataset: Dataset, groups: _Groups) -> tuple[str, ...]:
    """ScanningSequence of an enhanced object, which has it in other attributes."""
    kinds = _ECHO_PULSE.get(text(dataset, 0x00189008), ())
    return (*kinds, "IR") if groups.text(0x00189115, 0x00189009) == "YES" else kinds


def _agent(dataset: Dataset, groups: _Groups) -> str:
    """The contrast agent; "" if none was given, or the groups say that it was not administered."""
    usage = groups.text(0x00189341, 0x00189342)
    coded = first(dataset, 0x00180012)
    named = text(dataset, 0x00180010) or ("" if coded is None else text(coded, 0x00080104) or text(coded, 0x00080100))
    return "" if usage == "NO" else named


def _anatomy(groups: _Groups) -> str:
    """Meaning of the anatomic region's code."""
    anatomy = groups.item(0x00209071)
    region = None if anatomy is None else first(anatomy, 0x00082218)
    return "" if region is None else text(region, 0x00080104).upper()
