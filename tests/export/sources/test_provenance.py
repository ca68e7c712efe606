"""A bundle says of its data what is recognised or stated, and of the rest that it is not stated."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainseg_export.errors import ExportError
from brainseg_export.sources import kaggle_3m, run_choice
from brainseg_export.sources.provenance import NOT_STATED, provenance_of
from brainseg_export.sources.run_choice import Chosen
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.source import DataSource
from brainseg_train.phantom.patients import MARK

NOTHING = DataSource()
PATIENTS = Path(os.environ.get("BRAINSEG_DATA", "data/kaggle_3m"))
needs_patients = pytest.mark.skipif(not PATIENTS.is_dir(), reason="BRAINSEG_DATA names no folder of kaggle_3m")


@pytest.fixture
def chosen(runs: Path) -> Chosen:
    return dataclasses.replace(run_choice.best(runs), study=None)


@pytest.fixture
def own(phantom: Path, tmp_path: Path) -> Path:
    """The same slices as somebody's own data: without the phantom's mark."""
    folder = Path(shutil.copytree(phantom, tmp_path / "own data"))
    (folder / MARK).unlink()
    return folder


def renamed(dataset: DataSet, name: str, count: int | None = None) -> DataSet:
    """A data set whose patients, or the first of them, have other names."""
    patients = tuple(
        dataclasses.replace(patient, id=f"{name}_{index}") if count is None or index < count else patient
        for index, patient in enumerate(dataset.patients)
    )
    return dataclasses.replace(dataset, patients=patients)


def test_the_phantom_is_named_and_free(phantom: Path, chosen: Chosen) -> None:
    found = provenance_of(load_dataset(phantom), chosen, NOTHING)
    assert (found.recognised, found.source.name, found.licence.id) == ("phantom", "phantom", "Apache-2.0")


def test_the_phantom_is_nothing_else(phantom: Path, chosen: Chosen) -> None:
    with pytest.raises(ExportError, match="--data-name"):
        provenance_of(load_dataset(phantom), chosen, DataSource(name="ward 7"))


def test_the_phantoms_mark_beside_other_names_makes_no_phantom(phantom: Path, chosen: Chosen) -> None:
    dataset = renamed(load_dataset(phantom), "patient", 1)
    assert provenance_of(dataset, chosen, NOTHING).recognised is None


def test_own_data_is_not_stated_to_be_anything(own: Path, chosen: Chosen) -> None:
    found = provenance_of(load_dataset(own), chosen, NOTHING)
    assert found.recognised is None
    assert found.source.to_json() == {}
    assert found.licence.id == NOT_STATED
    assert "kaggle" not in found.licence.note
    assert "CC" not in found.licence.note


def test_the_names_of_the_set_with_other_pixels_are_not_the_set(own: Path, chosen: Chosen) -> None:
    dataset = renamed(load_dataset(own), "TCGA_CS_4941")
    assert provenance_of(dataset, chosen, NOTHING).recognised is None


def test_options_come_before_the_study_and_the_study_before_the_file(own: Path, runs: Path) -> None:
    (own / "dataset.json").write_text(json.dumps({"name": "file", "licence": "file", "url": "https://f.org"}), "utf-8")
    best = run_choice.best(runs)
    assert best.study is not None
    record = dataclasses.replace(best.study.record, source=DataSource(name="study", licence="study"))
    chosen = dataclasses.replace(best, study=best.study.with_record(record))
    found = provenance_of(load_dataset(own), chosen, DataSource(name="option"))
    assert found.source == DataSource(name="option", licence="study", url="https://f.org")
    assert found.licence.id == "study"
    assert "option" in found.licence.note


def test_a_path_of_this_machine_is_refused(own: Path, chosen: Chosen) -> None:
    with pytest.raises(ExportError, match="--data-citation"):
        provenance_of(load_dataset(own), chosen, DataSource(citation="see /home/someone/paper.pdf"))


@needs_patients
def test_the_set_is_known_by_its_pixels_under_any_name(chosen: Chosen) -> None:
    dataset = load_dataset(PATIENTS)
    for item in (dataset, renamed(dataset, "case"), renamed(dataset, "case", 1)):
        found = provenance_of(item, chosen, NOTHING)
        assert (found.recognised, found.licence.id) == ("kaggle_3m", "CC-BY-NC-SA-4.0")
        assert found.known == found.patients


@needs_patients
def test_a_mixture_is_not_the_set_and_says_whose_patients_are_in_it(chosen: Chosen) -> None:
    dataset = load_dataset(PATIENTS)
    digests = dataset.image_digests.copy()
    digests[dataset.indices([dataset.patients[0].id])] ^= np.uint8(255)
    own = dataclasses.replace(dataset, image_digests=digests)
    assert kaggle_3m.is_the_set(own), "a patient whose pixels are not known, with a name as the set has them"
    mixed = renamed(own, "own", 1)
    found = provenance_of(mixed, chosen, DataSource(licence="internal"))
    assert found.recognised is None
    assert found.known == len(dataset.patients) - 1
    assert found.licence.id == "internal"
    assert f"{found.known} are, by their pixels, of kaggle_3m" in found.licence.note
