"""RT structure sets: valid, and filled by another program's rule they are the mask, in place, with its holes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from brainseg_runtime.studies.result import StudyResult
from tests.runtime.studies.written.made_results import OBLIQUE, SHAPE, made_result
from tests.runtime.studies.written.programs import errors, program

CASES: dict[str, dict[str, Any]] = {
    "axial": {},
    "oblique": {"grid": OBLIQUE},
    "one file of many frames": {"enhanced": True, "grid": OBLIQUE},
    "no finding": {"mask": np.zeros(SHAPE, np.uint8)},
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def written(result: StudyResult, out: Path) -> Path:
    result.write(out, ["rtstruct"])
    return out / "study" / "rtstruct.dcm"


@EVERY
def test_the_checker_of_the_standard_finds_no_error(tmp_path: Path, case: dict[str, Any]) -> None:
    path = written(made_result(tmp_path / "in", **case), tmp_path / "out")
    assert not errors(path)
    assert "ROIContourSequence" in program("dcmdump", path)


@EVERY
def test_filled_contours_are_the_mask(tmp_path: Path, case: dict[str, Any]) -> None:
    """Contours are read as any planning system does: points in mm to pixels of the image that each one names."""
    result = made_result(tmp_path / "in", **case)
    dataset = pydicom.dcmread(written(result, tmp_path / "out"))
    slices = {(each.sop_uid, each.frame): k for k, each in enumerate(result.study.flair.instances)}
    found = np.zeros(result.mask.shape, np.uint8)
    for contour in dataset.ROIContourSequence[0].get("ContourSequence", []):
        image = contour.ContourImageSequence[0]
        k = slices[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")]
        points = np.array(contour.ContourData, np.float64).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints
        indices = result.grid.indices(points)
        np.testing.assert_allclose(indices[:, 0], k, atol=1e-3)
        found[k] ^= filled(indices[:, 1:], found.shape[1:])
    assert np.array_equal(found, result.mask)


def filled(points_rc: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Pixels inside a polygon, by Pillow's rule, at eight times the size; their centres are looked at."""
    image = Image.new("1", (shape[1] * 8, shape[0] * 8))
    corners = [((column + 0.5) * 8 - 0.5, (row + 0.5) * 8 - 0.5) for row, column in points_rc.tolist()]
    ImageDraw.Draw(image).polygon(corners, fill=1)
    return np.asarray(image, np.uint8)[4::8, 4::8]


def test_it_refers_to_the_study_the_series_and_every_image(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    dataset = pydicom.dcmread(written(result, tmp_path / "out"))
    (frame,) = dataset.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == result.study.flair.frame_of_reference
    assert study.ReferencedSOPInstanceUID == result.study.uid
    assert series.SeriesInstanceUID == result.study.flair.uid
    assert [each.ReferencedSOPInstanceUID for each in series.ContourImageSequence] == [
        each.sop_uid for each in result.study.flair.instances
    ]
    assert dataset.ApprovalStatus == "UNAPPROVED"
    assert "Research use only" in dataset.StructureSetDescription


def test_a_very_long_outline_is_written_whole(tmp_path: Path) -> None:
    """More than 64 KiB of numbers, which an explicit VR of decimal strings cannot hold."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, 1:-1, 1:-1] = 1
    mask[0, 2:-2:2, 2:-2:2] = 0
    result = made_result(tmp_path / "in", grid=OBLIQUE, mask=mask)
    dataset = pydicom.dcmread(written(result, tmp_path / "out"))
    (contour,) = dataset.ROIContourSequence[0].ContourSequence
    assert contour.NumberOfContourPoints > 2000
    points = np.array(contour.ContourData, np.float64).reshape(-1, 3)
    found = filled(result.grid.indices(points)[:, 1:], SHAPE[1:])
    assert np.array_equal(found, mask[0])
