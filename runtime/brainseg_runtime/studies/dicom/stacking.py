"""The slices of a series as a regular grid, or what is wrong with them.

Nothing is guessed and nothing resampled: slices must share one orientation, one size and one frame of reference, and
lie one above the other at even distances. What deviates by more than rounding is an error that names the files.

Legend: K slices, R rows, C columns. Positions in mm, LPS.
Source: DICOM PS3.3 C.7.6.2.1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import GeometryError
from brainseg_runtime.problems import first_few
from brainseg_runtime.studies.dicom.slices import Slice
from brainseg_runtime.studies.geometry import SAME_MM, Grid

_SAME_DIRECTION: Final = 1e-3
"""Largest difference of two direction cosines that count as equal: 0.06°; some headers carry three digits."""

_RIGHT_ANGLE: Final = 5e-3
"""Largest cosine between rows and columns, and deviation of their lengths from 1: 0.3°, beyond any rounding."""

_ROUNDED_MM: Final = 0.1
"""Largest deviation of a slice from its place that counts as rounding: twice that of positions with one digit."""

_UNEVEN: Final = (0.01, 0.1)
"""The same as a part of the spacing: always allowed, and at most, so that no gap between thin slices is rounding."""

_DRIFT: Final = 2e-3
"""Largest sideways drift a mm of height that counts as rounding of the orientation: 0.1°."""

_SPACING_MM: Final = (0.01, 100.0)
_FARTHEST_MM: Final = 1e5
_MOST_VOXELS: Final = 1 << 28
"""Largest volume: 512 × 512 × 1024; as float32 it takes 1 GiB."""

_REMEDY: Final = "export the series again from its source, with all its slices as they were acquired"


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Slices in order.

    Attributes:
        slices: Along the normal of rows × columns.
        grid: Where they lie.
        notes: What was handled and is worth telling.
    """

    slices: tuple[Slice, ...]
    grid: Grid
    notes: tuple[str, ...]


def stack(slices: Sequence[Slice], name: str, same_values: Callable[[Slice, Slice], bool]) -> Stack:
    """Sort slices into a regular grid.

    Args:
        slices: In any order, at least one.
        name: The series' name in messages.
        same_values: Whether two slices hold the same values; asked for slices at the same place.

    Raises:
        GeometryError: They lie on no regular grid, or their headers do not say where they lie.
    """
    _check_complete(slices, name)
    _check_alike(slices, name)
    directions = _directions(slices, name)
    heights = np.array([each.place.position for each in slices], np.float64) @ directions[0]
    ordered = [slices[index] for index in np.argsort(heights, kind="stable")]
    kept, notes = _without_duplicates(ordered, directions, name, same_values)
    spacing, more = _slice_spacing(kept, directions, name)
    rows, columns = kept[0].place.spacing or (0.0, 0.0)
    shape = (len(kept), *_size(kept[0]))
    if np.prod(shape, dtype=np.float64) > _MOST_VOXELS:
        raise GeometryError(f"{name} is too large", expected=f"at most {_MOST_VOXELS:,} voxels", got=_times(shape))
    grid = Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing=(spacing, rows, columns),
        directions=directions,
        origin=np.array(kept[0].place.position, np.float64),
    )
    return Stack(slices=tuple(kept), grid=grid, notes=(*notes, *more))


def _check_complete(slices: Sequence[Slice], name: str) -> None:
    """Refuses slices whose headers do not say where they lie, or say what cannot be."""
    for what, tag in (
        ("position", "ImagePositionPatient"),
        ("orientation", "ImageOrientationPatient"),
        ("spacing", "PixelSpacing"),
    ):
        lacking = [each for each in slices if getattr(each.place, what) is None]
        if lacking:
            raise GeometryError(
                f"{name}: {_few(lacking)} without a valid {tag}",
                expected=f"{tag} in each of {len(slices):,} slices",
                got=f"{len(slices) - len(lacking):,}",
                remedy=_REMEDY,
            )
    low, high = _SPACING_MM
    wrong = [each for each in slices if not all(low <= value <= high for value in each.place.spacing or ())]
    if wrong:
        raise GeometryError(
            f"{name}: wrong PixelSpacing in {_few(wrong)}",
            expected=f"{low:g} to {high:g} mm",
            got=_values(wrong[0].place.spacing),
        )
    far = [each for each in slices if max(map(abs, each.place.position or ())) > _FARTHEST_MM]
    if far:
        raise GeometryError(f"{name}: {_few(far)} outside any scanner", got=_values(far[0].place.position))


