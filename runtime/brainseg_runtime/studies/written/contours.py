"""Outlines of masks along the edges of pixels, with and without holes, and the longest axis within a slice.

An outline runs along the sides of pixels, not through their centres, so filling it gives the mask again, voxel for
voxel.

Legend: R rows, C columns; corners are counted in half-pixel steps from the centre of pixel (0, 0): corner (r, c) of the
outline lies at index (r - 0.5, c - 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.int64]
"""(V, 2) rows and columns of corners in order; the last is joined to the first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """One 4-connected region of a slice.

    Attributes:
        outer: Its outer outline, clockwise as the picture is shown.
        holes: Outlines of its holes, counter-clockwise.
    """

    outer: Corners
    holes: tuple[Corners, ...]

    def keyhole(self) -> Corners:
        """One outline that runs along a cut of no width into each hole and back, for formats that know no holes."""
        path = self.outer
        for hole in sorted(self.holes, key=lambda each: (int(each[:, 1].min()), int(each[:, 0].min()))):
            at = int(((path - hole[0]) ** 2).sum(axis=1).argmin())
            path = np.concatenate([path[: at + 1], hole, hole[:1], path[at:]])
        return path


@dataclass(frozen=True, kw_only=True)
class LongAxis:
    """The longest straight line between two points of one region within one slice, edge to edge.

    Attributes:
        mm: Its length.
        slice: Index of the slice, from 0.
    """

    mm: float
    slice: int


def regions(mask_rc: NDArray[np.generic]) -> list[Region]:
    """The regions of a slice, from top to bottom.

    Args:
        mask_rc: (R, C), nonzero inside.

    Examples:
        >>> [region.outer.tolist() for region in regions(np.ones((1, 2)))]
        [[[0, 0], [0, 2], [1, 2], [1, 0]]]
    """
    loops = _loops(np.asarray(mask_rc, bool))
    outers = [loop for loop in loops if _area(loop) > 0]
    holes: list[list[Corners]] = [[] for _ in outers]
    around = _Outlines(outers)
    for loop in loops:
        if _area(loop) < 0:
            holes[around.smallest(_beside(loop))].append(loop)
    return [Region(outer=outer, holes=tuple(inside)) for outer, inside in zip(outers, holes, strict=True)]


def long_axis(mask_krc: NDArray[np.uint8], spacing: tuple[float, float, float]) -> LongAxis | None:
    """The longest axis of a finding, measured as on a film: within a slice, from edge to edge of one region.

    Args:
        mask_krc: (K, R, C), 0 or 1.
        spacing: Of slices, rows, columns, mm.

    Returns:
        None for an empty mask; of equal ones the first.
    """
    best: LongAxis | None = None
    scale = np.array(spacing[1:])
    for k in np.flatnonzero(mask_krc.any(axis=(1, 2))).tolist():
        for region in regions(mask_krc[k]):
            length = _diameter(region.outer * scale)
            if best is None or length > best.mm + 1e-9:  # rounding does not move the axis to another slice
                best = LongAxis(mm=length, slice=k)
    return best


def _loops(mask: NDArray[np.bool_]) -> list[Corners]:
    """All closed outlines, the mask to their right, corners only; pixels that touch at a corner stay apart."""
    follows = _edges(mask)
    loops = []
    while follows:
        start = next(iter(follows))
        here, heading = start, follows[start][0]
        path: list[tuple[int, int]] = []
        while True:
            headings = follows[here]
            turned = _turn(heading, headings)
            if turned != heading or not path:
                path.append(here)
            headings.remove(turned)
            if not headings:
                del follows[here]
            here, heading = (here[0] + turned[0], here[1] + turned[1]), turned
            if here == start and not (here in follows and _turn(heading, follows[here]) == _right(heading)):
                break
        loops.append(_without_first_if_straight(path, heading))
    return loops


