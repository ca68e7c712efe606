"""Files are recognised by their bytes, parsed within limits, and damaged ones refused without a warning or a name."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path

import pydicom
import pytest

from brainseg_runtime.errors import MissingExtraError, StudyError
from brainseg_runtime.studies.dicom import files
from brainseg_runtime.studies.dicom.files import DEFLATED, EXPLICIT, IMPLICIT, is_dicom, parse, read_bytes
from brainseg_runtime.studies.dicom.library import require_pydicom
from brainseg_runtime.studies.dicom.slices import TAGS
from tests.runtime.studies.dicom.made import GRID, VOXELS, only_series
from tests.studies_made.series import write_series
from tests.studies_made.syntaxes import transcode


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """One slice's file."""
    return write_series(tmp_path, VOXELS[:1], GRID)[0]


def test_dicom_is_told_by_its_bytes(one: Path) -> None:
    data = one.read_bytes()
    assert is_dicom(data[:144])
    assert is_dicom(
        data[data.index(b"\x08\x00\x05") if b"\x08\x00\x05" in data else data.index(b"\x08\x00\x08") :][:144]
    )
    for other in (b"", b"DICM", b"\x89PNG" + bytes(140), b"PK\3\4" + bytes(140), b"MZ" + bytes(142), bytes(144)):
        assert not is_dicom(other)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_files_without_preamble_are_read(one: Path, syntax: str) -> None:
    dataset = pydicom.dcmread(one)
    del dataset.file_meta
    dataset.preamble = None
    bare = io.BytesIO()
    pydicom.dcmwrite(bare, dataset, implicit_vr=syntax == IMPLICIT, little_endian=True, enforce_file_format=False)
    assert b"DICM" not in bare.getvalue()[:200]
    one.write_bytes(bare.getvalue())
    series = only_series(one)
    assert series.fault is None
    assert (series.load().voxels == VOXELS[:1]).all()


def test_a_file_that_says_another_encoding_than_it_has_is_read(one: Path) -> None:
    data = one.read_bytes()
    told = data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0", 1)
    assert told != data
    one.write_bytes(told)
    assert (only_series(one).load().voxels == VOXELS[:1]).all()


def test_parsing_stops_at_the_pixels(one: Path) -> None:
    parsed = parse(one, "f", TAGS)
    assert parsed.pixels is not None
    assert "PixelData" not in parsed.dataset
    assert read_bytes(one, parsed.syntax, parsed.pixels.offset, 8) == pydicom.dcmread(one).PixelData[:8]


def test_lengths_that_exceed_the_file_take_no_memory(one: Path) -> None:
    data = bytearray(one.read_bytes())
    at = data.index(b"\x10\x00\x10\x00PN")  # PatientName becomes a value of almost 4 GiB
    data[at + 4 : at + 12] = b"UT\0\0\xf0\xff\xff\xff"
    one.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(StudyError):
        parse(one, "f", (*TAGS, 0x00100010))
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0xFFFFFFFE, 1 << 31])
def test_meta_information_that_does_not_end_is_refused(one: Path, length: int) -> None:
    data = bytearray(one.read_bytes())
    data[132:144] = b"\x02\x00\x01\x00OB\0\0" + length.to_bytes(4, "little")
    one.write_bytes(data)
    with pytest.raises(StudyError, match="f "):
        parse(one, "f", TAGS)


def test_a_sequence_nested_deeper_than_python_recurses_is_refused(one: Path) -> None:
    data = one.read_bytes()
    at = data.index(b"\x08\x00\x20\x00")
    nest = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    one.write_bytes(data[:at] + nest * 20_000 + data[at:])
    with pytest.raises(StudyError, match="f is damaged"):
        parse(one, "f", TAGS)


def test_a_deflated_bomb_is_stopped_at_the_cap(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transcode([one], "deflated")
    assert parse(one, "f", TAGS).syntax == DEFLATED
    data = one.read_bytes()
    start = data.index(b"1.2.840.10008.1.2.1.99") + 22
    monkeypatch.setattr(files, "MOST_INFLATED", 1 << 20)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeezer.compress(bytes(64 << 20)) + squeezer.flush()
    meta = pydicom.dcmread(one, stop_before_pixels=True).file_meta
    end = 144 + int(meta.FileMetaInformationGroupLength)
    assert start <= end
    one.write_bytes(data[:end] + bomb)
    tracemalloc.start()
    with pytest.raises(StudyError, match="too large once inflated"):
        parse(one, "f", TAGS)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "deflated", "big-endian", "rle", "jpeg-ls"])
def test_a_file_cut_anywhere_is_refused_or_its_series_faulty(tmp_path: Path, syntax: str) -> None:
    whole = write_series(tmp_path, VOXELS[:1], GRID)
    transcode(whole, syntax)
    data = whole[0].read_bytes()
    for length in range(140, len(data) - 8, len(data) // 60):
        whole[0].write_bytes(data[:length])
        try:
            series = only_series(whole[0])
        except ValueError:  # no series at all: the file was refused
            continue
        with pytest.raises(StudyError):
            series.load()


def test_a_file_beyond_the_cap_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        file.truncate(files.MOST_BYTES + 1)
    with pytest.raises(StudyError, match="too large"):
        parse(path, "huge", TAGS)


def test_without_pydicom_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(MissingExtraError, match="study"):
        require_pydicom()
