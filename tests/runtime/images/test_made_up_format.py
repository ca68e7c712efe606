"""A format that nobody has heard of works in every command once its reader is listed, and nowhere before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from brainseg_runtime.errors import DatasetError, ImageError
from brainseg_runtime.images import patient_problems, read_image, scan_dataset
from brainseg_runtime.images.finder import find
from brainseg_runtime.images.formats import also_reading, format_names
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.images.bsraw import BSRAW, in_bsraw
from tests.runtime.made_slices import made_data


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return made_data(tmp_path / "plain")


@pytest.fixture
def data(plain: Path, tmp_path: Path) -> Path:
    shutil.copytree(plain, tmp_path / "data")
    return in_bsraw(tmp_path / "data")


@pytest.fixture
def _listed() -> Iterator[None]:
    with also_reading(BSRAW):
        yield


@pytest.mark.usefixtures("_listed")
def test_predict_makes_the_masks_that_it_makes_of_tiffs(data: Path, plain: Path, tmp_path: Path) -> None:
    masks = {}
    for folder in (plain, data):
        out = tmp_path / f"{folder.name}-masks"
        assert brainseg("predict", BUNDLE, folder, "-o", out).code == 0
        masks[folder] = {path.name: path.read_bytes() for path in out.glob("*.tif")}
    assert masks[data] == masks[plain] != {}
    one = sorted(data.rglob("*_1.bsraw"))[0]
    assert brainseg("predict", BUNDLE, one, "-o", tmp_path / "one").code == 0
    assert [path.name for path in (tmp_path / "one").glob("*.tif")] == [f"{one.stem}_mask.tif"]


@pytest.mark.usefixtures("_listed")
def test_evaluate_gives_the_scores_that_it_gives_of_tiffs(data: Path, plain: Path, tmp_path: Path) -> None:
    scores = []
    for folder in (plain, data):
        done = brainseg("evaluate", BUNDLE, folder, "--json", "-", "--report", tmp_path / f"{folder.name}.html")
        assert done.code == 0, done.err
        scores.append({key: value for key, value in json.loads(done.out).items() if key != "run"})
    assert scores[0] == scores[1]


@pytest.mark.usefixtures("_listed")
def test_masks_in_it_are_scored(data: Path, plain: Path, tmp_path: Path) -> None:
    """The true masks once more, as if a program had predicted them."""
    for path in plain.rglob("*_mask.tif"):
        target = tmp_path / "predicted" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    done = brainseg("evaluate", "--predictions", in_bsraw(tmp_path / "predicted"), data, "--json", "-")
    assert json.loads(done.out)["pooled"]["dice"] == 1


@pytest.mark.usefixtures("_listed")
def test_finder_and_faults_speak_of_it(data: Path) -> None:
    assert format_names() == "TIFF, PNG, JPEG or BSRAW"
    assert {one.image.suffix for folder in find(data).folders for one in folder.slices} == {".bsraw"}
    patient, *_ = scan_dataset(data)
    patient.slices[0].image.write_bytes(patient.slices[0].image.read_bytes()[:-1])
    assert len(patient_problems(patient)) == 1
    assert "truncated" in patient_problems(patient)[0]


def test_unlisted_it_is_no_image(data: Path) -> None:
    with pytest.raises(DatasetError, match="holds no slice"):
        scan_dataset(data)
    with pytest.raises(ImageError, match="expected TIFF or PNG or JPEG"):
        read_image(next(data.rglob("*.bsraw")))
