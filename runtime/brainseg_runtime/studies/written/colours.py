"""Colours as DICOM stores them: CIELab in 16 bits.

Source: IEC 61966-2-1 (sRGB to XYZ); CIE 15 (XYZ to Lab), brought to D50 by Bradford's matrix; DICOM PS3.3 C.10.7.1.1.
"""

from __future__ import annotations

import numpy as np

_TO_XYZ_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_WHITE_D50 = np.array([0.96422, 1.0, 0.82521])


def cielab(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour as RecommendedDisplayCIELabValue.

    Args:
        rgb: sRGB, each 0 to 255.

    Returns:
        L*, a*, b*, each scaled to 0 to 65535.

    Examples:
        >>> cielab((255, 255, 255))
        (65535, 32896, 32896)
    """
    values = np.array(rgb, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    ratio = _TO_XYZ_D50 @ linear / _WHITE_D50
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    lab = np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
    scaled = np.array([lab[0] * 65535 / 100, (lab[1] + 128) * 65535 / 255, (lab[2] + 128) * 65535 / 255])
    light, a, b = np.clip(np.rint(scaled), 0, 65535).astype(int).tolist()
    return light, a, b
