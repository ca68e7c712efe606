"""The phantom's head: tissues, lesions and look-alikes as smooth fields over a patient's slices.

Everything is drawn at half the image's resolution, in double precision, so that the same seed gives the same bytes
wherever numpy runs: processors differ by 1e-16, and only the last step rounds.

Legend: N slices, H rows, W columns. A field is (N, H, W) float64; a tissue covers a pixel where its field is above 0.
Lengths are in units of half the image's side; z runs from -1 (base of the skull) to 1 (vertex).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

_BRAIN = 0.83
"""Radius of the brain's surface where the scalp's is 1."""

# Signal of each tissue in (pre-contrast T1, FLAIR, post-contrast T1), as a fraction of full scale: the order of the
# tissues is that of clinical images at 1.5 T.
_SCALP = (0.85, 0.72, 0.88)
_SKULL = (0.07, 0.05, 0.08)
_FLUID = (0.16, 0.10, 0.17)
_GREY = (0.45, 0.50, 0.48)
_WHITE = (0.62, 0.38, 0.64)
_FAT = (0.92, 0.84, 0.93)
_VESSEL = (0.30, 0.20, 0.95)


@dataclass(frozen=True, kw_only=True)
class Head:
    """A drawn head, before it is imaged."""

    signal: NDArray[np.float64]
    """(3, N, H, W): pre-contrast, FLAIR, post-contrast; 0 is air, about 1 the brightest tissue."""
    lesion: Field
    """Above 0 inside the tumour."""


def draw_head(rng: np.random.Generator, slices: int, side: int) -> Head:
    """Draw one patient.

    Args:
        rng: Source of every draw.
        slices: How many, from the base of the skull to the vertex.
        side: Rows and columns, pixels.
    """
    canvas = _Canvas(rng, slices, side)
    ventricles = _draw_tissues(canvas)
    _draw_lookalikes(canvas, ventricles)
    lesion = _draw_lesions(canvas, ventricles)
    return Head(signal=canvas.signal, lesion=lesion)


def smooth_field(rng: np.random.Generator, grid: tuple[int, int, int], shape: tuple[int, int, int]) -> Field:
    """A random field as a cubic B-spline surface over a grid of normal coefficients; variance about 1/9 to 1.

    Args:
        rng: Source of the coefficients.
        grid: Cells along each axis: more cells, finer detail.
        shape: (N, H, W) of the field.
    """
    z, y, x = (_spline_basis(cells, length) for cells, length in zip(grid, shape, strict=True))
    coefficients = rng.standard_normal((z.shape[1], y.shape[1], x.shape[1]))
    rows = np.matmul(y, np.tensordot(z, coefficients, axes=1))
    field: Field = np.matmul(rows, x.T)
    return field


def _spline_basis(cells: int, length: int) -> Field:
    """(length, cells + 3) weights of the uniform cubic B-spline at evenly spread positions; every row sums to 1."""
    position = (np.arange(length) + 0.5) / length * cells
    cell = np.minimum(position.astype(np.intp), cells - 1)
    t = position - cell
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    basis = np.zeros((length, cells + 3))
    for offset, piece in enumerate(pieces):
        basis[np.arange(length), cell + offset] = piece / 6.0
    return basis


class _Canvas:
    """The head while it is drawn: coordinates that follow the patient's pose and shape, and the signal so far."""

    def __init__(self, rng: np.random.Generator, slices: int, side: int) -> None:
        self.rng = rng
        self.shape = (slices, side, side)
        self.pixel = 2.0 / side
        self.z = np.linspace(-0.85, 0.85, slices)[:, None, None] if slices > 1 else np.zeros((1, 1, 1))
        y, x = np.meshgrid(*[(np.arange(side) + 0.5) * self.pixel - 1.0] * 2, indexing="ij")
        turn = rng.uniform(-0.2, 0.2)
        x, y = x - rng.uniform(-0.05, 0.05), y - rng.uniform(-0.05, 0.05)
        x, y = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
        self.x = x + 0.05 * self.noise(3, 5)
        self.y = y + 0.05 * self.noise(3, 5)
        width, height = rng.uniform(0.66, 0.76), rng.uniform(0.82, 0.92)
        extent = np.sqrt(1.0 - (0.85 * self.z) ** 2)
        self.radius = np.hypot(self.x / width, self.y / height) / extent
        self.signal = np.zeros((3, *self.shape))

    def noise(self, slabs: int, cells: int) -> Field:
        """A smooth random field over the whole image."""
        return smooth_field(self.rng, (slabs, cells, cells), self.shape)

    def paint(self, field: Field, signal: tuple[float, float, float], edge: float) -> None:
        """Paint the inside of a field, mixing along its border over `edge` units of the field."""
        self.blend(coverage(field, edge), signal)

    def blend(self, weight: Field, signal: tuple[float, float, float]) -> None:
        """Mix a tissue in by weight, in [0, 1]."""
        slab = np.flatnonzero(weight.any(axis=(1, 2)))
        if slab.size:
            part = slice(slab[0], slab[-1] + 1)
            for channel, value in enumerate(signal):
                under = self.signal[channel, part]
                under += weight[part] * (value - under)

    def ellipsoid(self, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Field:
        """1 at the centre (z, y, x), 0 on the surface, below 0 outside."""
        z, y, x = ((a - c) / r for a, c, r in zip((self.z, self.y, self.x), centre, radii, strict=True))
        field: Field = 1.0 - np.sqrt(z * z + y * y + x * x)
        return field


def coverage(field: Field, edge: float) -> Field:
    """Fraction of a pixel that lies inside a field: 0 to 1 while the field rises by `edge` around 0."""
    return np.clip(field / edge + 0.5, 0.0, 1.0)


def _draw_tissues(canvas: _Canvas) -> Field:
    """Scalp, skull, fluid, grey and white matter, ventricles, vessels; returns the ventricles' field."""
    rng, radius = canvas.rng, canvas.radius
    edge = 2.0 * canvas.pixel
    canvas.paint(1.0 - radius, _SCALP, edge)
    canvas.paint(rng.uniform(0.91, 0.94) - radius + 0.01 * canvas.noise(3, 8), _SKULL, edge)
    canvas.paint(0.86 - radius, _FLUID, edge)
    folds = canvas.noise(8, 22)
    brain = _BRAIN - radius + 0.03 * folds
    canvas.paint(brain, _GREY, edge)
    canvas.paint(brain - 0.10 + 0.12 * folds, _WHITE, 2 * edge)
    sulci = np.minimum(0.05 - np.abs(canvas.noise(8, 16)), radius - 0.60)
    canvas.paint(np.minimum(sulci, brain), _FLUID, edge)
    canvas.paint(np.minimum(0.010 - np.abs(canvas.x), brain), _FLUID, edge)
    for side in (-1.0, 1.0):
        canvas.paint(canvas.ellipsoid((-0.05, 0.05, side * 0.24), (0.30, 0.16, 0.09)), _GREY, 0.3)
    ventricles = _ventricles(canvas)
    canvas.paint(ventricles, _FLUID, 0.25)
    vessels = np.minimum(canvas.noise(10, 26) - 1.15, brain)
    canvas.paint(vessels, _VESSEL, edge)
    return ventricles


def _ventricles(canvas: _Canvas) -> Field:
    """Two horns either side of the midline, of the patient's own width."""
    rng = canvas.rng
    width = rng.uniform(0.05, 0.10)
    horns = [
        canvas.ellipsoid(
            (0.05, rng.uniform(-0.06, 0.06), side * (0.07 + width)), (0.42, rng.uniform(0.24, 0.34), width)
        )
        for side in (-1.0, 1.0)
    ]
    return np.maximum(*horns) + 0.15 * canvas.noise(4, 10)


def _draw_lookalikes(canvas: _Canvas, ventricles: Field) -> None:
    """Draw what is bright on FLAIR but not a tumour.

    Each differs from a tumour in another channel, in shape or in place: caps border the ventricles, spots are small, a
    ribbon follows the cortex, and all three keep a normal T1; flowing fluid has the T1 of fluid; fat is bright in every
    sequence.
    """
    rng = canvas.rng
    brain = _BRAIN - canvas.radius
    glow = rng.uniform(0.62, 0.85)
    caps = np.minimum(0.55 - np.abs(ventricles + 0.35), canvas.noise(3, 7) - rng.uniform(-0.2, 0.4))
    canvas.paint(np.minimum(caps, brain), (0.54, glow, 0.56), 0.4)
    for _ in range(rng.integers(4, 16)):
        centre = (rng.uniform(-0.7, 0.7), rng.uniform(-0.5, 0.5), rng.uniform(-0.4, 0.4))
        radius = rng.uniform(0.015, 0.04)
        spot = canvas.ellipsoid(centre, (2.5 * radius, radius, radius))
        canvas.paint(np.minimum(spot, 10 * brain), (0.54, rng.uniform(0.65, 0.9), 0.56), 0.6)
    ribbon = np.minimum(0.06 - np.abs(brain - 0.06), 0.3 * (canvas.noise(3, 6) - rng.uniform(0.2, 0.6)))
    canvas.paint(ribbon, (0.46, rng.uniform(0.62, 0.8), 0.49), 0.04)
    flow = np.minimum(ventricles, canvas.noise(5, 8) - rng.uniform(0.0, 0.5))
    canvas.paint(flow, (_FLUID[0], rng.uniform(0.5, 0.8), _FLUID[2]), 0.3)
    for _ in range(rng.integers(0, 3)):
        radius = rng.uniform(0.04, 0.10)
        fat = canvas.ellipsoid((rng.uniform(-0.6, 0.6), rng.uniform(-0.5, 0.5), rng.uniform(-0.4, 0.4)), (radius,) * 3)
        canvas.paint(np.minimum(fat, 5 * brain), _FAT, 0.3)


def _draw_lesions(canvas: _Canvas, ventricles: Field) -> Field:
    """Draw one tumour, at times with a satellite: infiltrating border, a core that may enhance, at times a cyst."""
    rng = canvas.rng
    blob = _blob(canvas, size=float(np.exp(rng.uniform(np.log(0.17), np.log(0.42)))))
    if rng.random() < 0.25:
        blob = np.maximum(blob, _blob(canvas, size=rng.uniform(0.10, 0.18)))
    inside = np.minimum(6.0 * (_BRAIN - 0.01 - canvas.radius), -0.7 * (ventricles + 0.1))
    field: Field = np.minimum(blob, inside)
    texture = 1.0 + 0.10 * canvas.noise(6, 20)
    weight = coverage(field, rng.uniform(0.15, 0.45))
    t1 = rng.uniform(0.28, 0.40)
    canvas.blend(np.clip(weight * texture, 0.0, 1.0), (t1, rng.uniform(0.66, 0.86), t1 + 0.03))
    if rng.random() < 0.5:
        core = np.minimum(field - rng.uniform(0.1, 0.3), 0.6 * canvas.noise(5, 14))
        canvas.paint(core, (t1 + 0.02, 0.72, rng.uniform(0.75, 0.98)), 0.2)
    if rng.random() < 0.25:
        cyst = np.minimum(field - 0.35, 0.6 * (canvas.noise(4, 10) - 0.2))
        canvas.paint(cyst, (0.22, 0.30, 0.24), 0.2)
    return field


def _blob(canvas: _Canvas, *, size: float) -> Field:
    """An irregular ellipsoid inside the brain, `size` its middle radius."""
    rng = canvas.rng
    angle, far = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.15, 0.50)
    centre = (rng.uniform(-0.45, 0.5), far * np.sin(angle), 0.8 * far * np.cos(angle))
    stretch = np.exp(rng.uniform(-0.3, 0.3, 2))
    radii = (size * rng.uniform(0.9, 1.6), size * stretch[0], size * stretch[1])
    blob: Field = canvas.ellipsoid(centre, radii) + 0.26 * canvas.noise(6, 10) + 0.16 * canvas.noise(8, 22)
    return blob
