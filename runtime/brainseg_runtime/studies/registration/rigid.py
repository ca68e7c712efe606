"""Rigid registration of a T1 series onto FLAIR, header first, and whether it can be trusted.

Two steps. SimpleITK maximises mutual information of the whole pictures, from coarse to fine, from where the headers put
the two and from the centres of the heads; that finds motions of several centimetres. Then the similarity inside the
head (`similarity`) is maximised, one turn or shift after the other, which is what a mask needs. Deterministic: samples
are seeded, and the second step starts from a rounded motion.

Source: Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 2003 (first step).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.registration.resampling import coarser, image_of, simpleitk
from brainseg_runtime.studies.registration.similarity import Similarity, moved
from brainseg_runtime.studies.result import Registration

if TYPE_CHECKING:
    import SimpleITK

FEWEST_SLICES: Final = 4
"""Slices below which the header is kept: a slice alone can be shifted out of the other without a penalty."""

LEAST_QUALITY: Final = 0.15
"""Quality below which a registration is not trusted.

Quality is the part of the similarity (its excess over 1) that is lost, on average, when one volume is turned or shifted
by 4 mm from where it was put. Where the two show one head, structures match and the loss is large; where they do not,
only the heads' outlines match, and it is small.
"""

LEAST_GAIN: Final = 0.03
"""Part by which the similarity's excess over 1 must grow for a motion to be applied."""

LEAST_GAIN_ON_ONE_GRID: Final = 0.10
"""The same where both series have one grid, and the scanner planned them to lie in place."""

KEPT_MM: Final = 1.0
"""Mean displacement up to which the header is kept where both series have one grid, whatever the gain."""


@dataclass(frozen=True, kw_only=True)
class _Level:
    """One resolution of SimpleITK's search.

    Attributes:
        spacing_mm: About the distance of voxels; axes that are coarser stay.
        samples: About how many voxels are compared.
        first_mm: First step.
        last_mm: Step at which the search ends.
        steps: Most steps.
    """

    spacing_mm: float
    samples: int
    first_mm: float
    last_mm: float
    steps: int


_COARSE: Final = _Level(spacing_mm=6.0, samples=20_000, first_mm=4.0, last_mm=0.02, steps=100)
_FINER: Final = _Level(spacing_mm=3.0, samples=40_000, first_mm=1.0, last_mm=0.01, steps=60)

_RELAXATION: Final = 0.7
"""By which a step shrinks where the direction turns; at 0.5 the search stops early, up to 0.6 mm from its end."""

_FEWEST: Final = 4
"""Least slices for a rigid motion to be told, and for SimpleITK's smoothing."""

_DIGITS: Final = (4, 4, 4, 2, 2, 2)
"""Decimals kept of turns (rad) and shifts (mm), 0.01 mm: SimpleITK sums in several threads, and its last bits vary."""

_BINS: Final = 32
_SEED: Final = 1

_STEPS_MM: Final = (3.0, 1.5, 0.75, 0.75)
"""Steps of the second search, one round over all turns and shifts with each."""

_ARM_MM: Final = 70.0
"""Distance from the head's centre at which a turn's step is measured: about the brain's radius."""

_OFF_MM: Final = 4.0
"""Turns and shifts by which quality is measured."""

_MOST_MOVES: Final = 3
"""Most steps into one direction within a round."""


def register(moving: Volume, fixed: Volume, *, same_frame: bool = True) -> Registration:
    """Bring a volume onto another.

    Args:
        moving: Grey levels of a T1 series.
        fixed: Grey levels of FLAIR.
        same_frame: Whether the headers share a frame of reference, so that they say how the two lie.

    Returns:
        The motion and its quality, which the caller compares with `LEAST_QUALITY`.

    Raises:
        MissingExtraError: SimpleITK is not installed.
    """
    similarity = Similarity.of(moving, fixed)
    if same_frame and min(*moving.grid.shape, *fixed.grid.shape) < FEWEST_SLICES:
        return _unmoved(similarity, f"header kept: fewer than {FEWEST_SLICES} slices do not tell a motion across them")
    header = np.eye(4)
    starts = [header, _centring(similarity)] if same_frame else [_centring(similarity)]
    coarse = [_search(moving, fixed, similarity.centre, start, _COARSE) for start in starts]
    best = max([*starts, *coarse], key=similarity.at)
    finer = _search(moving, fixed, similarity.centre, best, _FINER)
    found = _refined(similarity, max([best, finer], key=similarity.at))
    reached, before, motion = similarity.at(found), similarity.at(header), similarity.displacement(found)
    if same_frame and _is_in_place(before, reached, motion, one_grid=moving.grid.same_as(fixed.grid)):
        note = f"header kept: a motion of {motion:.1f} mm would fit no better than can be told"
        return _unmoved(similarity, note)
    note = "registered from the header" if same_frame else "registered from the centres of the heads"
    return Registration(
        matrix=found,
        quality=_quality(similarity, found),
        similarity=reached,
        rotation_deg=_angle(found),
        translation_mm=motion,
        applied=True,
        note=note,
    )


