"""Archives give their DICOM files, under our own names, and no more bytes than the caps allow."""

from __future__ import annotations

import gc
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom import archives
from brainseg_runtime.studies.dicom.archives import Workspace, extract, holds_pictures_alone
from brainseg_runtime.studies.dicom.finding import find
from brainseg_runtime.studies.dicom.series import read_studies
from tests.runtime.studies.dicom.made import GRID, VOXELS, only_series
from tests.studies_made.series import write_series

HOSTILE = (
    "../../up.dcm", "/etc/passwd", "C:\\windows\\a.dcm", "a/../../b.dcm", "..\\..\\c.dcm", "x\0y.dcm", "con", "a" * 300,
    "\x1b[31mred.dcm", "~/f.dcm", "file:///f.dcm", ".hidden", "-rf", " ", "ü/é.dcm", "dir/./z.dcm",
)  # fmt: skip


@pytest.fixture
def slices(tmp_path: Path) -> list[bytes]:
    """A series' files."""
    return [path.read_bytes() for path in write_series(tmp_path / "source", VOXELS, GRID)]


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in members.items():
            made.writestr(zipfile.ZipInfo(name) if method == zipfile.ZIP_STORED else name, data, method)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_study_in_an_archive_is_read_as_in_a_folder(tmp_path: Path, slices: list[bytes], method: int) -> None:
    members = {f"export/PAT/{k}/IM": data for k, data in enumerate(slices)}
    path = zipped(tmp_path / "study.zip", {**members, "readme.txt": b"hello", "viewer.exe": b"MZ" * 100}, method)
    series = only_series(path)
    gc.collect()
    assert np.array_equal(series.load().voxels, VOXELS)
    assert find(path).others == ("readme.txt", "viewer.exe")


def test_archives_among_other_files_are_read(tmp_path: Path, slices: list[bytes]) -> None:
    folder = tmp_path / "inbox"
    write_series(folder / "half", VOXELS[:3], GRID)
    zipped(folder / "rest.zip", {f"{k}": data for k, data in enumerate(slices[3:])})
    (folder / "broken.zip").write_bytes(b"PK\3\4 not really")
    found = find(folder)
    assert len(found.problems) == 1
    (study,), _ = read_studies(found.dicom)
    assert np.array_equal(study.series[0].load().voxels, VOXELS)


