"""What other programs write is read to the pixels that they were given; the oracle is the array, or two readers."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images import decode_image, decode_mask
from brainseg_runtime.images.formats import read_raster
from tests.runtime.images.writers import Form, forms, magick_forms, missing, tiffcp_forms, written

_RNG = np.random.default_rng(0)
# A smooth part, which compresses, and noise, which does not; sides that no strip or tile divides.
IMAGE = np.concatenate(
    [
        np.repeat(np.arange(61, dtype=np.uint8), 83 * 3).reshape(61, 83, 3),
        _RNG.integers(0, 256, (42, 83, 3), dtype=np.uint8),
    ]
)
MASK = (np.hypot(*np.mgrid[-51:52, -41:42]) < 20).astype(np.uint8)
FORMS = list(forms())


def _skip_without(form: Form) -> None:
    if why := missing(form):
        pytest.skip(why)


@pytest.mark.parametrize("form", [form for form in FORMS if form.exact], ids=str)
def test_a_slice_reads_as_the_writer_was_given_it(form: Form) -> None:
    _skip_without(form)
    found = decode_image(written(form, IMAGE), "x.tif")
    assert np.array_equal(found.pixels, IMAGE)
    assert found.pixels.flags.c_contiguous
    assert found.pixels.flags.writeable


@pytest.mark.parametrize("form", [form for form in FORMS if form.exact and "plane" not in form.options], ids=str)
def test_a_grey_slice_reads_as_the_writer_was_given_it(form: Form) -> None:
    _skip_without(form)
    if form.writer == "tifffile" and form.options[1] == "separate":
        pytest.skip("a single channel has no planes")
    found = read_raster(written(form, IMAGE[..., 1]), "x.tif", DEFAULT_LIMITS)
    assert np.array_equal(found.pixels, IMAGE[..., 1])
    assert not found.coded


@pytest.mark.parametrize("form", [form for form in FORMS if not form.exact], ids=str)
def test_a_jpeg_compressed_slice_reads_as_two_other_readers_see_it(form: Form) -> None:
    _skip_without(form)
    cv2 = pytest.importorskip("cv2")
    data = written(form, IMAGE)
    with Image.open(io.BytesIO(data)) as picture:
        pillow = np.asarray(picture.convert("RGB"))
    found = decode_image(data, "x.tif").pixels
    assert np.array_equal(found, pillow)
    assert np.array_equal(found, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize("form", [form for form in FORMS if form.exact], ids=str)
def test_a_slice_cut_off_anywhere_is_an_error_and_never_filled_up(form: Form) -> None:
    _skip_without(form)
    data = written(form, IMAGE)
    for end in sorted({0, 4, 8, 100, len(data) // 3, len(data) // 2, len(data) - 300, len(data) - 20, len(data) - 1}):
        with contextlib.suppress(ImageError):  # else only what no pixel needs was cut
            assert np.array_equal(decode_image(data[:end], "x.tif").pixels, IMAGE)


@pytest.mark.parametrize(
    "form",
    [
        Form("pillow", ("raw", 65536, False)),
        Form("tifffile", ("none", "contig", "<", False, None, None, False)),
        Form("opencv", ()),
        Form("imageio", ("png",)),
        *(form for form in (*magick_forms(), *tiffcp_forms()) if form.exact),
    ],
    ids=str,
)
@pytest.mark.parametrize("high", [1, 128, 255])
def test_a_mask_reads_as_the_writer_was_given_it(form: Form, high: int) -> None:
    _skip_without(form)
    assert np.array_equal(decode_mask(written(form, MASK * np.uint8(high)), "m.tif"), MASK)


@pytest.mark.parametrize("compression", ["Group4", "LZW", "Zip", "RLE", "None"])
def test_a_bilevel_mask_of_imagemagick_is_read(compression: str) -> None:
    form = Form("magick", ("-type", "bilevel", "-define", "tiff:bits-per-sample=1", "-compress", compression))
    _skip_without(form)
    assert np.array_equal(decode_mask(written(form, MASK * np.uint8(255)), "m.tif"), MASK)


def test_what_is_written_here_covers_every_compression_that_is_read() -> None:
    seen = set()
    for form in FORMS:
        if form.writer in {"pillow", "tifffile", "opencv"}:
            _skip_without(form)
            with tifffile.TiffFile(io.BytesIO(written(form, IMAGE))) as file:
                seen.add(int(file.pages.first.compression))
    assert seen == {1, 5, 7, 8, 32773, 32946, 34925}
