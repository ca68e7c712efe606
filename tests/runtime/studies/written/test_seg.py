"""SEG: valid, in place voxel for voxel for other readers, and of the form that viewers take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.result import StudyResult
from brainseg_runtime.studies.written.settings import Code, SegmentSettings
from tests.runtime.studies.written.made_results import AXIAL, OBLIQUE, SHAPE, awkward_mask, made_result
from tests.runtime.studies.written.programs import by_dcmqi, errors, marked
from tests.studies_made.shapes import as_acquired

EMPTY = np.zeros(SHAPE, np.uint8)
ONE_SLICE = np.pad(np.ones((1, 9, 7), np.uint8), ((3, 2), (4, 27), (30, 11)))


def written(result: StudyResult, out: Path, **options: Any) -> Path:  # noqa: ANN401 - those of `write`
    result.write(out, ["seg"], **options)
    return out / "study" / "seg.dcm"


def acquired(plane: str) -> tuple[NDArray[Any], Grid]:
    return as_acquired(awkward_mask(), AXIAL, plane)  # type: ignore[arg-type]


CASES: dict[str, dict[str, Any]] = {
    "axial": {},
    "oblique": {"grid": OBLIQUE},
    "sagittal": {"grid": acquired("sagittal")[1], "mask": acquired("sagittal")[0]},
    "coronal": {"grid": acquired("coronal")[1], "mask": acquired("coronal")[0]},
    "one file of many frames": {"grid": OBLIQUE, "enhanced": True},
    "a finding in one slice": {"mask": ONE_SLICE},
    "no finding": {"mask": EMPTY},
    "no T1s": {"alone": True},
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@EVERY
def test_the_checker_of_the_standard_finds_no_error(tmp_path: Path, case: dict[str, Any]) -> None:
    assert not errors(written(made_result(tmp_path / "in", **case), tmp_path / "out"))


@EVERY
def test_dcmqi_reads_the_same_voxels_in_the_same_place(tmp_path: Path, case: dict[str, Any]) -> None:
    result = made_result(tmp_path / "in", **case)
    mask, grid = by_dcmqi(written(result, tmp_path / "out"), tmp_path / "itk")
    assert sorted(mask.shape) == sorted(result.mask.shape)
    np.testing.assert_allclose(marked(mask, grid), marked(result.mask, result.grid), atol=0.011)


@EVERY
def test_highdicom_finds_the_mask_by_source_image(tmp_path: Path, case: dict[str, Any]) -> None:
    result = made_result(tmp_path / "in", **case)
    seg = highdicom.seg.segread(written(result, tmp_path / "out"))
    instances = result.study.flair.instances
    if instances[0].frame is None:
        pixels = seg.get_pixels_by_source_instance([each.sop_uid for each in instances], segment_numbers=[1])
    else:
        frames = [each.frame for each in instances if each.frame is not None]
        pixels = seg.get_pixels_by_source_frame(instances[0].sop_uid, frames, segment_numbers=[1])
    assert np.array_equal(pixels[..., 0], result.mask)
    volume = seg.get_volume(combine_segments=True)
    assert volume.spatial_shape == result.grid.shape


def test_every_frame_says_its_segment_source_and_position_itself(tmp_path: Path) -> None:
    """Viewers look for these in the frame, and some refuse a SEG that has them in the shared groups."""
    result = made_result(tmp_path / "in", grid=OBLIQUE)
    seg = pydicom.dcmread(written(result, tmp_path / "out"))
    assert seg.SegmentationType == "BINARY"
    assert [int(segment.SegmentNumber) for segment in seg.SegmentSequence] == [1]
    assert "SegmentIdentificationSequence" not in seg.SharedFunctionalGroupsSequence[0]
    assert len(seg.PerFrameFunctionalGroupsSequence) == seg.NumberOfFrames == SHAPE[0]
    image = pydicom.dcmread(result.study.flair.instances[0].path)
    for k, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        image = pydicom.dcmread(result.study.flair.instances[k].path)
        assert frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
        assert source.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert source.ReferencedSOPClassUID == image.SOPClassUID
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, image.ImagePositionPatient, atol=1e-6)
        assert list(frame.FrameContentSequence[0].DimensionIndexValues) == [1, k + 1]
    assert seg.FrameOfReferenceUID == image.FrameOfReferenceUID
    referred = seg.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == image.SeriesInstanceUID
    assert len(referred.ReferencedInstanceSequence) == SHAPE[0]


def test_frames_of_one_file_are_referred_to_by_number(tmp_path: Path) -> None:
    seg = pydicom.dcmread(written(made_result(tmp_path / "in", enhanced=True), tmp_path / "out"))
    numbers = [
        int(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for frame in seg.PerFrameFunctionalGroupsSequence
    ]
    assert numbers == list(range(1, SHAPE[0] + 1))
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_it_says_which_model_and_that_it_is_for_research(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    seg = pydicom.dcmread(written(result, tmp_path / "out"))
    segment = seg.SegmentSequence[0]
    assert segment.SegmentLabel == "FLAIR abnormality"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    said = segment.SegmentDescription
    assert all(each in said for each in ("tiny 1.0.0", "ab" * 32, "cd" * 32, "threshold 0.5", "Research use only"))
    assert "Research use only" in seg.ContentDescription
    assert seg.DeviceSerialNumber == "ab" * 32


def test_label_and_codes_are_the_callers(tmp_path: Path) -> None:
    settings = SegmentSettings(label="Tumour", type=Code(value="108369006", scheme="SCT", meaning="Neoplasm"))
    path = written(made_result(tmp_path / "in"), tmp_path / "out", segment=settings)
    segment = pydicom.dcmread(path).SegmentSequence[0]
    assert (segment.SegmentLabel, segment.TrackingID) == ("Tumour", "Tumour")
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Neoplasm"
    assert not errors(path)


def test_loss_by_compression_of_the_source_is_passed_on(tmp_path: Path) -> None:
    lossy = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "10",
        "LossyImageCompressionMethod": "ISO_15444_1",
    }
    path = written(made_result(tmp_path / "in", tags=lossy), tmp_path / "out")
    seg = pydicom.dcmread(path)
    assert seg.LossyImageCompression == "01"
    assert seg.LossyImageCompressionMethod == "ISO_15444_1"
    assert not errors(path)


def test_slices_from_head_to_feet_stay_in_place(tmp_path: Path) -> None:
    """A grid whose slices run against the normal of its rows and columns."""
    mask, grid = awkward_mask()[::-1].copy(), AXIAL
    reversed_grid = Grid(
        shape=grid.shape,
        spacing=grid.spacing,
        directions=grid.directions * np.array([[-1.0], [1.0], [1.0]]),
        origin=grid.positions([grid.shape[0] - 1, 0, 0]),
    )
    seg = written(made_result(tmp_path / "in", grid=reversed_grid, mask=mask), tmp_path / "out")
    found, where = by_dcmqi(seg, tmp_path / "itk")
    np.testing.assert_allclose(marked(found, where), marked(mask, reversed_grid), atol=0.011)