def _check_alike(slices: Sequence[Slice], name: str) -> None:
    """Refuses slices that differ in size, spacing, orientation or frame of reference."""
    parts: tuple[tuple[str, Callable[[Slice], tuple[float, ...]], float], ...] = (
        ("sizes", _size, 0.0),
        ("pixel spacings", lambda each: each.place.spacing or (), 1e-3),
        ("orientations", lambda each: each.place.orientation or (), _SAME_DIRECTION),
    )
    for what, value, tolerance in parts:
        groups = _grouped([np.array(value(each), np.float64) for each in slices], tolerance)
        if len(groups) > 1:
            raise _differing(name, what, [[slices[index] for index in group] for group in groups], value)
    frames = {each.file.frame_of_reference for each in slices}
    if len(frames) > 1:
        raise GeometryError(
            f"{name} has {len(frames)} frames of reference, so its slices do not belong together",
            expected="one FrameOfReferenceUID",
            got=_few([next(each for each in slices if each.file.frame_of_reference == uid) for uid in sorted(frames)]),
            remedy=_REMEDY,
        )


def _differing(
    name: str, what: str, groups: Sequence[Sequence[Slice]], value: Callable[[Slice], tuple[float, ...]]
) -> GeometryError:
    shown = "; ".join(f"{_values(value(group[0]))} in {_few(group)}" for group in groups[:4])
    return GeometryError(f"{name} has slices of {len(groups)} {what}", expected="one", got=shown, remedy=_REMEDY)


def _grouped(values: Sequence[NDArray[np.float64]], tolerance: float) -> list[list[int]]:
    """Indices of values that are alike, the largest group first."""
    groups: list[list[int]] = []
    for index, value in enumerate(values):
        home = next((group for group in groups if np.abs(values[group[0]] - value).max() <= tolerance), None)
        if home is not None:
            home.append(index)
        elif len(groups) < 64:  # enough to tell that they differ; their number is not the point
            groups.append([index])
    return sorted(groups, key=len, reverse=True)


def _directions(slices: Sequence[Slice], name: str) -> NDArray[np.float64]:
    """(3, 3) float64; unit vectors along slices, rows, columns; at right angles to each other."""
    along_columns, along_rows = np.array(slices[0].place.orientation, np.float64).reshape(2, 3)
    lengths = np.linalg.norm([along_columns, along_rows], axis=1)
    cosine = float(along_columns @ along_rows)
    if np.abs(lengths - 1).max() > _RIGHT_ANGLE or abs(cosine) > _RIGHT_ANGLE:
        raise GeometryError(
            f"{name} has a wrong ImageOrientationPatient",
            expected="two unit vectors at right angles",
            got=_values(slices[0].place.orientation),
            remedy=_REMEDY,
        )
    along_columns = along_columns / lengths[0]
    along_rows = along_rows - (along_rows @ along_columns) * along_columns
    along_rows = along_rows / np.linalg.norm(along_rows)
    return np.stack([np.cross(along_columns, along_rows), along_rows, along_columns])


def _without_duplicates(
    ordered: Sequence[Slice],
    directions: NDArray[np.float64],
    name: str,
    same_values: Callable[[Slice, Slice], bool],
) -> tuple[list[Slice], tuple[str, ...]]:
    """Slices without those that repeat the one at their place.

    Raises:
        GeometryError: Two slices at one place differ.
    """
    kept = [ordered[0]]
    repeated: list[Slice] = []
    different: list[tuple[Slice, Slice]] = []
    for each in ordered[1:]:
        step = np.subtract(each.place.position or (), kept[-1].place.position or ())
        if np.linalg.norm(step) > SAME_MM and abs(step @ directions[0]) > SAME_MM:
            kept.append(each)
        elif np.linalg.norm(step) <= SAME_MM and (different or same_values(kept[-1], each)):
            repeated.append(each)
        else:
            different.append((kept[-1], each))
    if different:
        raise _overlapping(ordered, different, name)
    if not repeated:
        return kept, ()
    return kept, (f"{name}: {len(repeated)} left out as repetitions of slices at the same place: {_few(repeated)}",)


def _overlapping(ordered: Sequence[Slice], different: Sequence[tuple[Slice, Slice]], name: str) -> GeometryError:
    """The error for different slices at one height, with what their headers tell them apart by."""
    one, other = different[0]
    names = sorted({*one.telling, *other.telling})
    apart = [tag for tag in names if one.telling.get(tag) != other.telling.get(tag)]
    values = [f"{tag} {one.telling.get(tag, 'none')} and {other.telling.get(tag, 'none')}" for tag in apart[:3]]
    return GeometryError(
        f"{name} holds different slices at the same place, so it is more than one volume: "
        f"{one.label} and {other.label}",
        expected="one slice at each place",
        got=f"{len(ordered):,} slices; the two differ in {'; '.join(values) if values else 'their pixels alone'}",
        remedy="split the series into its volumes (echoes, time points, image types), or leave it out",
    )


