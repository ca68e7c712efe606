"""Images that are cut off are told from whole ones, in every encoding and by every writer."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from brainseg_runtime.node.receiving import wholeness
from brainseg_runtime.node.receiving.identity import meta_of
from brainseg_runtime.node.receiving.wholeness import is_whole
from tests.runtime.node.receiving.listening import content_of, file_of, made_image
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.shapes import axial_grid
from tests.studies_made.syntaxes import SYNTAXES, transcode


def nested(depth: int) -> Sequence:
    """Sequences within sequences."""
    item = Dataset()
    item.CodeValue = "T-A0100"
    if depth:
        item.ConceptNameCodeSequence = nested(depth - 1)
    return Sequence([item, Dataset(), item])


def rich_image() -> Dataset:
    """An image with sequences, private elements and a name in another script."""
    image = made_image(rows=32)
    image.SpecificCharacterSet = "GB18030"
    image.PatientName = "Wang^XiaoDong=王^小东"
    image.ProcedureCodeSequence = nested(3)
    image.add_new(0x00090010, "LO", "MAKER")
    image.add_new(0x00091001, "UN", b"\xfe\xff\x00\xe0" * 40)
    image.add_new(0x00091002, "UT", "text " * 1000)
    return image


def whole(path: Path) -> bool:
    offset, syntax = meta_of(path.read_bytes())
    return is_whole(path, offset, syntax)


def cuts(path: Path) -> list[int]:
    """Lengths to which a file is cut: within and between its elements."""
    offset, _ = meta_of(path.read_bytes())
    size = path.stat().st_size
    return sorted({*range(offset, size, max(1, (size - offset) // 150)), *range(size - 12, size)})


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_cut_is_seen_in_every_transfer_syntax(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(rich_image()))
    transcode([path], syntax)
    data = path.read_bytes()
    offset, found = meta_of(data)

    assert whole(path)
    for cut in cuts(path):
        path.write_bytes(data[:cut])
        # A deflated stream may be followed by padding, and gdcm's by a checksum.
        assert not is_whole(path, offset, found) or (
            found == DeflatedExplicitVRLittleEndian and cut >= len(data) - 10
        ), cut


@pytest.mark.parametrize("end", [b"\0", b"\0" * 512, b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0\0\0\0\0\0\0\0\0", b"noise"])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "deflated", "rle", "jpeg-ls"])
def test_what_follows_the_pixels_is_no_reason_to_refuse(tmp_path: Path, syntax: str, end: bytes) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(rich_image()))
    transcode([path], syntax)
    path.write_bytes(path.read_bytes() + end)

    assert whole(path)


def test_an_enhanced_image_of_many_frames_is_whole_and_fast(tmp_path: Path) -> None:
    grid = axial_grid((200, 16, 16))
    path = write_enhanced(tmp_path / "image.dcm", np.ones(grid.shape, np.int16), grid, per_frame=True)
    transcode([path], "undefined-lengths-dcmtk")
    data = path.read_bytes()

    begun = time.process_time()
    assert whole(path)
    assert time.process_time() - begun < 10  # hundredths of a second where it was written
    path.write_bytes(data[:-100])
    assert not whole(path)


def test_an_image_without_pixels_is_not_whole(tmp_path: Path) -> None:
    image = made_image()
    del image.PixelData
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(image))

    assert not whole(path)


def test_an_implicit_data_set_is_known_whatever_its_syntax_says(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(rich_image()))
    transcode([path], "implicit")
    path.write_bytes(content_of(path.read_bytes()))

    assert is_whole(path, 0, ExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_hostile_data_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str) -> None:
    monkeypatch.setattr(wholeness, "_MOST_ELEMENTS", 20_000)
    path = tmp_path / "image.dcm"
    deep = b"\x08\0\x05\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100_000
    begun = time.process_time()
    for data in (b"", b"\0", b"\x08\0\x05\0SH\0\0" * 3_000_000, bytes(1 << 24), deep):
        path.write_bytes(data)
        assert not is_whole(path, 0, syntax)
    assert time.process_time() - begun < 60  # a second where it was written
