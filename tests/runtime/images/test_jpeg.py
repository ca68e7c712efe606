"""JPEG: the pixels that Pillow and OpenCV see, or a named error; nothing is filled up with grey."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images import decode_image, decode_mask

_ROWS, _COLUMNS = np.mgrid[:75, :110]
IMAGE = np.stack([_ROWS * 3, _COLUMNS * 2, (_ROWS + _COLUMNS)], axis=-1).astype(np.uint8)
IMAGE[20:50, 30:70] = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)

FORMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_rows": 1},
    "optimised": {"optimize": True, "quality": 100},
    "RGB": {"keep_rgb": True},
}


def saved(picture: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_colour_is_read_as_two_other_readers_see_it(form: str) -> None:
    data = saved(Image.fromarray(IMAGE), **FORMS[form])
    found = decode_image(data, "x.jpg")
    assert np.array_equal(found.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert any("lossy" in note for note in found.notes)
    cv2 = pytest.importorskip("cv2")
    assert np.array_equal(found.pixels, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])


def test_grey_is_flair_alone_where_that_is_said() -> None:
    data = saved(Image.fromarray(IMAGE[..., 0]))
    found = decode_image(data, "x.jpeg", flair_only=True).pixels
    assert np.array_equal(found[..., 1], np.asarray(Image.open(io.BytesIO(data))))
    with pytest.raises(ImageError, match="three channels"):
        decode_image(data, "x.jpeg")


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_cut_off_is_an_error_whether_or_not_its_end_is_marked(form: str) -> None:
    data = saved(Image.fromarray(IMAGE), **FORMS[form])
    for end in (*range(30), *range(30, len(data), 61), len(data) - 20, len(data) - 3, len(data) - 1):
        with pytest.raises(ImageError):
            decode_image(data[:end], "x.jpg")
    for end in (*range(700, len(data) - 40, 11), *range(len(data) - 40, len(data) - 4)):
        with pytest.raises(ImageError):
            decode_image(data[:end] + b"\xff\xd9", "x.jpg")


def test_a_progressive_stream_without_its_last_scans_is_an_error() -> None:
    data = saved(Image.fromarray(IMAGE), progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans[1:]:
        tables = data.rindex(b"\xff\xc4", 0, at)
        with Image.open(io.BytesIO(data[:tables] + b"\xff\xd9")) as picture:
            picture.load()  # another reader shows it, blurred
        with pytest.raises(ImageError, match="truncated"):
            decode_image(data[:tables] + b"\xff\xd9", "x.jpg")


def exif_marker(orientation: int) -> bytes:
    """An EXIF marker, its orientation a number of four bytes, as some cameras have it."""
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\4\0\0\0\1\0\0\0" + bytes([orientation])
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (saved(Image.fromarray(np.dstack([IMAGE, IMAGE[..., :1]]), "CMYK")), "CMYK"),
        (saved(Image.new("RGB", (2049, 16))), "out of range"),
        (saved(Image.fromarray(IMAGE), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0"), "turned"),
        (b"\xff\xd8" + exif_marker(6) + exif_marker(1) + saved(Image.fromarray(IMAGE))[2:], "turned"),
        (saved(Image.fromarray(IMAGE)).replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "more than 8 bits"),
        (saved(Image.fromarray(IMAGE)).replace(b"\xff\xc0\0\x11\x08", b"\xff\xc9\0\x11\x08"), "not supported"),
        (saved(Image.fromarray(IMAGE)).replace(b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08"), "not supported"),
    ],
)
def test_other_kinds_are_refused_by_name(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what) as caught:
        decode_image(data, "x.jpg")
    assert caught.value.remedy is not None


def test_a_mask_whose_values_jpeg_blurred_is_not_binary() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[20:37, 20:41] = 255
    with pytest.raises(ImageError, match="not binary"):
        decode_mask(saved(Image.fromarray(mask), quality=60), "m.jpg")


def test_bytes_that_fill_up_before_a_marker_are_passed_over() -> None:
    data = saved(Image.fromarray(IMAGE))
    at = data.index(b"\xff\xc0")
    filled = data[:at] + b"\xff\xff\xff" + data[at:-2] + b"\xff\xff" + data[-2:]
    assert np.array_equal(decode_image(filled, "x.jpg").pixels, decode_image(data, "x.jpg").pixels)


def test_a_stream_of_more_scans_than_any_encoder_writes_is_refused_before_it_is_decoded() -> None:
    data = saved(Image.fromarray(IMAGE), progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xc4", first)
    with pytest.raises(ImageError, match="damaged") as caught:
        decode_image(data[:second] + data[first:second] * 200 + data[second:], "x.jpg")
    assert "scans" in str(caught.value.expected)


def test_bytes_after_the_end_are_no_fault() -> None:
    data = saved(Image.fromarray(IMAGE))
    assert np.array_equal(decode_image(data + b"trailer" * 9, "x.jpg").pixels, decode_image(data, "x.jpg").pixels)
