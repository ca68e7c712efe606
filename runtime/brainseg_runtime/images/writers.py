"""The files that a segmented slice can become: one `Writer` for each kind.

A kind names its files `<name>_<kind><suffix>`. To add one, list its writer in `WRITERS`, and give `brainseg predict` an
option and the record's slices a field of its name.

Legend: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images.masks import encode_mask
from brainseg_runtime.images.overlay import encode_png, overlay
from brainseg_runtime.images.probability_map import encode_probability


@dataclass(frozen=True, kw_only=True, slots=True)
class Segmented:
    """A slice and what a model made of it.

    Attributes:
        image_hwc: (H, W, 3) uint8.
        mask: (H, W) uint8 with 0 and 1.
        probability: (H, W) float32 in [0, 1].
    """

    image_hwc: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    probability: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes one kind of file. Stateless, thread-safe.

    Attributes:
        suffix: The end of its files' names, with the dot.
        encode: Makes a file's bytes of a slice; raises `MissingExtraError` if a library is not installed.
    """

    suffix: str
    encode: Callable[[Segmented], bytes]


WRITERS: Final = MappingProxyType(
    {
        "mask": Writer(".tif", lambda made: encode_mask(made.mask)),
        "probability": Writer(".tif", lambda made: encode_probability(made.probability)),
        "overlay": Writer(".png", lambda made: encode_png(overlay(made.image_hwc, prediction=made.mask))),
    }
)
"""The writers by kind; "mask" is the one that every slice gets."""
