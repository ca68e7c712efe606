"""Series read from made files are where SimpleITK says, with the values that were written, in every storage."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom.finding import find
from brainseg_runtime.studies.dicom.series import read_studies, series_name
from brainseg_runtime.studies.geometry import Grid
from brainseg_runtime.studies.series import Series, SeriesHeader
from tests.runtime.studies.dicom.made import GRID, VOXELS, all_series, only_series
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.faults import changed, changed_in, duplicate
from tests.studies_made.series import Stored, write_series, write_study
from tests.studies_made.shapes import as_acquired, axial_grid, made_head, seen_along
from tests.studies_made.syntaxes import SYNTAXES, transcode
from tests.studies_made.tags import FLAIR, OPTIONAL, POST

sitk = pytest.importorskip("SimpleITK")


def by_simpleitk(series: Series) -> tuple[NDArray[Any], Grid]:
    """Voxels and grid as SimpleITK reads the series' files, in the order in which they were sorted."""
    paths = [str(instance.path) for instance in series.instances]
    image = sitk.ReadImage(paths if series.instances[0].frame is None else paths[0])
    directions = np.array(image.GetDirection()).reshape(3, 3).T[::-1]
    x, y, z = image.GetSpacing()
    columns, rows, slices = image.GetSize()
    origin = np.array(image.GetOrigin())
    grid = Grid(shape=(slices, rows, columns), spacing=(z, y, x), directions=directions, origin=origin)
    return sitk.GetArrayFromImage(image), grid


def assert_holds(series: Series, voxels: NDArray[Any], grid: Grid) -> None:
    """A series holds these values at these places, whichever way its slices were written."""
    assert series.fault is None
    assert series.grid is not None
    volume = series.load()
    assert volume.voxels.dtype == np.float32
    assert volume.grid is series.grid
    flipped = series.grid.directions[0] @ grid.directions[0] < 0
    expected = voxels[::-1] if flipped else voxels
    assert np.array_equal(volume.voxels, expected)
    first = grid.positions([len(voxels) - 1 if flipped else 0, 0, 0])
    assert np.allclose(series.grid.origin, first, atol=1e-3)
    assert np.allclose(series.grid.directions[1:], grid.directions[1:], atol=1e-5)
    assert np.allclose(series.grid.spacing, grid.spacing, atol=1e-3)


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_series_is_where_simpleitk_says(
    tmp_path: Path, plane: Literal["axial", "sagittal", "coronal"], reverse: bool
) -> None:
    voxels, grid = as_acquired(VOXELS, GRID, plane)
    if reverse:
        voxels, grid = seen_along(voxels, grid, (0, 1, 2), (True, False, False))
    write_series(tmp_path, voxels, grid, shuffle=5)
    series = only_series(tmp_path)
    assert_holds(series, voxels, grid)
    peer_voxels, peer_grid = by_simpleitk(series)
    assert np.array_equal(series.load().voxels, peer_voxels)
    assert series.grid is not None
    assert series.grid.same_as(peer_grid, 1e-3)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("stored", [Stored(bits_stored=12), Stored(signed=True)], ids=["unsigned", "signed"])
def test_every_transfer_syntax_gives_the_same_values(tmp_path: Path, syntax: str, stored: Stored) -> None:
    voxels = VOXELS - 500 if stored.signed else VOXELS
    transcode(write_series(tmp_path, voxels, GRID, stored=stored, shuffle=1), syntax)
    assert_holds(only_series(tmp_path), voxels, GRID)


@pytest.mark.parametrize("syntax", ["explicit", "big-endian", "rle", "jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk"])
def test_eight_bits_give_the_same_values(tmp_path: Path, syntax: str) -> None:
    voxels = VOXELS // 8
    transcode(write_series(tmp_path, voxels, GRID, stored=Stored(bits=8)), syntax)
    assert_holds(only_series(tmp_path), voxels, GRID)


