"""Drawn heads whose parts are known: an ellipse of scalp, a dark ring of skull, and a brain within."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 128


@dataclass(frozen=True)
class DrawnHead:
    """A slice and the parts that it was drawn from."""

    image: NDArray[np.uint8]
    """(128, 128, 3): pre-contrast, FLAIR, post-contrast."""
    head: NDArray[np.bool_]
    brain: NDArray[np.bool_]


def draw_head(
    *,
    angle: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    scalp: tuple[int, int, int] = (220, 120, 220),
    seed: int = 0,
) -> DrawnHead:
    """A head, turned by some degrees about its middle, which lies some pixels (down, right) of the slice's.

    It is symmetric about its own long axis but for noise, and has two pairs of darker nuclei that fix that axis.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    rows, columns = rows - shift[0], columns - shift[1]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = cosine * columns + sine * rows, cosine * rows - sine * columns
    head, skull, brain = (((x / (44 - rim)) ** 2 + (y / (54 - rim)) ** 2) < 1 for rim in (0, 5, 9))
    image = np.zeros((SIDE, SIDE, 3))
    image[head], image[skull], image[brain] = scalp, (12, 12, 12), (90, 80, 90)
    for middle in ((15.0, -18.0), (22.0, 14.0)):
        nuclei = (np.abs(x) - middle[0]) ** 2 + (y - middle[1]) ** 2 < 49
        image[nuclei] = (60, 130, 60)
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return DrawnHead(np.clip(image + noise * head[..., None], 0, 255).astype(np.uint8), head, brain)


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max((one | other).sum(), 1))
