"""Initial weights that know somebody who is held out now are refused, by person; others are taken."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from brainseg_train.data.split import Split
from brainseg_train.errors import LeakageError
from brainseg_train.runs.initial import require_unseen

NAMES = tuple(f"TCGA_XX_{number:04}_20000101" for number in range(7))
NOW = Split(train=NAMES[:4], validation=NAMES[4:6], test=NAMES[6:], seed=0, data_digest="a" * 64)


def check(before: Split, tmp_path: Path, now: Split = NOW, *, saved: bool = True) -> bool:
    run = tmp_path / "runs" / "old"
    run.mkdir(parents=True)
    (tmp_path / "runs" / "splits").mkdir()
    if saved:
        before.save(tmp_path / "runs" / "splits" / f"{before.digest}.json")
    return require_unseen(run, before.data_digest, before.digest, now)


def other(train: tuple[str, ...], validation: tuple[str, ...], test: tuple[str, ...], data: str = "b") -> Split:
    return Split(train=train, validation=validation, test=test, seed=1, data_digest=data * 64)


def test_the_same_split_is_taken_without_its_file(tmp_path: Path) -> None:
    assert check(NOW, tmp_path, saved=False)


@pytest.mark.parametrize("data", ["a", "b"])
def test_who_is_held_out_now_may_not_have_trained_then(data: str, tmp_path: Path) -> None:
    before = other(NAMES[1:5], NAMES[5:6], NAMES[:1] + NAMES[6:], data)
    with pytest.raises(LeakageError, match=rf"{NAMES[4]} \(validation now, train then\)"):
        check(before, tmp_path)


def test_who_is_to_test_may_not_have_chosen_the_epoch(tmp_path: Path) -> None:
    before = other(NAMES[:4], NAMES[5:], NAMES[4:5])
    with pytest.raises(LeakageError, match=rf"{NAMES[6]} \(test now, validation then\)"):
        check(before, tmp_path)


def test_another_examination_of_the_same_person_was_seen(tmp_path: Path) -> None:
    earlier = NAMES[6].replace("2000", "1999")
    before = other(("TCGA_YY_0001_20000101", earlier), NAMES[4:6], ())
    with pytest.raises(LeakageError, match=rf"{NAMES[6]} \(test now, train then\)"):
        check(before, tmp_path)


def test_weights_that_have_seen_none_of_them_are_taken(tmp_path: Path) -> None:
    assert check(other(NAMES[:2], NAMES[4:6], NAMES[2:4] + NAMES[6:], "a"), tmp_path)


def test_weights_of_an_earlier_run_without_a_test_part_are_refused_where_it_is_to_test_now(tmp_path: Path) -> None:
    before = dataclasses.replace(NOW, train=NAMES[:4] + NAMES[6:], test=())
    with pytest.raises(LeakageError, match="test now, train then"):
        check(before, tmp_path)


def test_without_the_old_split_s_file_another_split_of_the_same_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeakageError, match="another split of the same data"):
        check(other(NAMES[:2], NAMES[4:6], NAMES[2:4] + NAMES[6:], "a"), tmp_path, saved=False)


def test_without_the_old_split_s_file_another_set_cannot_be_checked(tmp_path: Path) -> None:
    assert not check(other(NAMES[:2], NAMES[4:6], NAMES[2:4]), tmp_path, saved=False)


def test_a_split_by_slice_has_seen_every_patient_of_its_set(tmp_path: Path) -> None:
    before = dataclasses.replace(NOW, train=("x_1",), validation=("x_2",), test=("x_3",), split_by="slice")
    with pytest.raises(LeakageError, match="by slice"):
        check(before, tmp_path)
