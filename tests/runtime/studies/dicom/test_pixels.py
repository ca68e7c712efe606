"""Stored values become what they stand for, bit for bit, whatever bits and bytes surround them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom import pixels
from brainseg_runtime.studies.dicom.slices import read_slices
from tests.runtime.studies.dicom.made import GRID, VOXELS, only_series
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.faults import changed
from tests.studies_made.series import Stored, write_series
from tests.studies_made.syntaxes import transcode


def stored_as(
    change: Callable[[NDArray[np.uint16]], NDArray[Any]], **values: object
) -> Callable[[int, Dataset], Dataset]:
    """Other bytes for the pixels, and other tags."""

    def edit(_: int, dataset: Dataset) -> Dataset:
        words = np.frombuffer(dataset.PixelData, "<u2")
        changed(**values)(0, dataset)
        dataset.PixelData = change(words).tobytes()
        return dataset

    return edit


def test_an_overlay_in_the_unused_bits_is_taken_off(tmp_path: Path) -> None:
    edit = stored_as(lambda words: words | 0xA000, BitsStored=12, HighBit=11)
    write_series(tmp_path, VOXELS, GRID, edit=edit)
    assert np.array_equal(only_series(tmp_path).load().voxels, VOXELS)


def test_values_that_do_not_begin_at_the_lowest_bit_are_shifted(tmp_path: Path) -> None:
    edit = stored_as(lambda words: words << 4, BitsStored=12, HighBit=15)
    write_series(tmp_path, VOXELS, GRID, edit=edit)
    assert np.array_equal(only_series(tmp_path).load().voxels, VOXELS)


def test_signed_values_of_twelve_bits_keep_their_sign(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS - 500, GRID, stored=Stored(signed=True, bits_stored=12))
    for path in tmp_path.iterdir():  # the sign is in bit 11 alone
        dataset = pydicom.dcmread(path)
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") & 0x0FFF).tobytes()
        dataset.save_as(path)
    assert np.array_equal(only_series(tmp_path).load().voxels, VOXELS - 500)


@pytest.mark.parametrize("signed", [False, True])
def test_thirty_two_bits_are_read(tmp_path: Path, signed: bool) -> None:
    offset = 100_000 if not signed else -100_000
    edit = stored_as(
        lambda words: words.astype("<i4") + offset, BitsAllocated=32, BitsStored=32, HighBit=31,
        PixelRepresentation=int(signed), RescaleSlope=1, RescaleIntercept=-offset,
    )  # fmt: skip
    write_series(tmp_path, VOXELS, GRID, edit=edit)
    assert np.array_equal(only_series(tmp_path).load().voxels, VOXELS)


def test_padding_becomes_background(tmp_path: Path) -> None:
    voxels = VOXELS.copy()
    voxels[:, :3] = 0
    write_series(tmp_path / "a", voxels, GRID, stored=Stored(signed=True, padding=-2000))
    assert np.array_equal(only_series(tmp_path / "a").load().voxels, voxels)
    shifted = Stored(signed=True, padding=-2000, slope=1.0, intercept=-700.0)
    write_series(tmp_path / "b", voxels, GRID, stored=shifted)
    loaded = only_series(tmp_path / "b").load().voxels
    assert np.array_equal(loaded[:, 3:], voxels[:, 3:])
    assert (loaded[:, :3] == min(0, voxels[:, 3:].min())).all()


def test_a_range_of_padding_becomes_background(tmp_path: Path) -> None:
    def edit(k: int, dataset: Dataset) -> Dataset:
        dataset.add_new("PixelPaddingValue", "US", 60000)
        dataset.add_new("PixelPaddingRangeLimit", "US", 65535)
        dataset.PixelData = np.concatenate([np.arange(60000, 60048), VOXELS[k, 1:].ravel()]).astype("<u2").tobytes()
        return dataset

    write_series(tmp_path, VOXELS, GRID, edit=edit)
    loaded = only_series(tmp_path).load().voxels
    assert (loaded[:, 0] == 0).all()
    assert np.array_equal(loaded[:, 1:], VOXELS[:, 1:])


def test_low_values_that_are_bright_are_turned_over_about_the_largest(tmp_path: Path) -> None:
    """As some software writes it: without regard to BitsStored."""
    top = int(VOXELS.max())
    edit = stored_as(lambda words: (top - words.astype("<i4")).astype("<u2"), PhotometricInterpretation="MONOCHROME1")
    write_series(tmp_path, VOXELS, GRID, edit=edit)
    loaded = only_series(tmp_path).load().voxels
    assert np.array_equal(loaded, VOXELS - VOXELS.min())


@pytest.mark.parametrize("slope", ["1e300", "1e-300", "nan"])
def test_slopes_that_leave_no_numbers_are_refused(tmp_path: Path, slope: str) -> None:
    write_series(tmp_path, VOXELS // 2 * 2, GRID, stored=Stored(slope=2.0))
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x28\x00\x53\x10DS")
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        data = data[: at + 6] + (6).to_bytes(2, "little") + slope.encode().ljust(6) + data[at + 8 + length :]
        path.write_bytes(data)
    with pytest.raises(StudyError, match="RescaleSlope"):
        only_series(tmp_path).load()


def test_an_unknown_transfer_syntax_is_a_fault_before_pixels_are_read(tmp_path: Path) -> None:
    for path in write_series(tmp_path, VOXELS, GRID):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1))
    assert "transfer syntax that is not read" in str(only_series(tmp_path).fault)


@pytest.mark.parametrize("syntax", ["rle", "jpeg-ls", "jpeg-2000"])
def test_a_lost_frame_is_an_error(tmp_path: Path, syntax: str) -> None:
    path = write_enhanced(tmp_path / "e.dcm", VOXELS, GRID)
    transcode([path], syntax)
    dataset = pydicom.dcmread(path)
    frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=6))
    dataset.PixelData = pydicom.encaps.encapsulate(frames[:5])
    dataset.save_as(path)
    with pytest.raises(StudyError, match=r"e\.dcm"):
        only_series(tmp_path).load()


@pytest.mark.parametrize("syntax", ["rle", "jpeg-ls", "jpeg-2000", "jpeg-lossless-dcmtk"])
def test_our_codecs_are_used_whatever_else_is_installed(tmp_path: Path, syntax: str) -> None:
    (path,) = write_series(tmp_path, VOXELS[:1], GRID)
    transcode([path], syntax)
    file, _ = read_slices(path, "f")
    assert pixels._decoder(file)[1] in {"pydicom", "pyjpegls", "pylibjpeg"}


def test_single_frames_are_decoded_alone(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "e.dcm", VOXELS, GRID)
    for syntax in (None, "jpeg-ls"):
        if syntax is not None:
            transcode([path], syntax)
        file, _ = read_slices(path, "f")
        for wanted in ([3], [6, 1]):
            found = pixels.stored_values(file, wanted)
            assert all(np.array_equal(one, VOXELS[number - 1]) for one, number in zip(found, wanted, strict=True))
