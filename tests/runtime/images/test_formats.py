"""Bytes decide what a file is; its name only what is noted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images import SUFFIXES, is_image_name
from brainseg_runtime.images.formats import READERS, read_raster

IMAGE = np.random.default_rng(0).integers(0, 256, (33, 45, 3), dtype=np.uint8)


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "b.Png", "c.jpg", "c.JPEG", "p_1_mask.tif"])
def test_names_of_every_format_in_any_case_are_images(name: str) -> None:
    assert is_image_name(name)


@pytest.mark.parametrize("name", ["a.txt", "tif", ".tif", "a.tif.gz", "a.dcm", "a.nii", ""])
def test_other_names_are_not(name: str) -> None:
    assert not is_image_name(name)


def test_every_suffix_is_of_one_reader() -> None:
    assert sorted(SUFFIXES) == sorted({suffix for reader in READERS for suffix in reader.suffixes})
    assert len({reader.name for reader in READERS}) == len(READERS)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "JPEG"])
def test_what_a_file_is_called_does_not_matter_but_is_noted(kind: str) -> None:
    right = read_raster(saved(kind), f"x.{kind.lower()}", DEFAULT_LIMITS)
    for name in ("x.tif", "x.png", "x.jpg", "x.bin", "x"):
        found = read_raster(saved(kind), name, DEFAULT_LIMITS)
        assert np.array_equal(found.pixels, right.pixels)
        of_other = is_image_name(name) and kind[:2] != name[2:].upper()[:2]
        assert any(f"the file is a {kind} and was read as one" in note for note in found.notes) is of_other


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "an empty file"),
        (bytes(400), "400 bytes of zeros"),
        (b"BM" + bytes(100), "BMP"),
        (b"GIF89a" + bytes(100), "GIF"),
        (b"RIFF" + bytes(100), "WebP"),
        (b"PK\3\4" + bytes(100), "a zip archive"),
        (b"\x1f\x8b" + bytes(100), "gzip data"),
        (bytes(128) + b"DICM" + bytes(10), "DICOM"),
        (b"\x5c\1\0\0" + bytes(340) + b"n+1\0" + bytes(8), "NIfTI"),
        (b"\1\2\3\4", "a file that begins with 01 02 03 04"),
    ],
)
def test_another_kind_of_file_is_named(data: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match="not an image") as caught:
        read_raster(data, "x.tif", DEFAULT_LIMITS)
    assert caught.value.got == kind
    assert caught.value.expected == "TIFF or PNG or JPEG"
