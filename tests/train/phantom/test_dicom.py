"""Generated studies: the voxels of the generated slices, the same bytes again, and what the standard's checker says."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from brainseg_train.errors import PhantomError
from brainseg_train.phantom.dicom import write_phantom_studies
from brainseg_train.phantom.patients import make_patient, write_phantom

sitk = pytest.importorskip("SimpleITK")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_studies(tmp_path_factory.mktemp("phantom") / "p", patients=4, seed=7, slices=(3, 5), side=64)


def test_each_series_holds_the_slices_of_its_channel(studies: Path) -> None:
    patient = make_patient(1, 7, slices=(3, 5), side=64)
    for channel, name in enumerate(("2_AX_T1", "3_AX_FLAIR", "4_AX_T1_POST")):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(studies / patient.id / name)))
        image = reader.Execute()
        assert np.array_equal(sitk.GetArrayFromImage(image), patient.images[..., channel])
        assert np.allclose(image.GetDirection(), np.eye(3).ravel())
        assert np.allclose(image.GetSpacing()[:2], 240 / 64)


def test_a_missing_sequence_has_no_series(studies: Path) -> None:
    fourth = make_patient(3, 7, slices=(3, 5), side=64)
    assert sorted(path.name for path in (studies / fourth.id).iterdir()) == ["2_AX_T1", "3_AX_FLAIR"]


def test_series_of_a_study_share_its_uids_and_nothing_else_does(studies: Path) -> None:
    read = [pydicom.dcmread(path) for path in sorted(studies.rglob("*.dcm"))]
    assert len({each.SOPInstanceUID for each in read}) == len(read)
    assert len({each.StudyInstanceUID for each in read}) == len({each.FrameOfReferenceUID for each in read}) == 4
    assert len({each.SeriesInstanceUID for each in read}) == 11
    assert all(pydicom.uid.UID(each.SOPInstanceUID).is_valid for each in read)


def test_the_same_seed_gives_the_same_bytes_and_replaces_a_phantom(tmp_path: Path) -> None:
    def digests() -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((tmp_path / "p").rglob("*.dcm"))]

    write_phantom(tmp_path / "p", patients=1, slices=(2, 2), side=32)
    write_phantom_studies(tmp_path / "p", patients=2, seed=3, slices=(2, 2), side=32)
    first = digests()
    write_phantom_studies(tmp_path / "p", patients=2, seed=3, slices=(2, 2), side=32)
    assert digests() == first
    assert not list((tmp_path / "p").rglob("*.tif"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(PhantomError, match="holds something else"):
        write_phantom_studies(tmp_path, patients=1)


def test_the_standards_checker_finds_no_error(studies: Path) -> None:
    checker = shutil.which("dciodvfy")
    if checker is None:
        pytest.skip("needs dciodvfy: apt-get install dicom3tools")
    for path in (next(studies.rglob(f"{name}/IM0001.dcm")) for name in ("2_AX_T1", "3_AX_FLAIR", "4_AX_T1_POST")):
        told = subprocess.run([checker, str(path)], capture_output=True, text=True, timeout=60, check=False)
        assert [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")] == []
