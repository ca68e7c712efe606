"""The table of perturbations: each with a name, its group, what it does in words, and a function of one slice.

`perturbed` applies one to a patient. What is drawn at random depends on the seed, the perturbation and the pixels
alone, so that the same patient is perturbed in the same way on any machine and in any order.

To add one: its function in the module of its kind, and a line here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import numpy as np

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.geometry import mirror, pad_to_ratio, resize, rotate, scale_head, shift
from brainseg_runtime.perturbations.intensity import bias, blur, gamma, noise, stretch
from brainseg_runtime.perturbations.scalp import scale_scalp, strip
from brainseg_runtime.perturbations.sequences import FLAIR, POST, PRE, blank, repeat_flair, swap_t1s
from brainseg_runtime.perturbations.slices import TrueSlice
from brainseg_runtime.perturbations.volume import Volume

P = TypeVar("P")

SEED: Final = 0
"""Of everything that is drawn, unless another is given."""


@dataclass(frozen=True, slots=True)
class View:
    """One slice of a volume, as a perturbation sees it."""

    volume: Volume
    at: int
    """The slice's index."""
    name: str
    """The perturbation's name."""
    seed: int

    @property
    def slice(self) -> TrueSlice:
        """The slice as it was read."""
        return self.volume.slices[self.at]

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers for this slice."""
        return self.volume.generator(self.seed, self.name, self.at)

    @property
    def volume_rng(self) -> np.random.Generator:
        """Random numbers that are the same for every slice of the volume."""
        return self.volume.generator(self.seed, self.name)


Apply: TypeAlias = Callable[[View], TrueSlice]
"""From a slice to what it becomes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Perturbation:
    """One change to a patient's slices.

    Attributes:
        name: Its key in JSON and in lists of lowest allowed values.
        group: What it is a change of.
        about: What it does, in words.
        apply: What it does, to one slice.
    """

    name: str
    group: str
    about: str
    apply: Apply


def perturbed(volume: Volume, perturbation: Perturbation, *, seed: int = SEED) -> Iterator[TrueSlice]:
    """A patient's slices, changed one by one.

    Args:
        volume: The patient.
        perturbation: The change.
        seed: Of what is drawn at random, from 0.

    >>> one = TrueSlice(np.full((20, 20, 3), 90, np.uint8), np.eye(20, dtype=np.uint8))
    >>> (seen,) = perturbed(Volume([one]), perturbation_named("mirrored"))
    >>> int(seen.mask[0, 19])
    1
    """
    for at in range(len(volume.slices)):
        yield perturbation.apply(View(volume, at, perturbation.name, seed))


def perturbation_named(name: str) -> Perturbation:
    """The perturbation with a name.

    Raises:
        ArgumentError: There is none.
    """
    for each in PERTURBATIONS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in PERTURBATIONS)
    raise ArgumentError("there is no such perturbation", expected=f"one of {names}", got=repr(name))


def _entry(group: str, name: str, about: str, function: Callable[[View, P], TrueSlice], parameter: P) -> Perturbation:
    """A line of the table: a function of a slice and its parameter."""
    return Perturbation(name=name, group=group, about=about, apply=lambda view: function(view, parameter))


def _head(view: View, fraction: float) -> TrueSlice:
    return scale_head(view.slice, fraction, view.volume.box)


def _shifted(view: View, down_right: tuple[float, float]) -> TrueSlice:
    return shift(view.slice, *down_right)


def _rotated(view: View, degrees: float) -> TrueSlice:
    return rotate(view.slice, degrees)


def _plainly(view: View, function: Callable[[TrueSlice], TrueSlice]) -> TrueSlice:
    return function(view.slice)


def _scalp(view: View, factors: tuple[float, float, float]) -> TrueSlice:
    return scale_scalp(view.slice, factors, view.volume.masks.brain[view.at])


def _stripped(view: View, _: None) -> TrueSlice:
    return strip(view.slice, view.volume.masks.brain[view.at])


def _biased(view: View, strength: float) -> TrueSlice:
    return bias(view.slice, strength, float(view.volume_rng.uniform(0, 2 * math.pi)))


def _noisy(view: View, fraction: float) -> TrueSlice:
    return noise(view.slice, fraction * view.volume.levels(99), view.rng)


def _blurred(view: View, sigma: float) -> TrueSlice:
    return blur(view.slice, sigma * max(view.slice.mask.shape) / 256)


def _gamma(view: View, exponent: float) -> TrueSlice:
    return gamma(view.slice, exponent, view.volume.levels(100))


def _scaled(view: View, percentile: float) -> TrueSlice:
    return stretch(view.slice, view.volume.levels(percentile))


def _repeated(view: View, missing: tuple[int, ...]) -> TrueSlice:
    return repeat_flair(view.slice, missing)


def _blanked(view: View, missing: tuple[int, ...]) -> TrueSlice:
    return blank(view.slice, missing)


def _padded(view: View, width_to_height: float) -> TrueSlice:
    return pad_to_ratio(view.slice, width_to_height)


def _resized(view: View, longer_side: int) -> TrueSlice:
    return resize(view.slice, longer_side)


