"""Whether FLAIR shows a part of a head only, as while the other half of its series is still on its way.

A head that lies within the slices becomes small towards its ends. Where it is nearly as large in the last slice as it
is anywhere, it goes on beyond it. At the neck that is usual; what counts there is how far the slices reach down.

Of the first and last slices of 47 of the training data's patients, the one at the crown shows 0 to 0.45 of the largest
slice's head, the one at the neck 0 to 0.99, and a cut through the middle would show 0.87 or more.

Legend: K slices, R rows, C columns of FLAIR's grid.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.head import inside_head

CUT: Final = 0.8
"""Part of the largest slice's head at an end, from which the head is cut off there."""

LEAST_MM: Final = 90.0
"""How far slices that are cut off at the neck must reach down from the crown, mm; half a stack of 160 mm has 80."""

_AXIAL: Final = 0.75
"""Part of a slice's normal that must point to the head for one of its ends to be the neck's; about 41 degrees."""

_SIDE: Final = 128
"""Rows and columns that are looked at, at least; more would find the same."""


def why_partial(flair: NDArray[np.float32], grid: Grid) -> str | None:
    """Why FLAIR shows a part of a head only; None if it does not, or shows no head.

    Args:
        flair: (K, R, C) float32, air about 0.
        grid: Its grid.

    Examples:
        >>> from brainseg_runtime.studies.geometry import AXIAL
        >>> ball = sum(each**2 for each in np.ogrid[-7:8, -7:8, -7:8]) < 40
        >>> grid = Grid(shape=(8, 15, 15), spacing=(10.0, 10.0, 10.0), directions=AXIAL, origin=np.zeros(3))
        >>> why_partial(ball.astype(np.float32), grid) is None
        True
        >>> why_partial(ball[:8].astype(np.float32), grid)
        'the last slice at the crown shows 100% of the largest one, so the head goes on beyond it'
    """
    steps = [max(1, size // _SIDE) for size in flair.shape[1:]]
    areas = inside_head(flair[:, :: steps[0], :: steps[1]]).sum(axis=(1, 2))
    if len(areas) == 0 or areas.max() == 0:
        return None
    up = float(grid.directions[0][2])
    ends = [float(areas[0] / areas.max()), float(areas[-1] / areas.max())]
    if abs(up) < _AXIAL:
        share = max(ends)
        return None if share < CUT else f"a last slice shows {share:.0%} of the largest one, {_BEYOND}"
    neck, crown = ends if up > 0 else ends[::-1]
    if crown >= CUT:
        return f"the last slice at the crown shows {crown:.0%} of the largest one, {_BEYOND}"
    reach = np.count_nonzero(areas) * grid.spacing[0]
    if neck >= CUT and reach < LEAST_MM:
        return (
            f"the slices reach {reach:.0f} mm down from the crown, expected {LEAST_MM:.0f} mm or the head's lower end"
        )
    return None


_BEYOND: Final = "so the head goes on beyond it"