def test_pictures_alone_are_told_from_a_study_with_pictures(tmp_path: Path, slices: list[bytes]) -> None:
    pictures = {"P/P_1.tif": b"II*\0", "P/P_1_mask.png": b"\x89PNG", "P/readme.txt": b"hello"}

    def alone(members: dict[str, bytes]) -> bool:
        return holds_pictures_alone(zipped(tmp_path / "one.zip", members))

    assert alone(pictures)
    assert alone({"1.webp": b"RIFF"})
    assert not alone({**pictures, "IM0001": slices[0]})
    assert not alone({**pictures, "disguised.tif": slices[0]})
    assert not alone({**pictures, "a.nii.gz": b""})
    assert not alone({"readme.txt": b"hello", "__MACOSX/._1.tif": b""})
    assert not alone({})
    whole = zipped(tmp_path / "whole.zip", pictures).read_bytes()
    for end in (0, 4, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.zip").write_bytes(whole[:end])
        assert not holds_pictures_alone(tmp_path / "cut.zip")
    assert not holds_pictures_alone(tmp_path)


def test_hostile_names_never_become_paths(tmp_path: Path, slices: list[bytes]) -> None:
    path = zipped(tmp_path / "hostile.zip", dict(zip(HOSTILE, slices * 3, strict=False)))
    before = {each for each in tmp_path.rglob("*") if each.is_file()}
    workspace = Workspace()
    members = list(extract(path, workspace))
    assert len(members) == len(HOSTILE)
    for member in members:
        assert member.name.isprintable()
        assert member.path is not None
        assert member.path.parent == workspace.folder
        assert member.path.resolve().is_relative_to(workspace.folder.resolve())
    assert {each for each in tmp_path.rglob("*") if each.is_file()} == before


def test_nifti_keeps_the_harmless_part_of_its_name(tmp_path: Path) -> None:
    names = ["a/../../P1_flair.nii.gz", "/x/P1 t1.nii", "b/P1_flair.nii.gz"]
    path = zipped(tmp_path / "n.zip", dict.fromkeys(names, b"data"))
    workspace = Workspace()
    paths = [member.path for member in extract(path, workspace) if member.path is not None]
    assert [each.name for each in paths] == ["P1_flair.nii.gz", "P1_t1.nii", "P1_flair.nii.gz"]
    assert len(set(paths)) == 3
    assert all(each.resolve().is_relative_to(workspace.folder.resolve()) for each in paths)


def test_extracted_files_go_when_nothing_uses_them(tmp_path: Path, slices: list[bytes]) -> None:
    path = zipped(tmp_path / "study.zip", {f"{k}": data for k, data in enumerate(slices)})
    series = only_series(path)
    folder = series.paths[0].parent
    gc.collect()
    assert folder.is_dir()
    del series
    gc.collect()
    assert not folder.exists()


def test_a_bomb_is_stopped_at_the_cap(tmp_path: Path, slices: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FREE", 1 << 20)
    path = zipped(tmp_path / "bomb.zip", {str(k): slices[0] + bytes(8 << 20) for k in range(100)})
    workspace = Workspace()
    with pytest.raises(StudyError, match="grows too large"):
        list(extract(path, workspace))
    assert sum(each.stat().st_size for each in workspace.folder.iterdir()) < 100 * path.stat().st_size + (3 << 20)


def test_a_stated_size_that_is_not_true_is_found_out(tmp_path: Path, slices: list[bytes]) -> None:
    path = zipped(tmp_path / "lie.zip", {"a": slices[0]})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    (member,) = extract(path, Workspace())
    assert member.fault or (member.path is not None and member.path.stat().st_size <= len(slices[0]))


def test_a_directory_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = zipped(tmp_path / "many.zip", {"a": b"x"})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\5\6")
    data[at + 12 : at + 16] = struct.pack("<I", archives._MOST_DIRECTORY + 1)
    path.write_bytes(data)
    with pytest.raises(StudyError, match="too large a directory"):
        list(extract(path, Workspace()))


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 10)
    path = zipped(tmp_path / "many.zip", {str(k): b"" for k in range(11)})
    with pytest.raises(StudyError, match="too many files"):
        list(extract(path, Workspace()))


def test_what_is_encrypted_or_damaged_is_reported_and_the_rest_read(tmp_path: Path, slices: list[bytes]) -> None:
    path = zipped(tmp_path / "study.zip", {str(k): data for k, data in enumerate(slices)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the first is marked as encrypted
    at = data.index(slices[3]) + len(slices[3]) // 2
    data[at] ^= 0xFF  # the fourth has a wrong checksum
    path.write_bytes(data)
    members = list(extract(path, Workspace()))
    assert [member.fault for member in members if member.fault] == ["is encrypted", "is damaged (BadZipFile)"]
    assert sum(member.path is not None for member in members) == 4


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_take_any_memory_are_not_read(tmp_path: Path, slices: list[bytes], method: int) -> None:
    path = zipped(tmp_path / "study.zip", {"a": slices[0]}, method)
    (member,) = extract(path, Workspace())
    assert member.path is None
    assert "method" in member.fault


def test_damaged_archives_are_a_named_error(tmp_path: Path, slices: list[bytes]) -> None:
    whole = zipped(tmp_path / "whole.zip", {str(k): data for k, data in enumerate(slices)}).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.zip"
    for _ in range(150):
        data = bytearray(whole[: rng.integers(10, len(whole))] if rng.random() < 0.3 else whole)
        for at in rng.integers(0, len(data), rng.integers(1, 40)):
            data[at] = rng.integers(256)
        if rng.random() < 0.5:  # the directory, where the names and sizes are
            for at in rng.integers(max(0, len(data) - 500), len(data), 10):
                data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            members = list(extract(path, Workspace()))
        except StudyError:
            continue
        assert all(member.name.isprintable() for member in members)


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path, slices: list[bytes]) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        made.writestr("a", slices[0])
    path = zipped(tmp_path / "outer.zip", {"inner.zip": inner.getvalue()})
    found = find(path)
    assert not found.dicom
    assert found.others == ("inner.zip",)
