"""A codestream that claims another size than its header is refused before a codec sees it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom.codestreams import RLE, check_codestream
from tests.runtime.studies.dicom.made import GRID, VOXELS, only_series
from tests.studies_made.series import write_series
from tests.studies_made.syntaxes import transcode

SIZE = (40, 48)
SYNTAXES = ("rle", "jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk")


def made_frame(folder: Path, syntax: str) -> tuple[Path, bytes, str]:
    """A file, its frame and its syntax's UID."""
    (path,) = write_series(folder, VOXELS[:1], GRID)
    transcode([path], syntax)
    dataset = pydicom.dcmread(path)
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    return path, frame, dataset.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_encoders_write_is_accepted(tmp_path: Path, syntax: str) -> None:
    _, frame, uid = made_frame(tmp_path, syntax)
    check_codestream(frame, uid, SIZE, 2, "f")


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk"])
@pytest.mark.parametrize("padding", [b"\0", b"\xff"])
def test_a_frame_padded_to_an_even_length_is_read(tmp_path: Path, syntax: str, padding: bytes) -> None:
    """Some makers of JPEG 2000 pad with 255."""
    path, frame, _ = made_frame(tmp_path, syntax)
    before = only_series(path).load().voxels
    dataset = pydicom.dcmread(path)
    end = frame.rindex(b"\xff\xd9") + 2
    dataset.PixelData = encapsulate([frame[:end] + padding * (2 - end % 2)])
    dataset.save_as(path)
    np.testing.assert_array_equal(only_series(path).load().voxels, before)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_another_size_is_refused(tmp_path: Path, syntax: str) -> None:
    _, frame, uid = made_frame(tmp_path, syntax)
    with pytest.raises(StudyError, match="f: "):
        check_codestream(frame, uid, (48, 40) if syntax != "rle" else (400, 480), 2, "f")


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk"])
def test_a_frame_that_asks_for_gigabytes_is_refused_when_read(tmp_path: Path, syntax: str) -> None:
    path, frame, _ = made_frame(tmp_path, syntax)
    if syntax == "jpeg-2000":
        at = frame.index(b"\xff\x51") + 6
        huge = frame[:at] + struct.pack(">4I", 60_000, 60_000, 0, 0) + frame[at + 16 :]
    else:
        at = frame.index(b"\xff\xf7" if syntax == "jpeg-ls" else b"\xff\xc3") + 5
        huge = frame[:at] + struct.pack(">2H", 60_000, 60_000) + frame[at + 4 :]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([huge])
    dataset.save_as(path)
    with pytest.raises(StudyError, match=r"another size|damaged"):
        only_series(path).load()


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk"])
def test_a_frame_without_its_end_is_refused(tmp_path: Path, syntax: str) -> None:
    _, frame, uid = made_frame(tmp_path, syntax)
    with pytest.raises(StudyError, match="cut off"):
        check_codestream(frame[: len(frame) // 2], uid, SIZE, 2, "f")


def test_run_lengths_that_expand_beyond_the_image_are_refused() -> None:
    segment = b"\x81\0" * 20_000
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + segment
    with pytest.raises(StudyError, match="f: "):
        check_codestream(frame, RLE, SIZE, 1, "f")


@pytest.mark.parametrize("frame", [b"", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xc3\xff\xd9", bytes(100) + b"\xff\xd9"])
@pytest.mark.parametrize("syntax", [RLE, "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"])
def test_no_codestream_is_refused(frame: bytes, syntax: str) -> None:
    with pytest.raises(StudyError, match="f: "):
        check_codestream(frame, syntax, SIZE, 2, "f")


def test_tiles_without_end_are_refused(tmp_path: Path) -> None:
    _, frame, uid = made_frame(tmp_path, "jpeg-2000")
    at = frame.index(b"\xff\x51") + 6 + 16
    with pytest.raises(StudyError, match="damaged"):
        check_codestream(frame[:at] + struct.pack(">2I", 0, 1) + frame[at + 8 :], uid, SIZE, 2, "f")
