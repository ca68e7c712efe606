"""The overview of a study on one picture: every warning, slices with their outlines, the volume and the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.written.pictures import WHITE, Picture, View, draw, with_text, with_warnings

_COLUMNS: Final = 4
_MOST: Final = 12
_TILE: Final = 256
_GAP: Final = 4


def preview(
    grey: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    grid: Grid,
    *,
    texts: Sequence[str],
    warnings: Sequence[str],
    colour: tuple[int, int, int],
) -> Picture:
    """An overview.

    Args:
        grey: (K, R, C) uint8, FLAIR for pictures.
        mask: (K, R, C), 0 or 1.
        grid: Of both.
        texts: Lines below the slices.
        warnings: In a red band above the slices.
        colour: Of the outlines.

    Returns:
        (H, W, 3) uint8.
    """
    view = View.of(grid)
    tiles = [_numbered(draw(grey[k], mask[k], view, longest=_TILE, colour=colour), k, len(mask)) for k in shown(mask)]
    return with_warnings(with_text(_tiled(tiles), [(text, WHITE) for text in texts]), warnings)


def shown(mask: NDArray[np.uint8]) -> list[int]:
    """Slices of an overview: evenly spread over those with a finding; over all if there is none.

    Examples:
        >>> shown(np.zeros((3, 8, 8), np.uint8))
        [0, 1, 2]
    """
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if slices.size == 0:
        slices = np.arange(len(mask))
    places = np.linspace(0, len(slices) - 1, min(_MOST, len(slices)))
    return [int(slices[round(place)]) for place in places.tolist()]


def _numbered(tile: Picture, k: int, count: int) -> Picture:
    """A tile with its slice's number below it."""
    return with_text(tile, [(f"Slice {k + 1} of {count}", WHITE)], size=11)


def _tiled(tiles: Sequence[Picture]) -> Picture:
    """Tiles of one size in rows of four."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // _COLUMNS)
    picture = np.zeros((rows * (height + _GAP), _COLUMNS * (width + _GAP), 3), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // _COLUMNS * (height + _GAP), place % _COLUMNS * (width + _GAP)
        picture[top : top + height, left : left + width] = tile
    return picture
