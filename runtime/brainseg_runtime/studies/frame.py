"""The frame that the network sees: FLAIR's slices turned upright, axial, at 256 x 256, and the way back.

The frame keeps FLAIR's own axes: they are exchanged and reversed so that columns run towards the patient's left, rows
towards the back and slices towards the head, and nothing is turned by an angle. So a tilted head keeps its slices, and
a sagittal or coronal acquisition is cut axially along its own axes. In-plane the slices are brought to square pixels,
the shorter side to 256, and cropped at the centre, as the training data was; only a head that is cut off by this, or
fills less of it than the training data's heads, gets a square of its own.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices, H rows, W columns after turning; S the frame's side, 256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import GeometryError
from brainseg_runtime.studies.geometry import AXIAL, Grid, Volume
from brainseg_runtime.studies.head import HeadBox, head_box
from brainseg_runtime.studies.series import Role

SIDE: Final = 256
"""Rows and columns of the frame, as the training data has them."""

CHANNELS: Final[tuple[Role, Role, Role]] = ("pre", "flair", "post")
"""The roles in the order of the model's channels."""

LEAST_FILLED: Final = 0.70
"""Part of the square's side that a head must fill; in the training data's 94 patients it fills 0.77 to 1.0."""

FILLED: Final = 0.85
"""Part of the square's side that a head fills which was too small: the training data's median."""

LEAST_WIDTH_MM: Final = 40.0
"""Width and height of an axial slice below which it shows no head: few sagittal or coronal slices, cut axially."""

