"""The pictures of the look at the test part: which slices they show, and that their figures are the slices' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brainseg_runtime.images import scan_dataset
from brainseg_runtime.images.overlay import BOTH, PREDICTION, TRUTH
from brainseg_runtime.metrics import Counts
from brainseg_train.comparison.test_scores import SLICES_SHOWN, chosen_slices, load_test
from brainseg_train.tuning import study

if TYPE_CHECKING:
    from pathlib import Path


def counts(tp: int, fp: int, fn: int) -> Counts:
    return Counts(tp=tp, fp=fp, fn=fn, tn=100)


def test_the_slices_with_most_tumour_most_missed_and_most_falsely_marked_are_shown() -> None:
    counted = [counts(0, 9, 0), counts(50, 2, 3), counts(1, 0, 20), counts(10, 8, 2), counts(0, 0, 0)]
    assert chosen_slices(counted) == {1: "most tumour", 2: "most missed", 0: "most falsely marked"}


def test_where_nothing_is_wrong_further_slices_with_tumour_are_shown() -> None:
    counted = [counts(n, 0, 0) for n in (0, 3, 9, 7, 1)]
    assert chosen_slices(counted) == {2: "most tumour", 3: "next most tumour", 1: "next most tumour"}


def test_a_healthy_patient_shows_false_marks_or_else_the_middle() -> None:
    assert chosen_slices([counts(0, 0, 0), counts(0, 4, 0), counts(0, 0, 0)]) == {1: "most falsely marked"}
    assert chosen_slices([counts(0, 0, 0)] * 5) == {2: "middle of the head"}


@given(st.lists(st.builds(counts, *[st.integers(0, 3)] * 3), min_size=1, max_size=12))
def test_any_patient_has_one_to_three_slices_each_once(counted: list[Counts]) -> None:
    chosen = chosen_slices(counted)
    assert 1 <= len(chosen) <= SLICES_SHOWN
    assert set(chosen) <= set(range(len(counted)))
    largest = max(one.tp + one.fn for one in counted)
    if largest:
        first = next(iter(chosen))
        assert counted[first].tp + counted[first].fn == largest


def test_pictures_show_the_slices_that_they_name(compared: Path, small_patients: Path) -> None:
    current = study.newest_complete(compared)
    masks = {patient.id: {one.number: one.mask for one in patient.slices} for patient in scan_dataset(small_patients)}
    for model in current.request.models:
        record = load_test(current, model)
        assert len({(one.place, one.number) for one in record.pictures}) == len(record.pictures)
        for picture in record.pictures:
            path = masks[picture.patient][picture.number]
            assert path is not None
            truth = np.asarray(Image.open(path)) > 0
            rgb = np.asarray(Image.open(current.test_folder / picture.file))
            outlined = (rgb == TRUTH).all(axis=2) | (rgb == BOTH).all(axis=2)
            assert outlined.any() == truth.any()
            if truth.any():
                assert picture.missed is not None
                assert picture.false is not None
                found = truth.sum() - picture.missed
                assert picture.slice_dice == pytest.approx(2 * found / (truth.sum() + found + picture.false))
                inside = outlined.reshape(64, 2, 64, 2).any(axis=(1, 3))
                assert not (inside & ~truth).any()
            predicted = (rgb == PREDICTION).all(axis=2) | (rgb == BOTH).all(axis=2)
            assert predicted.any() == bool(picture.false or (picture.missed or 0) < truth.sum())
