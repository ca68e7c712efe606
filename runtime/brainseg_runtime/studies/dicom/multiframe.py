"""The frames of a multi-frame object: their functional groups, each frame's own before those that all share.

Source: DICOM PS3.3 C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom.elements import first, items, number, numbers, text, texts
from brainseg_runtime.studies.dicom.placed import Placed, placed

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SHARED: Final = 0x52009229
_PER_FRAME: Final = 0x52009230

_TELLING: Final = {
    "StackID": (0x00209111, 0x00209056),
    "TemporalPositionIndex": (0x00209111, 0x00209128),
    "EffectiveEchoTime": (0x00189114, 0x00189082),
    "DiffusionBValue": (0x00189117, 0x00189087),
    "InversionTimes": (0x00189115, 0x00189079),
    "FrameType": (0x00189226, 0x00089007),
    "FrameAcquisitionDateTime": (0x00209111, 0x00189074),
}
"""What can tell two frames at one place from each other: its name in messages, its group, its tag."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        number: From 1, in the order in which the frames are stored.
        place: Where it lies in the patient.
        slope: A value is slope × stored + intercept.
        intercept: As above.
        telling: What could tell it from another frame at its place, by name.
    """

    number: int
    place: Placed
    slope: float
    intercept: float
    telling: Mapping[str, str]


def frames(dataset: Dataset, count: int, label: str) -> Iterator[Frame]:
    """The frames of a multi-frame object.

    Args:
        dataset: With the functional groups.
        count: NumberOfFrames.
        label: The file's name in messages.

    Raises:
        StudyError: It does not describe as many frames as it holds.
    """
    shared = first(dataset, _SHARED)
    own = items(dataset, _PER_FRAME)
    if len(own) != count:
        raise StudyError(
            f"{label} does not describe each of its frames", expected=f"{count:,} items", got=f"{len(own):,}"
        )
    for number_, item in enumerate(own, start=1):
        yield _frame(dataset, shared, item, number_)


def _frame(dataset: Dataset, shared: Dataset | None, own: Dataset, number_: int) -> Frame:
    def group(tag: int) -> Dataset | None:
        found = first(own, tag)
        return found if found is not None or shared is None else first(shared, tag)

    values = group(0x00289145)
    values = dataset if values is None else values
    slope, intercept = number(values, 0x00281053), number(values, 0x00281052)
    telling = {}
    for name, (sequence, tag) in _TELLING.items():
        item = group(sequence)
        if item is not None and (value := _shown(item, tag)):
            telling[name] = value
    return Frame(
        number=number_,
        place=_place(dataset, group(0x00209113), group(0x00209116), group(0x00289110)),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        telling=telling,
    )


def _place(dataset: Dataset, position: Dataset | None, orientation: Dataset | None, measures: Dataset | None) -> Placed:
    """The frame's place; SpacingBetweenSlices stands in the object itself where its maker has put it there."""
    found = placed(position, orientation, measures)
    if found.between is not None:
        return found
    return Placed(
        position=found.position,
        orientation=found.orientation,
        spacing=found.spacing,
        thickness=found.thickness,
        between=number(dataset, 0x00180088),
    )


def _shown(item: Dataset, tag: int) -> str:
    """A value as messages show it."""
    found = numbers(item, tag)
    return "\\".join(f"{value:g}" for value in found) if found else "\\".join(texts(item, tag)) or text(item, tag)