_CUT_OFF: Final = 0.02
"""Part of the side by which a head's box may exceed the square: half of the scalp's thickness."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Where the network's 256 x 256 slices lie in FLAIR's grid. Make one with `of`.

    Attributes:
        flair: FLAIR's grid.
        axes: The axes of FLAIR's arrays that run along the head, from front to back, and from side to side.
        reversed_axes: Which of these three run the wrong way in FLAIR's arrays.
        corner: Upper and left edge of the square, in pixels of the turned slices; 0 is the edge of the first pixel.
        step: Rows and columns of the turned slices in one pixel of the frame.
        zoomed: Whether the square was laid around the head, since it filled too little of the slices.
    """

    flair: Grid
    axes: tuple[int, int, int]
    reversed_axes: tuple[bool, bool, bool]
    corner: tuple[float, float]
    step: tuple[float, float]
    zoomed: bool = False

    @classmethod
    def of(cls, flair: Volume) -> Self:
        """The frame of a FLAIR volume.

        Args:
            flair: (K, R, C) of any orientation; its values tell where the head is.

        Raises:
            GeometryError: The volume is too thin to be cut into axial slices.

        Examples:
            >>> grid = Grid(shape=(2, 256, 256), spacing=(5.0, 0.9, 0.9), directions=AXIAL, origin=np.zeros(3))
            >>> frame = Frame.of(Volume(voxels=np.ones(grid.shape, np.float32), grid=grid))
            >>> frame.corner, frame.step
            ((0.0, 0.0), (1.0, 1.0))
        """
        axes, reversed_axes = _upright(flair.grid)
        turned = _turned(flair.voxels, axes, reversed_axes)
        spacing = [flair.grid.spacing[axis] for axis in axes]
        _require_width(turned.shape[1] * spacing[1], turned.shape[2] * spacing[2])
        square = _square(turned.shape, (spacing[0], spacing[1], spacing[2]), head_box(turned))
        pixel = square.side / SIDE
        top, height = _snapped(square.top / spacing[1], pixel / spacing[1])
        left, width = _snapped(square.left / spacing[2], pixel / spacing[2])
        return cls(
            flair=flair.grid,
            axes=axes,
            reversed_axes=reversed_axes,
            corner=(top, left),
            step=(height, width),
            zoomed=square.zoomed,
        )

    @property
    def slices(self) -> int:
        """Number of the frame's slices, N."""
        return self.flair.shape[self.axes[0]]

    @property
    def is_copy(self) -> bool:
        """Whether the frame's pixels are FLAIR's own, none resampled."""
        return self.step == (1.0, 1.0) and all(edge.is_integer() for edge in self.corner)

    @property
    def grid(self) -> Grid:
        """The frame's own grid, (N, 256, 256) voxels."""
        signs = np.where(self.reversed_axes, -1.0, 1.0)
        steps = self.flair.steps[list(self.axes)] * signs[:, None]
        lengths = np.array([self.flair.shape[axis] for axis in self.axes])
        first = np.zeros(3)
        first[list(self.axes)] = np.where(self.reversed_axes, lengths - 1, 0)
        scale = np.array([1.0, *self.step])
        offset = np.array([0.0, *(edge + step / 2 - 0.5 for edge, step in zip(self.corner, self.step, strict=True))])
        spacing = np.linalg.norm(steps, axis=1)
        depth, height, width = (float(value) for value in spacing * scale)
        return Grid(
            shape=(self.slices, SIDE, SIDE),
            spacing=(depth, height, width),
            directions=steps / spacing[:, None],
            origin=self.flair.positions(first) + offset @ steps,
        )

    def take(self, volumes: Mapping[Role, Volume]) -> NDArray[np.uint8]:
        """The network's input.

        Args:
            volumes: Grey levels 0 to 255 on FLAIR's grid, by role; where "pre" or "post" is missing, FLAIR is repeated.

        Returns:
            (N, 256, 256, 3) uint8, channels pre-contrast, FLAIR, post-contrast; 0 outside the slices.
        """
        images = np.empty((self.slices, SIDE, SIDE, 3), np.uint8)
        for channel, role in enumerate(CHANNELS):
            if role in volumes or role == "flair":
                images[..., channel] = np.clip(np.rint(self.take_one(volumes[role].voxels)), 0, 255)
        for channel, role in enumerate(CHANNELS):
            if role not in volumes:
                images[..., channel] = images[..., CHANNELS.index("flair")]
        return images

    def take_one(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        """One volume in the frame.

        Args:
            voxels: (K, R, C) float32 on FLAIR's grid.

        Returns:
            (N, 256, 256) float32; 0 outside the slices.
        """
        turned = _turned(voxels, self.axes, self.reversed_axes)
        for axis in (1, 2):
            corner, step = self.corner[axis - 1], self.step[axis - 1]
            turned = _resized(turned, axis, SIDE, corner, step)
        return turned

    def back(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """A map of the frame on FLAIR's grid.

        Args:
            probability: (N, 256, 256) float32.

        Returns:
            (K, R, C) float32; 0 outside the frame.
        """
        turned = probability
        for axis in (1, 2):
            corner, step = self.corner[axis - 1], self.step[axis - 1]
            length = self.flair.shape[self.axes[axis]]
            turned = _resized(turned, axis, length, -corner / step, 1 / step)
        flipped = turned[_flips(self.reversed_axes)]
        return np.ascontiguousarray(np.transpose(flipped, np.argsort(self.axes)))


@dataclass(frozen=True, kw_only=True)
class _Square:
    """A square of the turned slices, mm from their upper left corner."""

    top: float
    left: float
    side: float
    zoomed: bool = False


_TRUSTED_MM: Final = 80.0
"""Length of a volume, along the head, from which the widest slice is among its slices."""

_SHORT_HEAD_MM: Final = 180.0
"""Length of an adult's head, front to back, at its least: taken where too few slices are there to measure it."""


def _square(shape: tuple[int, ...], spacing: tuple[float, float, float], box: HeadBox) -> _Square:
    """The square that becomes the frame.

    Args:
        shape: N, H, W.
        spacing: Of slices, rows, columns in mm.
        box: The head's edges in pixels.
    """
    depth, height, width = (length * step for length, step in zip(shape, spacing, strict=True))
    side = min(height, width)
    centres = [height / 2, width / 2]
    edges = ((box.top * spacing[1], box.bottom * spacing[1]), (box.left * spacing[2], box.right * spacing[2]))
    head = max(end - start for start, end in edges)
    whole = head if depth >= _TRUSTED_MM else max(head, _SHORT_HEAD_MM)
    zoomed = whole < LEAST_FILLED * side
    if zoomed:
        side = whole / FILLED
    side = side if head <= side * (1 + 2 * _CUT_OFF) else head
    for axis, (start, end) in enumerate(edges):
        outside = max(centres[axis] - side / 2 - start, end - centres[axis] - side / 2)
        if zoomed or outside > _CUT_OFF * side:
            centres[axis] = (start + end) / 2
    return _Square(top=centres[0] - side / 2, left=centres[1] - side / 2, side=side, zoomed=zoomed)


def _require_width(height_mm: float, width_mm: float) -> None:
    """Refuse what shows a strip of the head alone."""
    if min(height_mm, width_mm) < LEAST_WIDTH_MM:
        raise GeometryError(
            "FLAIR is too thin to be cut into axial slices",
            expected=f"at least {LEAST_WIDTH_MM:g} mm from front to back and from side to side",
            got=f"{height_mm:.0f} and {width_mm:.0f} mm",
            remedy="give a FLAIR series that covers the head: axial slices, or more sagittal or coronal ones",
        )


_SAME_STEP: Final = 1e-4
"""Difference of a step from 1 that is a header's rounding: over 256 pixels it moves none by more than 0.03."""


def _snapped(corner: float, step: float) -> tuple[float, float]:
    """Corner and step, so that pixels which are the frame's but for rounding or half a pixel are not resampled."""
    return (float(np.floor(corner + _SAME_STEP)), 1.0) if abs(step - 1) <= _SAME_STEP else (corner, step)


def _upright(grid: Grid) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """The axes that come nearest to head, back and left, and which of them run the other way."""
    cosines = grid.directions @ AXIAL.T  # axis of the array by axis of the frame
    best = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[axis, n]) for n, axis in enumerate(axes)))
    head, back, left = best
    return (head, back, left), (bool(cosines[head, 0] < 0), bool(cosines[back, 1] < 0), bool(cosines[left, 2] < 0))


