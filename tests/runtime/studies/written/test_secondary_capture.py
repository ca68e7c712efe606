"""Secondary captures: valid pictures of the slices with a finding, which say nothing of who the patient is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK

from brainseg_runtime.studies.written.settings import SegmentSettings
from tests.runtime.studies.written.made_results import OBLIQUE, SHAPE, made_result
from tests.runtime.studies.written.programs import errors

CASES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "a finding in three slices": ({}, [1, 2, 4]),
    "oblique": ({"grid": OBLIQUE}, [1, 2, 4]),
    "one file of many frames": ({"enhanced": True}, [1, 2, 4]),
    "no finding": ({"mask": np.zeros(SHAPE, np.uint8)}, []),
}
EVERY = pytest.mark.parametrize(("case", "slices"), CASES.values(), ids=CASES)


def written(folder: Path, **case: Any) -> list[Path]:  # noqa: ANN401 - those of `made_result`
    made_result(folder / "in", **case).write(folder / "out", ["sc"])
    return sorted((folder / "out" / "study" / "sc").iterdir())


@EVERY
def test_an_overview_and_each_slice_with_a_finding_are_valid(
    tmp_path: Path, case: dict[str, Any], slices: list[int]
) -> None:
    paths = written(tmp_path, **case)
    assert [path.name for path in paths] == [f"{number:04d}.dcm" for number in range(1, len(slices) + 2)]
    for path in paths:
        assert not errors(path)
        dataset = pydicom.dcmread(path)
        assert dataset.pixel_array.shape == (dataset.Rows, dataset.Columns, 3)
    assert len({pydicom.dcmread(path).SOPInstanceUID for path in paths}) == len(paths)
    assert len({pydicom.dcmread(path).SeriesInstanceUID for path in paths}) == 1


@EVERY
def test_each_picture_names_its_slice(tmp_path: Path, case: dict[str, Any], slices: list[int]) -> None:
    result = made_result(tmp_path / "in", **case)
    result.write(tmp_path / "out", ["sc"])
    for number, k in enumerate(slices, start=2):
        (source,) = pydicom.dcmread(tmp_path / "out" / "study" / "sc" / f"{number:04d}.dcm").SourceImageSequence
        instance = result.study.flair.instances[k]
        assert source.ReferencedSOPInstanceUID == instance.sop_uid
        assert source.get("ReferencedFrameNumber") == instance.frame


def test_the_outline_lies_at_the_edge_of_the_mask(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 10:20, 12:30] = 1
    picture = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(written(tmp_path, mask=mask, warnings=())[1])))[0]
    dataset = pydicom.dcmread(tmp_path / "out" / "study" / "sc" / "0002.dcm")
    row_mm, column_mm = map(float, dataset.PixelSpacing)
    coloured = np.argwhere((picture == SegmentSettings().colour).all(axis=2))
    low, high = coloured.min(axis=0) * [row_mm, column_mm], (coloured.max(axis=0) + 1) * [row_mm, column_mm]
    np.testing.assert_allclose(low, [10 * 2.0, 12 * 1.5], atol=row_mm)
    np.testing.assert_allclose(high, [20 * 2.0, 30 * 1.5], atol=row_mm)
    assert list(dataset.PatientOrientation) == ["L", "P"]


def test_nothing_of_the_source_that_identifies_is_in_the_picture(tmp_path: Path) -> None:
    """Two patients' pictures are the same, whose names differ."""
    first = written(tmp_path / "1")
    second = written(
        tmp_path / "2", tags={"PatientName": "Other^Name", "PatientID": "X", "PatientBirthDate": "19991231"}
    )
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(pydicom.dcmread(one).pixel_array, pydicom.dcmread(other).pixel_array)
        assert pydicom.dcmread(one).BurnedInAnnotation == "NO"


def test_a_source_that_shows_the_name_gives_outlines_on_black(tmp_path: Path) -> None:
    paths = written(tmp_path, tags={"BurnedInAnnotation": "YES"}, warnings=())
    picture = pydicom.dcmread(paths[1]).pixel_array[:400]
    coloured = (picture == SegmentSettings().colour).all(axis=2)
    grey = picture[~coloured]
    assert coloured.any()
    assert np.count_nonzero(grey.any(axis=1)) < 1000  # the letters alone
    assert "outlines alone" in (tmp_path / "out" / "study" / "study.json").read_text(encoding="utf-8")
