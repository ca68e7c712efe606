"""A split that the user gives is taken in three forms, and refused by name where it leaks or does not fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from brainseg_train.data.persons import PersonRule
from brainseg_train.data.split import SUBSETS, Split
from brainseg_train.data.split_file import SplitFile
from brainseg_train.data.splitting import make_split
from brainseg_train.errors import LeakageError, SplitError
from tests.train.data.test_split import Source, make_source

SOURCE = make_source(["A"] * 6)
NAMES = [patient.id for patient in SOURCE.patients]
PARTED = {"train": NAMES[:3], "validation": NAMES[3:5], "test": NAMES[5:]}


def written(tmp_path: Path, content: object, name: str = "split.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(path: Path, source: Source = SOURCE, *, test: bool = True, rule: PersonRule | None = None) -> Split:
    return SplitFile.read(path).for_dataset(source, rule=rule or PersonRule(), test=test)


def in_parts(split: Split) -> dict[str, list[str]]:
    return {part: list(split.subset(part)) for part in SUBSETS}


def test_three_lists_of_names_are_a_split(tmp_path: Path) -> None:
    split = read(written(tmp_path, PARTED))
    assert in_parts(split) == PARTED
    assert split.given
    assert Split.from_json(json.loads(json.dumps(split.to_json()))) == split


def test_a_table_of_patients_and_subsets_is_the_same_split(tmp_path: Path) -> None:
    rows = [f"{name};{'val' if part == 'validation' else part.upper()}" for part in PARTED for name in PARTED[part]]
    path = written(tmp_path, "\n".join(["patient;subset", *reversed(rows)]), "split.csv")
    assert read(path) == read(written(tmp_path, PARTED))


def test_our_own_split_is_taken_as_it_is(tmp_path: Path) -> None:
    split = make_split(SOURCE, 5)
    split.save(tmp_path / "ours.json")
    assert read(tmp_path / "ours.json").digest == split.digest


def test_our_own_split_of_other_pixels_keeps_its_patients_and_is_checked_anew(tmp_path: Path) -> None:
    split = make_split(SOURCE, 5)
    split.save(tmp_path / "ours.json")
    other = dataclasses.replace(SOURCE, digest="1" * 64)
    again = read(tmp_path / "ours.json", other)
    assert in_parts(again) == in_parts(split)
    assert (again.data_digest, again.given) == ("1" * 64, True)


def test_our_own_split_that_was_edited_is_refused(tmp_path: Path) -> None:
    value = make_split(SOURCE, 5).to_json()
    with pytest.raises(SplitError, match="changed"):
        SplitFile.read(written(tmp_path, {**value, "test": value["validation"], "validation": value["test"]}))


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"test": [*NAMES[5:], "stranger"]}, SplitError, "stranger"),
        ({"train": NAMES[1:3]}, SplitError, NAMES[0]),
        ({"train": [*NAMES[:3], NAMES[0]]}, SplitError, f"twice in train.*{NAMES[0]}"),
        ({"test": NAMES[4:]}, LeakageError, f"{NAMES[4]}: validation, test"),
        ({"test": [], "train": [*NAMES[:3], NAMES[5]]}, SplitError, "empty subset.*none in test"),
        ({"validation": [], "train": NAMES[:5]}, SplitError, "empty subset.*none in validation"),
        ({"tests": []}, SplitError, "tests"),
        ({"train": NAMES[0]}, SplitError, "not a split"),
        ({"train": [1, 2]}, SplitError, "not a split"),
    ],
)
def test_what_does_not_fit_the_data_is_named(
    change: dict[str, Any], kind: type[SplitError], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, {**PARTED, **change})
    if change.get("tests") == []:
        path = written(tmp_path, {**PARTED, "tests": ["x"]})
    with pytest.raises(kind, match=said):
        read(path)


def test_json_of_another_kind_is_told_what_a_split_looks_like(tmp_path: Path) -> None:
    """Such as what `brainseg-train check --json` wrote, which has a digest too."""
    with pytest.raises(SplitError, match="a CSV file with the columns patient and subset"):
        read(written(tmp_path, {"data": "here", "digest": "0" * 64, "patients": []}))


@pytest.mark.parametrize("content", ["", "[]", "3", "{", '{"train": null}', "\x00", "[" * 100_000], ids=range(7))
def test_what_is_no_split_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(SplitError):
        read(written(tmp_path, content))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"none\.json"):
        SplitFile.read(tmp_path / "none.json")


def test_a_split_by_slice_is_refused(tmp_path: Path) -> None:
    make_split(SOURCE, 0, split_by="slice").save(tmp_path / "leaky.json")
    with pytest.raises(SplitError, match="by slice"):
        SplitFile.read(tmp_path / "leaky.json")


def test_without_a_test_part_the_file_has_none(tmp_path: Path) -> None:
    two = {"train": NAMES[:4], "val": NAMES[4:]}
    split = read(written(tmp_path, two), test=False)
    assert (split.train, split.validation, split.test) == (tuple(NAMES[:4]), tuple(NAMES[4:]), ())
    with pytest.raises(SplitError, match="test subset"):
        read(written(tmp_path, PARTED), test=False)


def test_a_person_in_two_subsets_is_named_with_both_folders(tmp_path: Path) -> None:
    people = list(SOURCE.patients)
    people[5] = dataclasses.replace(people[0], id=NAMES[0].replace("20000101", "20010101"))
    source = dataclasses.replace(SOURCE, patients=tuple(people))
    path = written(tmp_path, {**PARTED, "test": [people[5].id]})
    with pytest.raises(LeakageError, match=rf"{NAMES[0]} \(train\), {people[5].id} \(test\)"):
        read(path, source)
    told = written(tmp_path, "patient,person\n" + "".join(f"{p.id},p{n}\n" for n, p in enumerate(people)), "who.csv")
    split = read(path, source, rule=PersonRule.read(str(told)))
    assert (split.persons, split.person_from) == ({}, "who.csv")


def test_identical_slices_in_two_subsets_are_named(tmp_path: Path) -> None:
    pixels = list(range(1, 19))
    pixels[17] = pixels[0]
    source = make_source(["A"] * 6, pixels=pixels)
    with pytest.raises(LeakageError, match=rf"{NAMES[0]}_1 \(train\) = {NAMES[5]}_3 \(test\)"):
        read(written(tmp_path, PARTED), source)
