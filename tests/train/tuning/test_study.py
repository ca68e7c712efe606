"""Studies on disk: their records, and which one is found."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from brainseg_train.config import preset
from brainseg_train.data.source import DataSource
from brainseg_train.data.split import Split
from brainseg_train.errors import RecordError, StudyError
from brainseg_train.tuning import study
from brainseg_train.tuning.search import Search
from brainseg_train.tuning.study_record import StudyRecord, StudyRequest

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = tuple(
    Split(train=("a", "b"), validation=("c",), test=("d",), seed=0, data_digest="0" * 64, fold=fold, folds=2)
    for fold in range(2)
)


def request(*, seed: int = 0, splits: tuple[Split, ...] = SPLITS[:1]) -> StudyRequest:
    return StudyRequest(
        kind="all",
        models=("unet", "deeplab"),
        preset="quick",
        seed=seed,
        data_digest="0" * 64,
        split_by="patient",
        splits=tuple(split.digest for split in splits),
        search=Search(),
        baseline=0.25,
        configs={name: preset("quick", name) for name in ("unet", "deeplab")},
    )


def begin(runs: Path, wanted: StudyRequest) -> study.Study:
    return study.begin(runs, wanted, SPLITS, data=runs, threads=1)


def complete(of: study.Study) -> study.Study:
    done = of.with_record(dataclasses.replace(of.record, status="complete"))
    done.save()
    return done


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    begun = begin(tmp_path, request())
    assert study.load(tmp_path, begun.record.id) == begun
    assert begun.split() == SPLITS[0]


def test_what_is_stated_of_the_data_is_recorded_and_nothing_else(tmp_path: Path) -> None:
    source = DataSource(name="ward 7", licence="internal")
    stated = study.begin(tmp_path, request(), SPLITS, data=tmp_path, threads=1, source=source)
    assert study.load(tmp_path, stated.record.id).record.source == source
    silent = study.begin(tmp_path, request(), SPLITS, data=tmp_path, threads=1, source=DataSource())
    assert study.load(tmp_path, silent.record.id).record.source is None


def test_a_reader_finds_what_it_looks_for_at_the_top(tmp_path: Path) -> None:
    begun = begin(tmp_path, request())
    document = json.loads((begun.folder / "study.json").read_text(encoding="utf-8"))
    assert document["kind"] == "all"
    assert document["status"] == "running"
    assert document["split_digest"] == SPLITS[0].digest
    assert document["leaky"] is False


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"id": 3}', "not json"])
def test_a_damaged_record_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    begun = begin(tmp_path, request())
    (begun.folder / "study.json").write_text(damage, encoding="utf-8")
    with pytest.raises(RecordError, match=r"study\.json"):
        study.load(tmp_path, begun.record.id)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(RecordError, match="colour"):
        StudyRecord.from_json({"id": "x", "data": "d", "threads": 1, "request": {}, "colour": "red"}, "here")


def test_studies_begun_in_one_second_are_apart_and_in_order(tmp_path: Path) -> None:
    names = [begin(tmp_path, request()).record.id for _ in range(3)]
    assert len(set(names)) == 3
    assert sorted(names) == names


def test_the_newest_that_matches_is_found(tmp_path: Path) -> None:
    complete(begin(tmp_path, request(seed=1)))
    unfinished = begin(tmp_path, request())
    begin(tmp_path, request(seed=2))
    assert study.newest(tmp_path, request=request(), complete=False) == unfinished
    assert study.newest(tmp_path, request=request(), complete=True) is None
    assert study.newest(tmp_path, request=request(seed=3)) is None


def test_a_report_takes_complete_comparisons_only(tmp_path: Path) -> None:
    unfinished = begin(tmp_path, request())
    with pytest.raises(StudyError, match="no complete study"):
        study.newest_complete(tmp_path)
    with pytest.raises(StudyError, match="not complete"):
        study.newest_complete(tmp_path, unfinished.record.id)
    done = complete(unfinished)
    assert study.newest_complete(tmp_path) == done


def test_folds_are_units_of_their_own() -> None:
    names = [unit.name for unit in request(splits=SPLITS).units]
    assert names == ["unet-fold1", "unet-fold2", "deeplab-fold1", "deeplab-fold2"]
    assert [unit.name for unit in request().units] == ["unet", "deeplab"]
