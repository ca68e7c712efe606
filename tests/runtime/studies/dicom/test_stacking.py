"""Every fault of geometry is an error that names the series and the files, and rounding is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brainseg_runtime.errors import GeometryError
from tests.runtime.studies.dicom.made import GRID, VOXELS, only_series
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.faults import changed, changed_in, duplicate, missing, moved, sheared, shift
from tests.studies_made.series import Edit, ds, write_series
from tests.studies_made.shapes import axial_grid, made_head

_DEEP = axial_grid((12, 20, 24), spacing=(3.0, 8.0, 8.0))


def fault_of(tmp_path: Path, edit: Edit) -> str:
    """What is said of a series with a fault, after its load has raised the same."""
    write_series(tmp_path, VOXELS, GRID, edit=edit)
    series = only_series(tmp_path)
    assert series.grid is None
    assert isinstance(series.fault, GeometryError)
    with pytest.raises(GeometryError):
        series.load()
    said = str(series.fault)
    assert 'series 3 "AX FLAIR"' in said
    assert "Made" not in said
    assert "MADE-0001" not in said
    return said


@pytest.mark.parametrize("lost", [(2,), (2, 3), (1, 4)])
def test_a_gap_names_the_slices_beside_it(tmp_path: Path, lost: tuple[int, ...]) -> None:
    said = fault_of(tmp_path, missing(*lost))
    assert f"lacks slices: {len(lost)} missing" in said
    assert f"IM{lost[0]:04d}.dcm and IM{lost[0] + (3 if lost == (2, 3) else 2):04d}.dcm" in said


def test_every_second_slice_missing_is_told_from_the_header(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID, edit=missing(1, 3, 5))
    series = only_series(tmp_path)
    assert series.fault is None
    assert any("every second slice may be missing" in note for note in series.notes)


def test_a_count_in_the_header_tells_of_slices_lost_at_the_end(tmp_path: Path) -> None:
    def edit(k: int, dataset: Any) -> Any:  # noqa: ANN401 - a dataset
        return None if k == 5 else changed(ImagesInAcquisition=6)(k, dataset)

    write_series(tmp_path, VOXELS, GRID, edit=edit)
    assert any("6 images, and 5 are here" in note for note in only_series(tmp_path).notes)


@pytest.mark.parametrize("by", [0.4, -1.2, 2.6])
def test_uneven_distances_are_an_error(tmp_path: Path, by: float) -> None:
    said = fault_of(tmp_path, moved({3: by}))
    assert "uneven" in said or "lacks slices" in said
    assert "IM0004.dcm" in said


def test_a_change_of_spacing_within_the_series_is_an_error(tmp_path: Path) -> None:
    assert "uneven" in fault_of(tmp_path, moved({3: 0.5, 4: 1.0, 5: 1.5}))


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_rounding_of_positions_is_none(tmp_path: Path, decimals: int) -> None:
    def edit(_: int, dataset: Any) -> Any:  # noqa: ANN401 - a dataset
        dataset.ImagePositionPatient = [round(float(each), decimals) for each in dataset.ImagePositionPatient]
        return dataset

    grid = axial_grid((12, 20, 24), spacing=(4.87, 8.0, 8.0), centre=(0.037, 0.012, 0.049))
    write_series(tmp_path, made_head(grid).flair, grid, edit=edit)
    series = only_series(tmp_path)
    assert series.fault is None
    assert series.grid is not None
    assert abs(series.grid.spacing[0] - 4.87) < 0.02


@pytest.mark.parametrize("decimals", [3, 4, 6])
def test_rounding_of_the_orientation_is_none(tmp_path: Path, decimals: int) -> None:
    def edit(_: int, dataset: Any) -> Any:  # noqa: ANN401 - a dataset
        dataset.ImageOrientationPatient = [round(float(each), decimals) for each in dataset.ImageOrientationPatient]
        return dataset

    write_series(tmp_path, VOXELS, GRID, edit=edit)
    series = only_series(tmp_path)
    assert series.fault is None
    assert series.grid is not None
    assert np.allclose(series.grid.directions @ series.grid.directions.T, np.eye(3), atol=1e-12)
    assert np.abs(series.grid.corners() - GRID.corners()).max() < 0.25


@pytest.mark.parametrize("millimetres", [0.1, 0.6, -2.0])
def test_a_tilted_gantry_is_an_error(tmp_path: Path, millimetres: float) -> None:
    said = fault_of(tmp_path, sheared(millimetres))
    assert "shifted against each other" in said
    angle = np.degrees(np.arctan(abs(millimetres) / 5))
    assert f"{angle:.1f}°" in said


def test_two_orientations_are_an_error(tmp_path: Path) -> None:
    said = fault_of(tmp_path, changed_in([4, 5], ImageOrientationPatient=[1, 0, 0, 0, 0, -1]))
    assert "slices of 2 orientations" in said
    assert "IM0005.dcm, IM0006.dcm" in said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"PixelSpacing": [1.0, 1.0]}, "2 pixel spacings"),
        ({"FrameOfReferenceUID": "1.2.3.4"}, "2 frames of reference"),
        ({"ImagePositionPatient": None}, "without a valid ImagePositionPatient"),
    ],
)
def test_slices_that_do_not_belong_together_are_an_error(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    said = fault_of(tmp_path, changed_in([3], **values))
    assert "IM0004.dcm" in said or "frames of reference" in said
    assert words in said


def test_slices_of_different_size_are_an_error(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID, edit=missing(5))
    small = axial_grid((1, 20, 24))
    write_series(tmp_path / "b", np.zeros((1, 20, 24), int), small, edit=changed_in([0], SOPInstanceUID="1.2.9"))
    assert "2 sizes" in str(only_series(tmp_path).fault)


@pytest.mark.parametrize(
    "values",
    [
        {"PixelSpacing": None},
        {"ImageOrientationPatient": None},
        {"ImagePositionPatient": None},
        {"PixelSpacing": [0.0, 1.0]},
        {"PixelSpacing": [1e9, 1.0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"ImageOrientationPatient": [2, 0, 0, 0, 2, 0]},
        {"ImagePositionPatient": [0, 0, 1e12]},
    ],
    ids=str,
)
def test_headers_that_do_not_say_where_slices_lie_are_an_error(tmp_path: Path, values: dict[str, Any]) -> None:
    assert next(iter(values)) in fault_of(tmp_path, changed(**values)) or "outside any scanner" in fault_of(
        tmp_path / "again", changed(**values)
    )


def test_values_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID)
    for path in tmp_path.iterdir():  # the bytes of PixelSpacing, whatever pydicom would refuse to write
        data = path.read_bytes()
        at = data.index(b"\x28\x00\x30\x00DS")
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        path.write_bytes(data[: at + 8] + b"nan\\inf".ljust(length) + data[at + 8 + length :])
    assert "without a valid PixelSpacing" in str(only_series(tmp_path).fault)


def test_different_slices_at_one_place_are_an_error_that_says_how_they_differ(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, GRID, edit=changed(EchoTime=20.0))
    other = changed(EchoTime=100.0)

    def second(k: int, dataset: Any) -> Any:  # noqa: ANN401 - a dataset
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k}"
        return other(k, dataset)

    write_series(tmp_path / "b", VOXELS // 2, GRID, edit=second)
    said = str(only_series(tmp_path).fault)
    assert "more than one volume" in said
    assert "EchoTime 20.0 and 100.0" in said


def test_one_uid_for_two_different_slices_is_an_error(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, GRID)
    write_series(tmp_path / "b", VOXELS + 1, GRID)
    assert "different slices at the same place" in str(only_series(tmp_path).fault)


def test_one_slice_has_its_height_from_the_header(tmp_path: Path) -> None:
    grid = axial_grid((1, 40, 48), spacing=(6.0, 4.5, 4.0))
    write_series(tmp_path / "a", VOXELS[:1], grid)
    series = only_series(tmp_path / "a")
    assert series.grid is not None
    assert series.grid.spacing == (6.0, 4.5, 4.0)
    assert any("one slice" in note for note in series.notes)
    write_series(tmp_path / "b", VOXELS[:1], grid, without=["SliceThickness", "SpacingBetweenSlices"])
    assert "does not say how thick" in str(only_series(tmp_path / "b").fault)


def test_the_order_of_the_files_never_matters(tmp_path: Path) -> None:
    voxels = made_head(_DEEP).flair
    for seed in range(4):
        write_series(tmp_path / str(seed), voxels, _DEEP, shuffle=seed)
        assert np.array_equal(only_series(tmp_path / str(seed)).load().voxels, voxels)


@pytest.mark.parametrize("fault", ["gap", "tilt", "twice", "orientations"])
def test_frames_of_an_enhanced_object_are_checked_alike(tmp_path: Path, fault: str) -> None:
    order = [0, 1, 2, 4, 5] if fault == "gap" else [0, 1, 2, 2, 3, 4, 5] if fault == "twice" else list(range(6))

    def edit(dataset: Any) -> Any:  # noqa: ANN401 - a dataset
        frames = dataset.PerFrameFunctionalGroupsSequence
        for index, frame in enumerate(frames):
            if fault == "tilt":
                position = frame.PlanePositionSequence[0]
                shift(position, np.array([0, 1.0, 0]) * index)
        if fault == "orientations":
            frames[2].PlaneOrientationSequence[0].ImageOrientationPatient = [ds(each) for each in (1, 0, 0, 0, 0, -1)]
        return dataset

    write_enhanced(tmp_path / "e.dcm", VOXELS, GRID, order=order, per_frame=True, edit=edit)
    series = only_series(tmp_path)
    if fault == "twice":
        assert series.fault is None
        assert "1 left out as repetitions" in series.notes[0]
        return
    words = {"gap": "1 missing between e.dcm frame 3 and e.dcm frame 4", "tilt": "shifted", "orientations": "frame 3"}
    assert isinstance(series.fault, GeometryError)
    assert words[fault] in str(series.fault)


def test_repeated_slices_do_not_hide_a_gap(tmp_path: Path) -> None:
    def edit(k: int, dataset: Any) -> Any:  # noqa: ANN401 - a dataset
        return None if k == 3 else duplicate(1)(k, dataset)

    assert "lacks slices: 1 missing" in fault_of(tmp_path, edit)
