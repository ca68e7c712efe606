"""Rigid registration of a T1 series onto FLAIR, header first, and how well it can be trusted.

Positions are maximised for mutual information, from coarse to fine, starting where the headers put the two; where
the headers share no frame of reference, or the heads lie far apart, also from the centres of the heads. The result is
deterministic: one thread, seeded samples.

Source: Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 2003 (the metric);
Studholme et al., An overlap invariant entropy measure of 3D medical image alignment, Pattern Recognition 1999 (the
quality).

Legend: K slices, R rows, C columns; M voxels inside the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.head import inside_head
from brainseg_runtime.studies.result import Registration
from brainseg_runtime.studies.sitk_images import coarser, image_of, resample, simpleitk

if TYPE_CHECKING:
    import SimpleITK


@dataclass(frozen=True, kw_only=True)
class _Level:
    """One resolution of the search.

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


_LEVELS: Final = (
    _Level(spacing_mm=6.0, samples=20_000, first_mm=4.0, last_mm=0.02, steps=100),
    _Level(spacing_mm=3.0, samples=40_000, first_mm=1.0, last_mm=0.01, steps=60),
    _Level(spacing_mm=1.5, samples=60_000, first_mm=0.5, last_mm=0.005, steps=40),
)
_RELAXATION: Final = 0.7
"""By which a step shrinks where the direction turns; at 0.5 the search stops early, up to 0.6 mm from its end."""

_BINS: Final = 32
_SEED: Final = 1
_QUALITY_MM: Final = 3.0
"""Spacing at which quality is measured."""

LEAST_QUALITY: Final = 1.03
"""Quality below which a registration is not trusted."""

KEPT_MM: Final = 1.5
"""Mean displacement up to which the header is kept where both series have one grid."""

KEPT_GAIN: Final = 0.02
"""Gain in quality, of what exceeds 1, up to which it is kept."""


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
    view = _Compared.of(moving, fixed)
    header = np.eye(4)
    starts = [view.centring()] if not same_frame else [header, view.centring()]
    coarse = [_search(moving, fixed, start, _LEVELS[:1]) for start in starts]
    best = max(coarse, key=view.quality)
    found = _search(moving, fixed, best, _LEVELS[1:])
    quality, before = view.quality(found), view.quality(header)
    motion = view.motion(found)
    if same_frame and _not_needed(moving.grid.same_as(fixed.grid), motion, quality, before):
        note = f"header kept: the motion found, {motion:.1f} mm, is within what cannot be told from none"
        return Registration(
            matrix=header, quality=before, rotation_deg=0.0, translation_mm=0.0, applied=False, note=note
        )
    note = "registered from the header" if same_frame else "registered from the centres of the heads"
    return Registration(
        matrix=found,
        quality=quality,
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
    header = np.eye(4)
    return Registration(
        matrix=header,
        quality=_Compared.of(moving, fixed).quality(header),
        rotation_deg=0.0,
        translation_mm=0.0,
        applied=False,
        note="registration was switched off: the header's geometry is used as it is",
    )


def _not_needed(same_grid: bool, motion: float, quality: float, before: float) -> bool:
    return same_grid and motion <= KEPT_MM and quality - before <= KEPT_GAIN * (quality - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Compared:
    """Two volumes at the resolution at which their fit is measured, and where the heads are."""

    moving: Volume
    fixed: Volume
    head: NDArray[np.bool_]
    moving_centre: NDArray[np.float64]

    @classmethod
    def of(cls, moving: Volume, fixed: Volume) -> _Compared:
        small, own = coarser(moving, _QUALITY_MM), coarser(fixed, _QUALITY_MM)
        return cls(
            moving=small,
            fixed=own,
            head=inside_head(own.voxels),
            moving_centre=_centre(small.grid, inside_head(small.voxels)),
        )

    def centring(self) -> NDArray[np.float64]:
        """The shift that brings the centre of one head onto the other's."""
        matrix = np.eye(4)
        matrix[:3, 3] = self.moving_centre - _centre(self.fixed.grid, self.head)
        return matrix

    def quality(self, matrix: NDArray[np.float64]) -> float:
        """Normalised mutual information inside FLAIR's head, as far as the other volume reaches; 1 if independent."""
        other = resample(self.moving, self.fixed.grid, matrix, outside=-1.0).voxels
        both = self.head & (other >= 0)
        return _normalised_information(self.fixed.voxels[both], other[both])

    def motion(self, matrix: NDArray[np.float64]) -> float:
        """Mean displacement of the head's voxels, mm."""
        positions = self.fixed.grid.positions(np.argwhere(self.head))
        moved = positions @ matrix[:3, :3].T + matrix[:3, 3]
        return float(np.linalg.norm(moved - positions, axis=1).mean())


def _normalised_information(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """(H(A) + H(B)) / H(A, B), between 1 and 2, from a histogram of ranks.

    Args:
        first: (M,) values.
        second: (M,) values at the same places.
    """
    if first.size < 100 * _BINS:
        return 1.0
    joint, _, _ = np.histogram2d(_ranks(first), _ranks(second), bins=(np.arange(_BINS + 1), np.arange(_BINS + 1)))
    share = joint / joint.sum()
    whole = _entropy(share)
    return (_entropy(share.sum(axis=0)) + _entropy(share.sum(axis=1))) / whole if whole > 0 else 1.0


def _ranks(values: NDArray[np.float32]) -> NDArray[np.intp]:
    """The bin of each value; bins hold about equally many."""
    edges = np.percentile(values, np.linspace(0, 100, _BINS + 1)[1:-1])
    return np.searchsorted(edges, values, side="right")


def _entropy(share: NDArray[np.float64]) -> float:
    some = share[share > 0]
    return float(-(some * np.log(some)).sum())


def _search(
    moving: Volume, fixed: Volume, start: NDArray[np.float64], levels: tuple[_Level, ...]
) -> NDArray[np.float64]:
    """The rigid motion of most mutual information near a start, (4, 4)."""
    itk = simpleitk()
    transform = itk.Euler3DTransform()
    transform.SetCenter(_centre(fixed.grid, inside_head(fixed.voxels)).tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist(), 1e-6)
    shift = start[:3, :3] @ transform.GetCenter() + start[:3, 3] - transform.GetCenter()
    transform.SetTranslation(shift.tolist())
    for level in levels:
        target, source = coarser(fixed, level.spacing_mm), coarser(moving, level.spacing_mm)
        method = _method(level, target.grid)
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(image_of(target), image_of(source))
    return _matrix(transform)


def _method(level: _Level, grid: Grid) -> SimpleITK.ImageRegistrationMethod:
    """SimpleITK's search at one resolution."""
    itk = simpleitk()
    method = itk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums of several threads depend on how many there are
    method.SetMetricAsMattesMutualInformation(_BINS)
    part = min(1.0, level.samples / float(np.prod(grid.shape)))
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(part, _SEED)
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


def _centre(grid: Grid, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean position of a mask's voxels; the grid's middle if it is empty."""
    indices = np.argwhere(mask)
    middle = (np.array(grid.shape) - 1) / 2
    return grid.positions(indices.mean(axis=0) if len(indices) else middle)


def _angle(matrix: NDArray[np.float64]) -> float:
    """Angle of a rotation in degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