def by_header(moving: Volume, fixed: Volume) -> Registration:
    """The header's geometry as it is, and how well the two fit by it.

    Args:
        moving: Grey levels of a T1 series.
        fixed: Grey levels of FLAIR.
    """
    return _unmoved(Similarity.of(moving, fixed), "registration was switched off: the header's geometry is taken")


def _is_in_place(before: float, reached: float, motion: float, *, one_grid: bool) -> bool:
    """Whether the header's geometry is kept: a motion found gains too little, or is too small to be told from none."""
    least = LEAST_GAIN_ON_ONE_GRID if one_grid else LEAST_GAIN
    return reached - before <= least * (before - 1) or (one_grid and motion <= KEPT_MM)


def _unmoved(similarity: Similarity, note: str) -> Registration:
    """The header's geometry."""
    header = np.eye(4)
    return Registration(
        matrix=header,
        quality=_quality(similarity, header),
        similarity=similarity.at(header),
        rotation_deg=0.0,
        translation_mm=0.0,
        applied=False,
        note=note,
    )


def _quality(similarity: Similarity, matrix: NDArray[np.float64]) -> float:
    """Part of the similarity that is lost by small turns and shifts, 0 to 1; 0 if there is none."""
    reached = similarity.at(matrix)
    if reached <= 1:
        return 0.0
    near = [
        similarity.at(matrix @ _motion(similarity.centre, axis, off))
        for axis in range(6)
        for off in (-_OFF_MM, _OFF_MM)
    ]
    return float(np.clip((reached - np.mean(near)) / (reached - 1), 0, 1))


def _centring(similarity: Similarity) -> NDArray[np.float64]:
    """The shift that brings the centre of one head onto the other's."""
    matrix = np.eye(4)
    matrix[:3, 3] = similarity.moving_centre - similarity.centre
    return matrix


def _search(
    moving: Volume, fixed: Volume, centre: NDArray[np.float64], start: NDArray[np.float64], level: _Level
) -> NDArray[np.float64]:
    """SimpleITK's rigid motion of most mutual information near a start, as turns about a centre and a shift."""
    target, source = coarser(fixed, level.spacing_mm), coarser(moving, level.spacing_mm)
    transform: SimpleITK.Euler3DTransform = simpleitk().Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation((moved(centre, start) - centre).tolist())
    method = _method(level, target.grid)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(image_of(target), image_of(source))
    except RuntimeError:  # what ITK raises where the two do not overlap: from there nothing can be found
        return start
    transform.SetParameters(
        [round(each, digits) for each, digits in zip(transform.GetParameters(), _DIGITS, strict=True)]
    )
    return _matrix(transform)


def _method(level: _Level, grid: Grid) -> SimpleITK.ImageRegistrationMethod:
    """SimpleITK's search at one resolution."""
    itk = simpleitk()
    method: SimpleITK.ImageRegistrationMethod = itk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, level.samples / float(np.prod(grid.shape))), _SEED)
    method.SetInterpolator(itk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        level.first_mm, level.last_mm, level.steps, relaxationFactor=_RELAXATION, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _matrix(transform: SimpleITK.Transform) -> NDArray[np.float64]:
    """A rigid transform as a matrix."""
    matrix = np.eye(4)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    for axis, unit in enumerate(np.eye(3)):
        matrix[:3, axis] = np.array(transform.TransformPoint(unit.tolist())) - origin
    matrix[:3, 3] = origin
    return matrix


def _refined(similarity: Similarity, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The motion of most similarity near another, by one turn or shift after the other."""
    quality = similarity.at(matrix)
    for step in _STEPS_MM:
        for axis in (3, 4, 5, 0, 1, 2):  # shifts first, turns after
            matrix, quality = _climbed(similarity, matrix, quality, axis, step)
    return matrix


def _climbed(
    similarity: Similarity, matrix: NDArray[np.float64], quality: float, axis: int, step: float
) -> tuple[NDArray[np.float64], float]:
    """The best motion along one turn or shift: steps uphill, then the top of the parabola through three."""
    for _ in range(_MOST_MOVES):
        sides = [matrix @ _motion(similarity.centre, axis, sign * step) for sign in (-1, 1)]
        before, after = (similarity.at(side) for side in sides)
        if max(before, after) > quality:
            matrix, quality = (sides[0], before) if before > after else (sides[1], after)
            continue
        curvature = before - 2 * quality + after
        if curvature < 0:
            top = matrix @ _motion(similarity.centre, axis, 0.5 * step * (before - after) / curvature)
            reached = similarity.at(top)
            if reached > quality:
                return top, reached
        break
    return matrix, quality


def _motion(centre: NDArray[np.float64], axis: int, step_mm: float) -> NDArray[np.float64]:
    """A turn about x, y or z through a centre (axis 0 to 2), or a shift along them (3 to 5)."""
    matrix = np.eye(4)
    if axis >= 3:
        matrix[axis - 3, 3] = step_mm
        return matrix
    cosine, sine = np.cos(step_mm / _ARM_MM), np.sin(step_mm / _ARM_MM)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


def _angle(matrix: NDArray[np.float64]) -> float:
    """Angle of a rotation in degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