_PLACE: Final = "head in the picture"
_SCALP: Final = "scalp"
_QUALITY: Final = "image quality"
_GREY: Final = "grey levels"
_MISSING: Final = "sequences"
_SIZE: Final = "size"

PERTURBATIONS: Final[tuple[Perturbation, ...]] = (
    _entry(_PLACE, "head-100", "the head takes up all of a square picture's side", _head, 1.0),
    _entry(_PLACE, "head-75", "the head takes up 75 % of a square picture's side", _head, 0.75),
    _entry(_PLACE, "head-50", "the head takes up 50 % of a square picture's side", _head, 0.5),
    _entry(_PLACE, "head-40", "the head takes up 40 % of a square picture's side", _head, 0.4),
    _entry(_PLACE, "shifted-right-10", "moved right by 10 % of the width", _shifted, (0.0, 0.1)),
    _entry(_PLACE, "shifted-up-10", "moved up by 10 % of the height", _shifted, (-0.1, 0.0)),
    _entry(_PLACE, "rotated-left-10", "turned anticlockwise by 10 degrees", _rotated, 10.0),
    _entry(_PLACE, "rotated-left-25", "turned anticlockwise by 25 degrees", _rotated, 25.0),
    _entry(_PLACE, "rotated-right-25", "turned clockwise by 25 degrees", _rotated, -25.0),
    _entry(_PLACE, "mirrored", "left and right exchanged", _plainly, mirror),
    _entry(
        _SCALP, "scalp-flair-dimmed", "FLAIR outside the brain × 0.2, as by fat suppression", _scalp, (1.0, 0.2, 1.0)
    ),
    _entry(_SCALP, "scalp-dimmed", "every sequence outside the brain × 0.2", _scalp, (0.2, 0.2, 0.2)),
    _entry(_SCALP, "scalp-brightened", "every sequence outside the brain × 2", _scalp, (2.0, 2.0, 2.0)),
    _entry(_SCALP, "skull-stripped", "everything outside the brain set to 0", _stripped, None),
    _entry(_QUALITY, "bias-30", "brightness from -30 % on one side to +30 % on the other", _biased, 0.3),
    _entry(_QUALITY, "bias-50", "brightness from -50 % on one side to +50 % on the other", _biased, 0.5),
    _entry(_QUALITY, "noise-2", "Rician noise of 2 % of each sequence's 99th percentile", _noisy, 0.02),
    _entry(_QUALITY, "noise-5", "Rician noise of 5 % of each sequence's 99th percentile", _noisy, 0.05),
    _entry(_QUALITY, "blurred-1", "Gaussian blur, standard deviation 1/256 of the longer side", _blurred, 1.0),
    _entry(_QUALITY, "blurred-2", "Gaussian blur, standard deviation 2/256 of the longer side", _blurred, 2.0),
    _entry(_GREY, "gamma-0.7", "grey levels to the power of 0.7, the volume's largest fixed", _gamma, 0.7),
    _entry(_GREY, "gamma-1.5", "grey levels to the power of 1.5, the volume's largest fixed", _gamma, 1.5),
    _entry(
        _GREY, "scaled-max", "each sequence × a factor: the volume's largest grey level becomes 255", _scaled, 100.0
    ),
    _entry(_GREY, "clipped-99.5", "the same for the volume's 99.5th percentile, and clipped there", _scaled, 99.5),
    _entry(_GREY, "clipped-98", "the same for the volume's 98th percentile, and clipped there", _scaled, 98.0),
    _entry(_GREY, "clipped-95", "the same for the volume's 95th percentile, and clipped there", _scaled, 95.0),
    _entry(_MISSING, "no-pre-flair", "pre-contrast missing, FLAIR in the place", _repeated, (PRE,)),
    _entry(_MISSING, "no-post-flair", "post-contrast missing, FLAIR in the place", _repeated, (POST,)),
    _entry(_MISSING, "no-t1s-flair", "both T1s missing, FLAIR in the place", _repeated, (PRE, POST)),
    _entry(_MISSING, "no-pre-zeros", "pre-contrast missing, zeros in the place", _blanked, (PRE,)),
    _entry(_MISSING, "no-post-zeros", "post-contrast missing, zeros in the place", _blanked, (POST,)),
    _entry(_MISSING, "no-t1s-zeros", "both T1s missing, zeros in the place", _blanked, (PRE, POST)),
    _entry(_MISSING, "no-flair-zeros", "FLAIR missing, zeros in the place", _blanked, (FLAIR,)),
    _entry(_MISSING, "t1s-swapped", "pre-contrast and post-contrast exchanged", _plainly, swap_t1s),
    _entry(_SIZE, "wide", "zeros left and right up to 4 : 3", _padded, 4 / 3),
    _entry(_SIZE, "tall", "zeros above and below up to 3 : 4", _padded, 3 / 4),
    _entry(_SIZE, "side-192", "resampled, the longer side to 192 pixels", _resized, 192),
    _entry(_SIZE, "side-384", "resampled, the longer side to 384 pixels", _resized, 384),
    _entry(_SIZE, "side-512", "resampled, the longer side to 512 pixels", _resized, 512),
)
"""All, in the order of the table."""
