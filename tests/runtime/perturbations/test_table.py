"""Every perturbation of the table, on a drawn patient: what it promises, and the same again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.slices import TrueSlice
from brainseg_runtime.perturbations.table import PERTURBATIONS, Perturbation, perturbation_named, perturbed
from brainseg_runtime.perturbations.volume import Volume
from tests.runtime.perturbations.drawn_head import drawn_head

EVERY = pytest.mark.parametrize("each", PERTURBATIONS, ids=lambda each: each.name)


def patient() -> Volume:
    return Volume([drawn_head(96, 96, size=1 - 0.1 * at, seed=at).slice for at in range(3)])


def same(one: TrueSlice, other: TrueSlice) -> bool:
    return np.array_equal(one.image, other.image) and np.array_equal(one.mask, other.mask)


@EVERY
def test_the_same_patient_is_perturbed_in_the_same_way_in_any_order(each: Perturbation) -> None:
    first = list(perturbed(patient(), each))
    again = list(perturbed(patient(), each))
    assert all(same(*both) for both in zip(first, again, strict=True))


@EVERY
def test_the_patients_own_slices_are_left_alone(each: Perturbation) -> None:
    volume = patient()
    before = [(one.image.copy(), one.mask.copy()) for one in volume.slices]
    for _ in perturbed(volume, each):
        pass
    assert all(
        np.array_equal(one.image, image) and np.array_equal(one.mask, mask)
        for one, (image, mask) in zip(volume.slices, before, strict=True)
    )


@EVERY
def test_a_perturbation_changes_image_or_size_and_keeps_the_tumour(each: Perturbation) -> None:
    volume = patient()
    got = list(perturbed(volume, each))
    if each.name != "scaled-max":  # a drawn head that reaches 255 already may stay as it is
        assert not all(same(*both) for both in zip(got, volume.slices, strict=True))
    assert len({one.mask.shape for one in got}) == 1
    true, left = sum(one.true_pixels for one in volume.slices), sum(one.true_pixels for one in got)
    assert left == pytest.approx(true, rel=0.08)
    assert all(one.mask.max() <= 1 and one.image.dtype == np.uint8 for one in got)


HEADS = {"head-100": 1.0, "head-75": 0.75, "head-50": 0.5, "head-40": 0.4}
SHIFTS = {"shifted-right-10": (0, 10), "shifted-up-10": (-10, 0)}
TURNS = {"rotated-left-10": 10, "rotated-left-25": 25, "rotated-right-25": -25}
SCALPS = {
    "scalp-flair-dimmed": (1, 0.2, 1), "scalp-dimmed": (0.2, 0.2, 0.2), "scalp-brightened": (2, 2, 2),
    "skull-stripped": (0, 0, 0),
}  # fmt: skip
BIASES = {"bias-30": 0.3, "bias-50": 0.5}
NOISES = {"noise-2": 2.0, "noise-5": 5.0}
BLURS = {"blurred-1": 1.0, "blurred-2": 2.0}
GAMMAS = {"gamma-0.7": 0.7, "gamma-1.5": 1.5}
SCALINGS = {"scaled-max": 100.0, "clipped-99.5": 99.5, "clipped-98": 98.0, "clipped-95": 95.0}
CHANNELS = {
    "no-pre-flair": (1, 1, 2), "no-post-flair": (0, 1, 1), "no-t1s-flair": (1, 1, 1), "no-pre-zeros": (3, 1, 2),
    "no-post-zeros": (0, 1, 3), "no-t1s-zeros": (3, 1, 3), "no-flair-zeros": (0, 3, 2), "t1s-swapped": (2, 1, 0),
}  # fmt: skip
SIDES = {"wide": (96, 128), "tall": (128, 96), "side-192": (144, 192), "side-384": (288, 384), "side-512": (384, 512)}


def changed(name: str, *images: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None) -> TrueSlice:
    """The first of a patient's slices, changed; without a mask nothing is tumour."""
    masks = [np.zeros(image.shape[:2], np.uint8) if mask is None else mask for image in images]
    volume = Volume([TrueSlice(*both) for both in zip(images, masks, strict=True)])
    return next(iter(perturbed(volume, perturbation_named(name))))


def grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W) as a slice (H, W, 3) of three equal channels."""
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def centre(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    place: NDArray[np.float64] = np.argwhere(mask).mean(axis=0)
    return place


def test_every_perturbation_is_measured_here() -> None:
    measured = (HEADS, SHIFTS, TURNS, SCALPS, BIASES, NOISES, BLURS, GAMMAS, SCALINGS, CHANNELS, SIDES)
    names = [name for each in measured for name in each]
    assert sorted([*names, "mirrored"]) == sorted(each.name for each in PERTURBATIONS)


@pytest.mark.parametrize(("name", "fraction"), HEADS.items())
def test_the_head_takes_up_its_share_of_a_square(name: str, fraction: float) -> None:
    drawn = drawn_head(96, 120)
    got = changed(name, drawn.slice.image, mask=drawn.head.astype(np.uint8)).mask
    rows, columns = (np.flatnonzero(got.any(axis=axis)) for axis in (1, 0))
    assert got.shape[0] == got.shape[1]
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(fraction * len(got), abs=2)


@pytest.mark.parametrize(("name", "moved"), SHIFTS.items())
def test_the_head_is_moved_by_a_tenth(name: str, moved: tuple[int, int]) -> None:
    drawn = drawn_head(100, 100).slice
    got = changed(name, drawn.image, mask=drawn.mask)
    assert centre(got.mask) - centre(drawn.mask) == pytest.approx(moved)


@pytest.mark.parametrize(("name", "degrees"), TURNS.items())
def test_the_head_is_turned_by_the_angle(name: str, degrees: float) -> None:
    drawn = drawn_head(160, 160).slice
    before, after = (centre(mask) - 79.5 for mask in (drawn.mask, changed(name, drawn.image, mask=drawn.mask).mask))
    angle = np.degrees(np.arctan2(-after[0], after[1]) - np.arctan2(-before[0], before[1]))
    assert angle == pytest.approx(degrees, abs=1)


@pytest.mark.parametrize(("name", "factors"), SCALPS.items())
def test_the_scalp_is_multiplied(name: str, factors: tuple[float, float, float]) -> None:
    image = drawn_head(192, 192).slice.image // 2
    scalp = image[..., 1] > 55
    scalp &= image[..., 0] > 60  # where the tumour is not
    got = changed(name, image).image
    assert (got[scalp].mean(axis=0) / image[scalp].mean(axis=0)).tolist() == pytest.approx(factors, abs=0.02)


@pytest.mark.parametrize(("name", "strength"), BIASES.items())
def test_the_bias_field_goes_from_one_side_to_the_other(name: str, strength: float) -> None:
    got = changed(name, np.full((96, 96, 3), 100, np.uint8)).image
    assert (got.min(), got.max()) == pytest.approx((100 * (1 - strength), 100 * (1 + strength)), abs=2)


@pytest.mark.parametrize(("name", "percent"), NOISES.items())
def test_the_noise_is_of_its_strength(name: str, percent: float) -> None:
    got = changed(name, np.full((96, 96, 3), 100, np.uint8)).image
    assert got.std() == pytest.approx(percent, rel=0.06)


@pytest.mark.parametrize(("name", "sigma"), BLURS.items())
def test_the_blur_is_of_its_width(name: str, sigma: float) -> None:
    image = np.zeros((256, 256))
    image[118:138, 118:138] = 250
    got = changed(name, grey(image)).image[..., 1]
    columns = np.arange(256)
    spread = [np.average((columns - 127.5) ** 2, weights=each.sum(axis=0)) for each in (image, got)]
    assert spread[1] - spread[0] == pytest.approx(sigma**2, rel=0.1)


@pytest.mark.parametrize(("name", "exponent"), GAMMAS.items())
def test_grey_levels_are_raised_to_the_power(name: str, exponent: float) -> None:
    ramp = np.tile(np.arange(201), (20, 1))
    got = changed(name, grey(ramp)).image[..., 1]
    assert got == pytest.approx(200 * (ramp / 200) ** exponent, abs=1)


@pytest.mark.parametrize(("name", "percentile"), SCALINGS.items())
def test_grey_levels_are_scaled_by_the_volumes(name: str, percentile: float) -> None:
    ramps = [np.tile(np.arange(201) * most // 200, (20, 1)) for most in (160, 200)]
    level = np.percentile(np.concatenate([ramp[ramp > 0] for ramp in ramps]), percentile)
    got = changed(name, *(grey(ramp) for ramp in ramps)).image[..., 1]
    assert got == pytest.approx(np.minimum(255, ramps[0] * 255 / level), abs=2)


@pytest.mark.parametrize(("name", "order"), CHANNELS.items())
def test_sequences_are_exchanged(name: str, order: tuple[int, int, int]) -> None:
    image = drawn_head(64, 64).slice.image
    with_zeros = np.concatenate([image, np.zeros((64, 64, 1), np.uint8)], axis=2)
    assert np.array_equal(changed(name, image).image, with_zeros[..., order])


@pytest.mark.parametrize(("name", "shape"), SIDES.items())
def test_the_picture_gets_its_sides(name: str, shape: tuple[int, int]) -> None:
    image = drawn_head(96, 96 if name in {"wide", "tall"} else 128).slice.image
    assert changed(name, image).image.shape[:2] == shape


@EVERY
def test_a_patient_of_blank_slices_is_no_obstacle(each: Perturbation) -> None:
    blank = TrueSlice(np.zeros((40, 48, 3), np.uint8), np.zeros((40, 48), np.uint8))
    got = list(perturbed(Volume([blank, blank]), each))
    assert not any(one.mask.any() for one in got)


def test_names_are_unique_and_fit_for_keys() -> None:
    names = [each.name for each in PERTURBATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(?:[-.][a-z0-9]+)*", name) for name in names)
    assert all(each.about and each.group for each in PERTURBATIONS)


def test_the_page_lists_the_table_line_by_line() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "stress.md").read_text(encoding="utf-8")
    found = re.findall(r"^\|[^|]*\| `([^`]+)` \| ([^|]+) \|$", text, re.MULTILINE)
    assert found[: len(PERTURBATIONS)] == [(each.name, each.about) for each in PERTURBATIONS]


def test_noise_follows_the_seed() -> None:
    noise = perturbation_named("noise-5")
    first, other = list(perturbed(patient(), noise, seed=0)), list(perturbed(patient(), noise, seed=1))
    assert not any(same(*both) for both in zip(first, other, strict=True))


def test_an_unknown_name_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(ArgumentError, match="head-50") as raised:
        perturbation_named("head-51")
    assert "head-51" in str(raised.value)
