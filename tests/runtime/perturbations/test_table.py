"""Every perturbation of the table, on a drawn patient: what it promises, and the same again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

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
