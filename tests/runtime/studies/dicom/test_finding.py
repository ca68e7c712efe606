"""DICOM is found in any nesting, whatever else lies there, and nothing is opened that could not be."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom import finding
from brainseg_runtime.studies.dicom.finding import find
from tests.runtime.studies.dicom.made import GRID, VOXELS
from tests.studies_made.series import write_series


def test_files_are_found_in_any_nesting_among_other_things(tmp_path: Path) -> None:
    write_series(tmp_path / "a" / "b" / "c" / "d", VOXELS, GRID, suffix="")
    write_series(tmp_path / "Ä ö" / "x.zip", VOXELS[:2], GRID)  # a folder of such a name
    (tmp_path / "a" / "report.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "a" / "empty.dcm").write_bytes(b"")
    (tmp_path / "t1.nii.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "f.dcm").write_bytes((tmp_path / "a/b/c/d/IM0001").read_bytes())
    (tmp_path / "._IM0001").write_bytes(b"\0\5\x16\7")
    found = find(tmp_path)
    assert len(found.dicom) == 8
    assert [file.label for file in found.nifti] == ["t1.nii.gz"]
    assert found.others == (".../empty.dcm", ".../report.pdf")
    assert not found.problems
    assert found.dicom[0].label == ".../IM0001"


def test_loops_of_links_end_and_each_folder_is_visited_once(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS[:2], GRID)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    found = find(tmp_path)
    assert len(found.dicom) == 2
    assert [problem.where for problem in found.problems] == ["gone"]


def test_a_link_to_a_folder_above_brings_in_nobody_elses_study(tmp_path: Path) -> None:
    write_series(tmp_path / "mine" / "a", VOXELS[:2], GRID)
    write_series(tmp_path / "others", VOXELS, GRID)
    write_series(tmp_path / "elsewhere" / "b", VOXELS[:1], GRID, tags={"SeriesNumber": 9})
    (tmp_path / "mine" / "up").symlink_to(tmp_path)
    (tmp_path / "mine" / "a" / "above").symlink_to(tmp_path.parent)
    (tmp_path / "mine" / "kept").symlink_to(tmp_path / "elsewhere")
    found = find(tmp_path / "mine")
    places = [f"{file.path.parent.name}/{file.path.name}" for file in found.dicom]
    assert places == ["a/IM0001.dcm", "a/IM0002.dcm", "b/IM0001.dcm"]
    assert not found.problems


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-implicit", "DICOMDIR-bigEnd"])
def test_the_directory_of_a_medium_is_no_problem_and_no_image(tmp_path: Path, name: str) -> None:
    from pydicom.data import get_testdata_file

    real = Path(str(get_testdata_file(f"dicomdirtests/{name}")))
    write_series(tmp_path / "DICOM", VOXELS[:2], GRID)
    shutil.copy(real, tmp_path / "DICOMDIR")
    with zipfile.ZipFile(tmp_path / "cd.zip", "w") as archive:
        archive.write(real, "DICOMDIR")
        archive.write(tmp_path / "DICOM" / "IM0001.dcm", "I1")
    found = find(tmp_path)
    assert len(found.dicom) == 3
    assert found.others == ("DICOMDIR", "cd.zip: DICOMDIR")
    assert not found.problems
    with pytest.raises(StudyError, match="lists the files of a medium"):
        find(tmp_path / "DICOMDIR")


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dcm")
    write_series(tmp_path / "a", VOXELS[:1], GRID)
    assert len(find(tmp_path).dicom) == 1
    with pytest.raises(StudyError, match="neither a folder nor a regular file"):
        find(tmp_path / "pipe.dcm")


@pytest.mark.parametrize("name", ["absent", "a\0b", "x" * 5000])
def test_a_path_that_is_not_there_is_a_named_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        find(tmp_path / name)


def test_folders_deeper_than_any_export_end(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(70):
        folder = folder / "d"
    write_series(folder, VOXELS[:1], GRID)
    found = find(tmp_path)
    assert not found.dicom
    assert "too deep" in found.problems[0].kind


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_MOST_FILES", 4)
    write_series(tmp_path, VOXELS, GRID)
    with pytest.raises(StudyError, match="too many files"):
        find(tmp_path)


def test_names_are_fit_to_be_shown(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31m.txt").write_bytes(b"x")
    assert find(tmp_path).others == ("\\x1b[31m.txt",)
