"""The stress table against counts made by hand, with models whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.evaluation.stress import stress
from brainseg_runtime.evaluation.stress_rows import about_rows, dice_rows, marked_headers, marked_rows
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.perturbations.table import PERTURBATIONS, perturbation_named
from tests.runtime.perturbations.drawn_head import drawn_head

Masks = tuple[NDArray[Any], NDArray[Any]]
FEW = tuple(perturbation_named(name) for name in ("mirrored", "head-50", "no-flair-zeros", "side-192"))


def bright_flair(images: NDArray[np.uint8]) -> Masks:
    """A model that marks bright FLAIR where T1 is not bright: the drawn tumour, whatever its place."""
    mask = (images[..., 1] > 120) & (images[..., 0] < 120)
    return mask.astype(np.uint8), mask.astype(np.float32)


def left_half(images: NDArray[np.uint8]) -> Masks:
    """A model that marks bright FLAIR on the left half of the picture alone."""
    mask, _ = bright_flair(images)
    mask[:, :, images.shape[2] // 2 :] = 0
    return mask, mask.astype(np.float32)


def everything(images: NDArray[np.uint8]) -> Masks:
    """A model that marks every pixel."""
    mask = np.ones(images.shape[:3], np.uint8)
    return mask, mask.astype(np.float32)


def cases(patients: int = 2, *, healthy: int = 0, slices: int = 2, side: int = 64) -> Iterator[Case]:
    for patient in range(patients + healthy):
        drawn = [drawn_head(side, side, size=1 - 0.1 * at, seed=10 * patient + at).slice for at in range(slices)]
        truth = [one.mask * (patient < patients) for one in drawn]
        yield Case(f"P{patient}", [(at + 1, one.image, truth[at]) for at, one in enumerate(drawn)])


def test_the_unperturbed_row_is_what_an_evaluation_gives() -> None:
    table = stress(cases(3), bright_flair, perturbations=FEW)
    evaluation = evaluate(cases(3), bright_flair, threshold=0.5)
    row = table.rows[0]
    assert row.name == "unperturbed"
    assert row.difference is None
    assert [patient.dice for patient in row.patients] == [patient.dice for patient in evaluation.patients]
    assert row.dice is not None
    assert row.dice.mean == evaluation.volume_dice.mean
    assert [patient.true_px for patient in row.patients] == [patient.counts.truth for patient in evaluation.patients]


def test_a_model_that_follows_the_tumour_loses_nothing_where_the_mask_follows_too() -> None:
    table = stress(cases(), bright_flair, perturbations=FEW)
    found = table.by_name
    for name in ("mirrored", "head-50"):
        difference = found[name].difference
        assert difference is not None
        assert difference.mean == pytest.approx(0, abs=1e-12)
    resampled = found["side-192"].dice
    assert resampled is not None
    assert resampled.mean > 0.9


def test_a_model_that_knows_one_side_alone_loses_all_of_a_mirrored_tumour() -> None:
    row = stress(cases(), left_half, perturbations=FEW).by_name["mirrored"]
    assert row.dice is not None
    assert row.difference is not None
    assert row.dice.mean < 0.05
    assert row.difference.mean < -0.9
    assert row.difference.min <= row.difference.mean


def test_differences_are_paired_by_patient_with_scipys_interval() -> None:
    table = stress(cases(9, slices=1), left_half, perturbations=FEW)
    before = [patient.dice for patient in table.rows[0].patients]
    row = table.by_name["side-192"]
    losses = [patient.dice - unperturbed for patient, unperturbed in zip(row.patients, before, strict=True)]  # type: ignore[operator]
    assert row.difference is not None
    assert row.difference.mean == pytest.approx(np.mean(losses))
    assert row.difference.min == min(losses)
    expected = stats.bootstrap((losses,), np.mean, method="BCa", n_resamples=9999, rng=1).confidence_interval
    width = expected.high - expected.low
    assert row.difference.ci95 == pytest.approx((expected.low, expected.high), abs=0.15 * width)


def test_heads_without_tumour_have_what_was_marked_and_no_dice() -> None:
    table = stress(cases(0, healthy=2), bright_flair, perturbations=FEW, spacing_mm=(0.5, 2.0, 5.0))
    assert (table.n_with_tumour, table.n_without_tumour, table.n_slices) == (0, 2, 4)
    for row in table.rows:
        assert row.dice is None
        assert row.difference is None
        assert row.marked is not None
        assert row.marked.ml_mean == pytest.approx(row.marked.px_mean * 0.005)
    blind = table.by_name["no-flair-zeros"].marked
    assert blind is not None
    assert blind.px_max == 0
    by_hand = [
        sum(int(bright_flair(image[None])[0].sum()) for _, image, _ in case.slices) for case in cases(0, healthy=2)
    ]
    assert [patient.marked_px for patient in table.rows[0].patients] == by_hand
    assert marked_rows(table)[0] == ("unperturbed", np.mean(by_hand) * 0.005, max(by_hand) * 0.005, 2)


def test_marked_pixels_are_those_of_the_slices_as_they_were_read() -> None:
    table = stress(cases(0, healthy=1), everything, perturbations=FEW)
    whole = table.rows[0].marked
    resized = table.by_name["side-192"].marked
    assert whole is not None
    assert resized is not None
    assert whole.px_mean == 2 * 64 * 64
    assert resized.px_mean == pytest.approx(whole.px_mean)
    assert whole.ml_mean is None
    assert any("spacing" in each.reason for each in table.missing)


def test_patients_with_and_without_tumour_are_kept_apart() -> None:
    table = stress(cases(2, healthy=1), bright_flair, perturbations=FEW)
    alone = stress(cases(2), bright_flair, perturbations=FEW)
    assert (table.n_with_tumour, table.n_without_tumour) == (2, 1)
    assert [row.dice for row in table.rows] == [row.dice for row in alone.rows]
    assert all(row.marked is not None and row.marked.n == 1 for row in table.rows)


def test_the_table_is_the_same_again_whatever_the_batch() -> None:
    first = stress(cases(), bright_flair)
    assert stress(cases(), bright_flair, batch=1).to_json() == first.to_json()
    assert [row.name for row in first.rows] == ["unperturbed", *(each.name for each in PERTURBATIONS)]


def test_the_seed_is_recorded_and_moves_noise_alone() -> None:
    some = (perturbation_named("noise-5"), perturbation_named("mirrored"))

    def noisy(images: NDArray[np.uint8]) -> Masks:
        mask = (images[..., 1] > 80).astype(np.uint8)  # the brain's own level: noise decides
        return mask, mask.astype(np.float32)

    first, other = (stress(cases(), noisy, perturbations=some, seed=seed) for seed in (0, 1))
    assert (first.seed, other.seed) == (0, 1)
    assert first.by_name["mirrored"] == other.by_name["mirrored"]
    assert first.by_name["noise-5"].patients != other.by_name["noise-5"].patients


def test_the_table_goes_to_json_and_back_with_and_without_patients() -> None:
    table = stress(cases(2, healthy=1), bright_flair, perturbations=FEW)
    for each in (table, table.without_patients()):
        assert StressTable.from_json(json.loads(json.dumps(each.to_json()))) == each
    assert not any(row.patients for row in table.without_patients().rows)
    with pytest.raises(DataError, match="stress"):
        StressTable.from_json({**table.to_json(), "rows": [{}]})


def test_rows_for_readers_hold_the_figures() -> None:
    table = stress(cases(2, healthy=1), bright_flair, perturbations=FEW)
    first, second = dice_rows(table)[:2]
    assert first[0] == "unperturbed"
    assert first[4:] == (None, None, None)
    assert second[0] == "mirrored"
    assert second[4] == pytest.approx(0, abs=1e-12)
    assert marked_headers(table)[1] == "marked, mean, pixels"
    assert len(about_rows(table)) == 1 + len(FEW)
    assert all(row[3] is None for row in marked_rows(table.without_patients()))


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="no slices"):
        stress([], bright_flair)
    with pytest.raises(DataError, match="twice"):
        stress([*cases(1), *cases(1)], bright_flair, perturbations=FEW)
    with pytest.raises(DataError, match="share a name"):
        stress(cases(1), bright_flair, perturbations=(*FEW, *FEW))
    with pytest.raises(DataError, match="another size"):
        stress(cases(1), lambda images: bright_flair(images[:, 1:]), perturbations=FEW)
