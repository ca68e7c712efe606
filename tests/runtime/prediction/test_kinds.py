"""Slices are told from studies by names and first bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from brainseg_runtime.errors import InputError
from brainseg_runtime.prediction.kinds import told_kind
from tests.runtime.made_slices import made_data

DICOM = b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0"


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_data_set_holds_slices(tmp_path: Path) -> None:
    data = made_data(tmp_path / "data")
    assert told_kind([data]).kind == "slices"
    assert told_kind([next(data.rglob("*_1.tif"))]).kind == "slices"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("deep/er/IM1", DICOM),
        ("x.IMA", b""),
        ("x.nii.gz", b"\x1f\x8b"),
        ("no-suffix", b"PK\x03\x04"),
        ("without-preamble", b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100"),
        ("big-endian", b"\0\x08\0\x05\0\0\0\x0aISO_IR 100"),
    ],
)
def test_one_such_file_makes_a_folder_one_of_studies(tmp_path: Path, name: str, data: bytes) -> None:
    put(tmp_path / "study" / name, data)
    put(tmp_path / "study" / "readme.txt", b"about")
    told = told_kind([tmp_path / "study"])
    assert (told.kind, told.warnings) == ("studies", ())
    assert told_kind([tmp_path / "study" / name]).kind == "studies"


def test_images_beside_a_study_are_left_out_and_said(tmp_path: Path) -> None:
    put(tmp_path / "study" / "IM1", DICOM)
    put(tmp_path / "study" / "thumbnail.jpg", b"\xff\xd8")
    (warning,) = told_kind([tmp_path / "study"]).warnings
    assert "1 image" in warning


def test_both_kinds_in_one_run_are_refused(tmp_path: Path) -> None:
    study = put(tmp_path / "study" / "IM1.dcm", DICOM).parent
    with pytest.raises(InputError, match="both slices and studies"):
        told_kind([made_data(tmp_path / "data"), study])


def test_what_is_neither_is_refused_with_both_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither an image nor a study") as caught:
        told_kind([put(tmp_path / "letter.txt", b"dear")])
    assert "DICOM" in str(caught.value.expected)
    with pytest.raises(InputError):
        told_kind([tmp_path / "missing"])


def test_a_zip_is_a_study(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("a", DICOM)
    assert told_kind([tmp_path / "export.zip"]).kind == "studies"
