"""The orientation that cameras and viewers store in EXIF.

Source: CIPA DC-008 (EXIF 3.0), section 4.6; the block is laid out as a TIFF's page.
"""

from __future__ import annotations

import struct
from types import MappingProxyType
from typing import Final

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.raster import UPRIGHT

_ORIENTATION: Final = 274
_WHOLE: Final = MappingProxyType({1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"})
"""Field types of whole numbers; SHORT is the rule, and viewers accept the others too."""


def refuse_turned(exif: bytes) -> None:
    """Refuse pixels that a viewer would turn or mirror before it shows them.

    Args:
        exif: The EXIF block; one that is empty or damaged is ignored.

    Raises:
        ImageError: The orientation is another than upright.

    >>> refuse_turned(b"")
    """
    orientation = _orientation(exif)
    if 2 <= orientation <= 8:
        raise ImageError(
            "the image is stored turned or mirrored",
            expected="EXIF orientation 1, which is upright",
            got=f"orientation {orientation}",
            remedy=UPRIGHT,
        )


def _orientation(exif: bytes) -> int:
    """The orientation's number; 1, upright, without one."""
    exif = exif.removeprefix(b"Exif\0\0")  # the mark before it in JPEG, which some writers put into PNG too
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", exif, at)
        if tag == _ORIENTATION and kind in _WHOLE and number:
            return int(struct.unpack_from(order + _WHOLE[kind], exif, at + 8)[0])
    return 1