def _turned(
    voxels: NDArray[np.float32], axes: tuple[int, int, int], reversed_axes: tuple[bool, bool, bool]
) -> NDArray[np.float32]:
    """(N, H, W): slices from feet to head, rows from front to back, columns from right to left."""
    return np.transpose(voxels, axes)[_flips(reversed_axes)]


def _flips(reversed_axes: tuple[bool, bool, bool]) -> tuple[slice, slice, slice]:
    """The index that reverses axes."""
    first, second, third = (slice(None, None, -1 if backwards else 1) for backwards in reversed_axes)
    return first, second, third


def _resized(volume: NDArray[np.float32], axis: int, length: int, start: float, step: float) -> NDArray[np.float32]:
    """A volume resampled along one axis: linear between voxels, and averaged where a new voxel covers several.

    Sums run over few neighbours in a fixed order, so that the result does not depend on threads. Where the new voxels
    are the old ones, the volume is returned as it is.

    Args:
        volume: Three axes.
        axis: Which of them.
        length: New voxels.
        start: Edge of the first new voxel, in old voxels from the edge of the first old one.
        step: Old voxels in a new one.
    """
    old = volume.shape[axis]
    if length == old and start == 0 and step == 1:
        return volume
    indices, weights = _neighbours(old, length, start, step)
    shape = [1, 1, 1]
    shape[axis] = length
    sums = np.zeros((*volume.shape[:axis], length, *volume.shape[axis + 1 :]), np.float32)
    for neighbour, weight in zip(indices, weights, strict=True):
        sums += np.take(volume, neighbour, axis=axis) * weight.reshape(shape)
    return sums


def _neighbours(old: int, new: int, start: float, step: float) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each new voxel the old ones that it is made of and their weights, (T, new); weights are 0 outside."""
    reach = max(step, 1.0)  # of the triangle around a new voxel's centre
    centres = start + (np.arange(new) + 0.5) * step - 0.5
    first = np.ceil(centres - reach).astype(np.intp)
    taps = first[None] + np.arange(int(np.floor(2 * reach)) + 1)[:, None]
    weights = np.maximum(0.0, 1 - np.abs(taps - centres) / reach)
    weights[(taps < 0) | (taps >= old)] = 0
    total = weights.sum(axis=0)
    inside = (centres >= -0.5) & (centres <= old - 0.5) & (total > 0)
    scaled = np.where(inside, weights / np.where(total > 0, total, 1), 0)
    return np.clip(taps, 0, old - 1), scaled.astype(np.float32)