@pytest.mark.parametrize(
    "stored",
    [
        Stored(signed=True, slope=2.0, intercept=-1000.0),
        Stored(slope=0.5, intercept=10.0, signed=True),
        Stored(padding=0),
        Stored(signed=True, padding=-2000),
        Stored(monochrome1=True, bits_stored=12),
        Stored(monochrome1=True),
        Stored(bits_stored=12, window=False),
    ],
    ids=str,
)
def test_every_way_of_storing_values_gives_them_back(tmp_path: Path, stored: Stored) -> None:
    voxels = VOXELS // 2 * 2
    voxels[:, 0, :] = 0
    write_series(tmp_path, voxels, GRID, stored=stored)
    series = only_series(tmp_path)
    assert_holds(series, voxels, GRID)
    assert stored.monochrome1 == any("MONOCHROME1" in note for note in series.notes)


def test_slopes_of_their_own_are_used_for_each_slice(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID, edit=changed_in([2], RescaleSlope="0.5", RescaleIntercept="7"))
    expected = VOXELS.astype(np.float64)
    expected[2] = expected[2] * 0.5 + 7
    assert np.array_equal(only_series(tmp_path).load().voxels, expected.astype(np.float32))


def test_what_is_optional_is_not_needed(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID, without=OPTIONAL, suffix="")
    series = only_series(tmp_path)
    assert_holds(series, VOXELS, GRID)
    assert series.header.acquired is None
    assert series.frame_of_reference == ""


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("syntax", ["explicit", "deflated", "rle", "jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk"])
def test_an_enhanced_object_is_a_series_of_frames(tmp_path: Path, per_frame: bool, syntax: str) -> None:
    order = [3, 0, 5, 1, 4, 2]
    voxels = VOXELS // 2 * 2
    stored = Stored(slope=2.0, bits_stored=12)
    path = write_enhanced(tmp_path / "e.dcm", voxels, GRID, tags=POST, order=order, per_frame=per_frame, stored=stored)
    transcode([path], syntax)
    series = only_series(path)
    assert_holds(series, voxels, GRID)
    frames = [instance.frame for instance in series.instances]
    assert frames == [order.index(k) + 1 for k in range(6)]
    assert {instance.sop_class for instance in series.instances} == {"1.2.840.10008.5.1.4.1.1.4.1"}


def test_an_enhanced_objects_header_is_that_of_single_images(tmp_path: Path) -> None:
    for tags in (FLAIR, POST):
        write_enhanced(tmp_path / "e" / f"{tags['SeriesNumber']}.dcm", VOXELS, GRID, tags=tags)
        write_series(tmp_path / "s" / str(tags["SeriesNumber"]), VOXELS, GRID, tags=tags)
    for enhanced, single in zip(all_series(tmp_path / "e"), all_series(tmp_path / "s"), strict=True):
        for name in ("repetition_ms", "echo_ms", "inversion_ms", "flip_deg", "agent", "description", "number"):
            assert getattr(enhanced.header, name) == getattr(single.header, name), name
        assert ("IR" in enhanced.header.scanning_sequence) == ("IR" in single.header.scanning_sequence)


def test_the_header_tells_how_a_series_was_acquired(tmp_path: Path) -> None:
    tags = {**POST, "SeriesDescription": "Schädel \0 T1 nach KM", "SpecificCharacterSet": "ISO_IR 100"}
    write_series(tmp_path, VOXELS, GRID, tags=tags, edit=changed(AcquisitionDate="20000103"))
    header = only_series(tmp_path).header
    assert header.modality == "MR"
    assert header.description == "Schädel   T1 nach KM"
    assert header.agent == "Gadobutrol"
    assert (header.repetition_ms, header.echo_ms, header.flip_deg) == (550.0, 12.0, 90.0)
    assert header.inversion_ms is None
    assert header.scanning_sequence == ("SE",)
    assert header.acquired == 10 * 3600 + 40 * 60
    assert "Made" not in str(header)


def test_times_count_from_the_studys_first_midnight(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, GRID, tags=FLAIR)
    write_series(
        tmp_path / "b", VOXELS, GRID, tags={**POST, "AcquisitionDate": "20000103", "AcquisitionTime": "000100"}
    )
    flair, post = all_series(tmp_path)
    assert flair.header.acquired == 10 * 3600 + 20 * 60
    assert post.header.acquired == 86400 + 60