def _slice_spacing(
    slices: Sequence[Slice], directions: NDArray[np.float64], name: str
) -> tuple[float, tuple[str, ...]]:
    """Distance in mm between neighbouring slices, and notes on it.

    Raises:
        GeometryError: It is uneven, slices are missing, or they are shifted against each other.
    """
    if len(slices) == 1:
        return _single_spacing(slices[0], name)
    offsets = np.array([each.place.position for each in slices], np.float64) - np.array(slices[0].place.position)
    heights = offsets @ directions[0]
    _check_even(slices, heights, name)
    drift = np.linalg.norm(offsets - heights[:, None] * directions[0], axis=1)
    allowed = np.maximum(_ROUNDED_MM, _DRIFT * heights)
    if (drift > allowed).any():
        worst = int(np.argmax(drift - allowed))
        angle = np.degrees(np.arctan2(drift[worst], heights[worst]))
        raise GeometryError(
            f"{name} has slices that are shifted against each other, as a tilted gantry makes them: "
            f"{slices[0].label} and {slices[worst].label}",
            expected="slices straight above each other",
            got=f"{drift[worst]:.2f} mm sideways over {heights[worst]:.2f} mm, {angle:.1f}°",
            remedy="reconstruct the series without tilt",
        )
    spacing = float(heights[-1]) / (len(slices) - 1)
    return spacing, _spacing_notes(slices[0], spacing, name)


def _check_even(slices: Sequence[Slice], heights: NDArray[np.float64], name: str) -> None:
    """Refuses gaps and uneven distances."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    tolerance = max(_UNEVEN[0] * usual, min(_ROUNDED_MM, _UNEVEN[1] * usual))
    numbers = np.arange(len(heights))
    even = np.polynomial.Polynomial.fit(numbers, heights, 1)(numbers)
    if np.abs(heights - even).max() <= tolerance:
        return
    wrong = np.flatnonzero(np.abs(steps - usual) > 2 * tolerance)
    smallest = float(steps.min())
    parts = steps / smallest
    whole = np.abs(parts - np.rint(parts)).max() * smallest <= 2 * tolerance
    places = wrong.tolist() or [int(np.argmax(np.abs(steps - usual)))]
    if whole and smallest > 4 * tolerance and parts.max() >= 1.5:
        gaps = np.flatnonzero(parts >= 1.5).tolist()
        missing = sum(round(parts[k]) - 1 for k in gaps)
        between = [f"{slices[k].label} and {slices[k + 1].label} ({steps[k]:.2f} mm)" for k in gaps]
        raise GeometryError(
            f"{name} lacks slices: {missing:,} missing between {first_few(between)}",
            expected=f"{smallest:.2f} mm between neighbouring slices",
            got=f"up to {steps.max():.2f} mm",
            remedy=_REMEDY,
        )
    between = [f"{slices[k].label} and {slices[k + 1].label} ({steps[k]:.2f} mm)" for k in places]
    raise GeometryError(
        f"{name} has slices at uneven distances, such as {first_few(between)}",
        expected=f"{usual:.2f} mm, as between most of its slices",
        got=f"{steps.min():.2f} to {steps.max():.2f} mm",
        remedy=_REMEDY,
    )


def _single_spacing(one: Slice, name: str) -> tuple[float, tuple[str, ...]]:
    """The height of a single slice."""
    low, high = _SPACING_MM
    for value, tag in ((one.place.between, "SpacingBetweenSlices"), (one.place.thickness, "SliceThickness")):
        if value is not None and low <= value <= high:
            return value, (f"{name} has one slice; its height, {value:g} mm, is its {tag}",)
    raise GeometryError(
        f"{name} has one slice and does not say how thick it is: {one.label}",
        expected=f"SliceThickness of {low:g} to {high:g} mm",
        got=one.place.thickness,
    )


def _spacing_notes(one: Slice, spacing: float, name: str) -> tuple[str, ...]:
    """What the header says of the spacing, where positions contradict it."""
    stated = one.place.between
    if stated is None or stated <= 0 or abs(stated - spacing) <= max(_ROUNDED_MM, 0.05 * spacing):
        return ()
    more = ": every second slice may be missing" if abs(spacing - 2 * stated) <= 0.1 * stated else ""
    return (f"{name}: its slices lie {spacing:.2f} mm apart, its SpacingBetweenSlices says {stated:.2f} mm{more}",)


def _size(one: Slice) -> tuple[int, int]:
    return (0, 0) if one.file.format is None else (one.file.format.rows, one.file.format.columns)


def _few(slices: Iterable[Slice]) -> str:
    return first_few([each.label for each in slices])


def _values(values: Iterable[float] | None) -> str:
    return "none" if values is None else "\\".join(f"{value:g}" for value in values)


def _times(values: Iterable[float]) -> str:
    return " × ".join(f"{value:g}" for value in values)