def _edges(mask: NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Headings that leave each corner along an edge of the mask, the mask to the right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (0, 1)),  # top, heading right
        (inside & ~padded[1:-1, 2:], (0, 1), (1, 0)),  # right, heading down
        (inside & ~padded[2:, 1:-1], (1, 1), (0, -1)),  # bottom, heading left
        (inside & ~padded[1:-1, :-2], (1, 0), (-1, 0)),  # left, heading up
    )
    found: list[tuple[int, int, tuple[int, int]]] = []
    for edge, (down, right), heading in sides:
        found.extend((row + down, column + right, heading) for row, column in np.argwhere(edge).tolist())
    follows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, column, heading in sorted(found):
        follows.setdefault((row, column), []).append(heading)
    return follows


def _right(heading: tuple[int, int]) -> tuple[int, int]:
    """The heading after a right turn, rows counted downwards."""
    return heading[1], -heading[0]


def _turn(heading: tuple[int, int], choices: list[tuple[int, int]]) -> tuple[int, int]:
    """Where an outline goes on: to the right where two ways part, which stays with the same pixel."""
    right = _right(heading)
    return right if right in choices else choices[0]


def _without_first_if_straight(path: list[tuple[int, int]], heading: tuple[int, int]) -> Corners:
    """The corners; the start is dropped if the outline runs straight through it."""
    first, second = path[0], path[1]
    leaving = (int(np.sign(second[0] - first[0])), int(np.sign(second[1] - first[1])))
    return np.array(path[1:] if leaving == heading else path, np.int64)


def _area(loop: Corners) -> float:
    """Signed area in pixels: positive for outer outlines."""
    rows, columns = loop.T
    return float((columns * np.roll(rows, -1) - np.roll(columns, -1) * rows).sum()) / 2


class _Outlines:
    """Outer outlines, to be searched for those around a point; boxes first, since a noisy mask has thousands."""

    def __init__(self, outers: list[Corners]) -> None:
        self._outers = outers
        self._order = np.argsort([_area(outer) for outer in outers], kind="stable")
        self._low = np.array([outers[index].min(axis=0) for index in self._order]).reshape(-1, 2)
        self._high = np.array([outers[index].max(axis=0) for index in self._order]).reshape(-1, 2)

    def smallest(self, point: NDArray[np.float64]) -> int:
        """Index of the smallest outline around a point of the mask, which always lies in one."""
        boxed = ((self._low < point) & (point < self._high)).all(axis=1)
        candidates: list[int] = self._order[boxed].tolist()
        return next(index for index in candidates if _contains(self._outers[index], point))


def _beside(loop: Corners) -> NDArray[np.float64]:
    """The centre, in corners' coordinates, of a pixel of the mask to the right of an outline's first edge."""
    step = np.sign(loop[1] - loop[0])
    return np.asarray(loop[0] + step * 0.5 + np.array([step[1], -step[0]]) * 0.5, np.float64)


def _contains(loop: Corners, point: NDArray[np.float64]) -> bool:
    """Whether a point lies inside, by the number of edges that a ray to the right crosses."""
    rows, columns = loop.T
    following = np.roll(rows, -1)
    crossing = (
        (np.minimum(rows, following) < point[0]) & (point[0] < np.maximum(rows, following)) & (columns > point[1])
    )
    return bool(np.count_nonzero(crossing) % 2)


def _diameter(points: NDArray[np.float64]) -> float:
    """Largest distance between two points, which are always two of the convex hull."""
    hull = _hull(points)
    distances = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    return float(distances.max())


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull, by Andrew's monotone chain."""
    ordered = sorted(map(tuple, points.tolist()))

    def half(chain: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        kept: list[tuple[float, ...]] = []
        for x, y in chain:
            while len(kept) > 1 and _left(kept[-2], kept[-1], (x, y)) <= 0:
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _left(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> float:
    """Above 0 if `c` lies to the left of the line from `a` to `b`."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