def test_series_and_studies_are_told_apart_by_their_uids_alone(tmp_path: Path) -> None:
    head = made_head(GRID)
    volumes = {role: getattr(head, role) for role in ("flair", "pre", "post")}
    write_study(tmp_path / "one", volumes, GRID, shuffle=2)
    write_study(tmp_path / "two", volumes, GRID, tags={"StudyInstanceUID": "1.2.3", "PatientID": "another"})
    for path in sorted(tmp_path.rglob("*.dcm")):  # all files in one folder, in no order
        path.rename(tmp_path / f"{hash(path) % 10**12}-{path.parent.name}-{path.name}")
    studies, problems = read_studies(find(tmp_path).dicom)
    assert not problems
    assert [len(study.series) for study in studies] == [3, 3]
    assert all(study.fault is None for study in studies)
    for study in studies:
        for series, role in zip(study.series, ("flair", "pre", "post"), strict=True):
            assert_holds(series, volumes[role], GRID)


def test_two_patients_under_one_study_are_an_error_that_does_not_name_them(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, GRID, tags=FLAIR)
    write_series(tmp_path / "b", VOXELS, GRID, tags={**POST, "PatientID": "SECRET-2"})
    (study,), _ = read_studies(find(tmp_path).dicom)
    assert study.fault is not None
    assert "2 patients" in str(study.fault)
    assert "SECRET" not in str(study.fault)
    assert "MADE" not in str(study.fault)


def test_copies_of_files_are_left_out_and_said(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, GRID)
    write_series(tmp_path / "b", VOXELS, GRID, shuffle=3)
    series = only_series(tmp_path)
    assert_holds(series, VOXELS, GRID)
    assert any("6 copies left out" in note for note in series.notes)


@pytest.mark.parametrize("same_uid", [True, False])
def test_a_slice_sent_twice_is_left_out_and_said(tmp_path: Path, same_uid: bool) -> None:
    write_series(tmp_path, VOXELS, GRID, edit=duplicate(2, 4, same_uid=same_uid), shuffle=1)
    series = only_series(tmp_path)
    assert_holds(series, VOXELS, GRID)
    assert len(series.instances) == 6
    assert len(series.notes) == 1
    assert "left out" in series.notes[0]


def test_objects_without_images_are_series_with_a_reason(tmp_path: Path) -> None:
    report = changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", PixelData=None)
    write_series(tmp_path, VOXELS[:1], axial_grid((1, 40, 48)), edit=report)
    series = only_series(tmp_path)
    assert series.grid is None
    assert "Comprehensive SR Storage" in str(series.fault)
    with pytest.raises(StudyError, match="is no MR image"):
        series.load()


def test_a_faulty_file_makes_its_series_faulty(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID, edit=changed_in([3], Rows=41))
    series = only_series(tmp_path)
    assert series.grid is None
    assert "1 of 6 files cannot be used: IM0004.dcm" in str(series.fault)
    assert "cut off within its pixels" in str(series.fault)


def test_series_are_named_by_number_and_description() -> None:
    assert series_name(SeriesHeader(), "1.2.3") == "series 1.2.3"
    assert series_name(SeriesHeader(number=7), "1.2.3") == "series 7"


def test_loss_is_said(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, GRID, edit=changed(LossyImageCompression="01"))
    assert any("with loss" in note for note in only_series(tmp_path).notes)


@pytest.mark.parametrize(("option", "bits"), [("+eb", 8), ("+ee", 12)])
def test_lossy_jpeg_is_near_and_said(tmp_path: Path, option: str, bits: int) -> None:
    program = shutil.which("dcmcjpeg") or pytest.skip("needs dcmcjpeg: apt-get install dcmtk")
    grid = axial_grid((3, 128, 128), spacing=(5.0, 1.8, 1.8))
    head = made_head(grid).flair // (8 if bits == 8 else 1)
    for path in write_series(tmp_path, head, grid, stored=Stored(bits=8 if bits == 8 else 16, bits_stored=bits)):
        # Without scaling to the window, and at high quality.
        command = [program, option, "+q", "95", "-ww", str(path), f"{path}.new"]
        subprocess.run([each for each in command if each != "-ww"], check=True, capture_output=True)
        Path(f"{path}.new").replace(path)
    series = only_series(tmp_path)
    assert any("with loss" in note for note in series.notes)
    error = np.abs(series.load().voxels - head)
    assert error.mean() < head.max() / 50
