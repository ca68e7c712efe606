"""Any bytes give the right pixels or a named error: against tifffile's and pillow's writers, and against mutants."""

from __future__ import annotations

import io
import itertools
import logging
import struct
import sys
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError, MissingExtraError
from brainseg_runtime.images.tiff import decode

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 37, 3), dtype=np.uint8)
SMOOTH = np.repeat(np.arange(48, dtype=np.uint8), 37 * 3).reshape(48, 37, 3)  # has runs, so that PackBits packs

FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "deflate": {"compression": "zlib"},
    "predictor": {"compression": "zlib", "predictor": True},
    "deflated tiles": {"compression": "zlib", "predictor": True, "tile": (32, 16)},
    "everything": {"compression": "zlib", "rowsperstrip": 5, "byteorder": ">", "bigtiff": True},
}


def written(pixels: NDArray[Any], *, planar: bool = False, **form: Any) -> bytes:  # noqa: ANN401 - as imwrite takes them
    """A TIFF as tifffile writes it."""
    buffer = io.BytesIO()
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    config = {} if pixels.ndim == 2 else {"planarconfig": "separate" if planar else "contig"}
    data = np.moveaxis(pixels, -1, 0) if planar else pixels
    tifffile.imwrite(buffer, data, **({"photometric": kind} | config | form))
    return buffer.getvalue()


UNIT = 296  # of resolution: a tag of one SHORT that no reader needs


def patched(
    tiff: bytes, tag: int, value: int, *, count: int | None = None, kind: int | None = None, code: int | None = None
) -> bytes:
    """A little-endian classic TIFF with one entry of its first page changed, to another tag where `code` says so."""
    data = bytearray(tiff)
    (page,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, page)
    for at in range(page + 2, page + 2 + 12 * entries, 12):
        found, old_kind, old_count = struct.unpack_from("<HHI", data, at)
        if found == tag:
            new_kind, new_count = kind or old_kind, old_count if count is None else count
            struct.pack_into("<HHI", data, at, code or tag, new_kind, new_count)
            struct.pack_into("<H2x" if new_kind == 3 else "<I", data, at + 8, value)
            return bytes(data)
    raise AssertionError(f"no tag {tag}")


@pytest.mark.parametrize("planar", [False, True], ids=["interleaved", "planes"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_images_in_every_form_taken_decode_exactly(form: dict[str, Any], planar: bool) -> None:
    decoded = decode(written(PIXELS, planar=planar, **form), "x.tif", samples=3)
    assert (decoded == PIXELS).all()
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_single_channels_in_every_form_taken_decode_exactly(form: dict[str, Any]) -> None:
    assert (decode(written(PIXELS[..., 0], **form), "x.tif", samples=1) == PIXELS[..., 0]).all()


@pytest.mark.parametrize("pixels", [PIXELS, SMOOTH], ids=["noise", "runs"])
@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_adobe_deflate", "tiff_deflate"])
def test_what_another_library_writes_decodes_exactly(compression: str, pixels: NDArray[np.uint8]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF", compression=compression)
    assert (decode(buffer.getvalue(), "x.tif", samples=3) == pixels).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "group4"])
def test_other_compressions_are_refused_by_name_with_a_remedy(compression: str) -> None:
    buffer = io.BytesIO()
    picture = Image.fromarray(PIXELS)
    (picture.convert("1") if compression == "group4" else picture).save(buffer, "TIFF", compression=compression)
    with pytest.raises(ImageError) as caught:
        decode(buffer.getvalue(), "x.tif", samples=3)
    if compression != "group4":  # which fails on its single bits before its compression matters
        assert caught.value.got in {"LZW", "JPEG"}
    assert caught.value.what.startswith("x.tif: ")
    assert caught.value.remedy is not None


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (written(PIXELS.astype(np.uint16)), "16"),
        (written(PIXELS.astype(np.float32)), "32"),
        (written(PIXELS.astype(np.int8)), "2"),
        (written(PIXELS[..., 0]), "1"),
        (written(np.concatenate([PIXELS, PIXELS], axis=2)[..., :4], extrasamples=["unassalpha"]), "4"),
        (written(np.stack([PIXELS, PIXELS])), "a further page"),
        (patched(written(PIXELS), 262, 6), "6"),
        (written(PIXELS, extratags=[(274, "H", 1, 6, True)]), "6"),
        (patched(written(PIXELS), UNIT, 2, code=266), "2"),
        (patched(written(PIXELS), UNIT, 3, code=32997), "3"),
        (b"", "an empty file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "89 50 4e 47"),
    ],
    ids=[
        "uint16",
        "float32",
        "int8",
        "grey",
        "rgba",
        "pages",
        "ycbcr",
        "turned",
        "mirrored bits",
        "deep",
        "empty",
        "png",
    ],
)
def test_what_is_no_8_bit_image_of_three_channels_is_refused(data: bytes, got: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, "x.tif", samples=3)
    assert caught.value.expected is not None
    assert got in str(caught.value.got)


def test_an_inverted_or_palette_mask_is_refused() -> None:
    for photometric in (0, 3):
        with pytest.raises(ImageError, match="photometric"):
            decode(patched(written(PIXELS[..., 0]), 262, photometric), "x.tif", samples=1)


@pytest.mark.parametrize("side", [15, 2049])
def test_sides_out_of_limits_are_refused(side: int) -> None:
    with pytest.raises(ImageError, match="size is out of range"):
        decode(written(np.zeros((16, side), np.uint8)), "x.tif", samples=1)


def test_a_host_can_lower_the_limits() -> None:
    with pytest.raises(ImageError, match="size is out of range"):
        decode(written(PIXELS), "x.tif", samples=3, limits=Limits(max_side=47))


def test_the_largest_and_smallest_images_are_taken() -> None:
    for height, width in itertools.product((16, 2048), repeat=2):
        assert decode(written(np.zeros((height, width), np.uint8)), "x.tif", samples=1).shape == (height, width)


TIFF = written(PIXELS)
TILED = written(PIXELS, tile=(16, 16))
DEFLATED = written(PIXELS, compression="zlib", rowsperstrip=48)


@pytest.mark.parametrize(
    "data",
    [
        TIFF[:-1],
        patched(TIFF, 256, 2**32 - 1, kind=4),
        patched(TIFF, 257, 0, kind=4),
        patched(TIFF, 273, 2**32 - 1),
        patched(TIFF, 273, 16, count=2**32 - 1),
        patched(TIFF, 273, 16, count=0),
        patched(TIFF, 273, 16, kind=2),
        patched(TIFF, 278, 0, kind=4),
        patched(TIFF, 278, 1, kind=4),
        patched(TIFF, 279, 0),
        patched(TIFF, 279, 100),
        patched(TIFF, 279, 2**31),
        patched(TILED, 322, 0, kind=4),
        patched(TILED, 322, 17, kind=4),
        patched(TILED, 323, 2**31, kind=4),
        patched(TIFF, 258, 8, count=2, kind=3),
        DEFLATED[:-40] + bytes(40),
        patched(DEFLATED, 279, 100),
        patched(DEFLATED, 279, len(zlib.compress(PIXELS.tobytes(), 6)) - 4),
        patched(TIFF, 256, 37, count=2, kind=3),
        struct.pack("<2sHI", b"II", 42, 8) + bytes(64),
        struct.pack("<2sHI", b"II", 42, 2**32 - 1) + bytes(64),
        struct.pack("<2sHHHQ", b"II", 43, 4, 0, 16) + bytes(64),
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1) + bytes(64),
        struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 2) + struct.pack("<HHII", 256, 3, 1, 48) * 2 + bytes(64),
    ],
)
def test_a_damaged_structure_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode(data, "x.tif", samples=3)


def test_pages_in_a_circle_are_refused() -> None:
    data = bytearray(TIFF)
    (page,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, page)
    struct.pack_into("<I", data, page + 2 + 12 * entries, page)
    with pytest.raises(ImageError, match="more than one page"):
        decode(bytes(data), "x.tif", samples=3)


def test_pixels_cut_short_inside_compressed_data_are_refused_not_filled() -> None:
    short = zlib.compress(PIXELS.tobytes()[:-1])
    at = DEFLATED.index(zlib.compress(PIXELS.tobytes(), 6)[:8])
    data = patched(DEFLATED[:at] + short + bytes(99), 279, len(short))
    with pytest.raises(ImageError, match="truncated or damaged"):
        decode(data, "x.tif", samples=3)


def test_a_checksum_cut_off_is_refused() -> None:
    with pytest.raises(ImageError, match="no end"):
        decode(patched(DEFLATED, 279, len(zlib.compress(PIXELS.tobytes(), 6)) - 4), "x.tif", samples=3)


def test_packed_bits_cut_short_are_refused_not_filled() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[:16, :16, 0]).save(buffer, "TIFF", compression="packbits")
    data = buffer.getvalue()
    assert (decode(data, "x.tif", samples=1) == PIXELS[:16, :16, 0]).all()
    with Image.open(buffer) as picture:
        size = dict(picture.tag_v2)[279][0]  # type: ignore[attr-defined]
    with pytest.raises(ImageError, match="truncated or damaged"):
        decode(patched(data, 279, size - 1), "x.tif", samples=1)


def test_bytes_that_stand_for_nothing_are_not_followed() -> None:
    head = patched(written(np.zeros((64, 64), np.uint8)), 259, 32773)
    with pytest.raises(ImageError, match="segments are damaged"):
        decode(patched(patched(head, 279, 1 << 20), 273, len(head)) + b"\x80" * (1 << 20), "x.tif", samples=1)


def test_a_tag_that_comes_twice_is_refused_whichever_is_true() -> None:
    with pytest.raises(ImageError, match="one tag SAMPLES"):
        decode(patched(TIFF, UNIT, 3, code=277), "x.tif", samples=3)


@pytest.mark.parametrize("compression", [8, 32773], ids=["deflate", "packbits"])
def test_a_decompression_bomb_costs_no_memory(compression: int) -> None:
    bomb = zlib.compress(bytes(64 << 20), 9) if compression == 8 else b"\x81\x00" * (8 << 20)
    head = patched(written(np.zeros((64, 64), np.uint8)), 259, compression)
    tracemalloc.start()
    with pytest.raises(ImageError):
        decode(patched(patched(head, 279, len(bomb)), 273, len(head)) + bomb, "x.tif", samples=1)
    small = patched(patched(head, 279, 4000), 273, len(head)) + bomb[:4000]
    with pytest.raises(ImageError):
        decode(small, "x.tif", samples=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(bomb) + (2 << 20)  # the test's own copies of the file; the pixels would be 64 MiB and more


SEEDS = [written(PIXELS[:32, :20], planar=planar, **form) for form in FORMS.values() for planar in (False, True)]
changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 2, 4, 8, 127, 128, 255]) | st.integers(0, 255)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=400)
@given(st.sampled_from(SEEDS), changes, st.floats(0, 1), st.booleans())
def test_mutants_of_real_files_give_an_image_or_a_named_error(
    data: bytes, bytes_changed: list[tuple[float, int]], end: float, cut: bool
) -> None:
    mutant = bytearray(data)
    for where, value in bytes_changed:
        mutant[int(where**3 * len(mutant))] = value  # mostly where the tags are
    _assert_image_or_error(bytes(mutant[: int(end * len(mutant))] if cut else mutant))


@given(st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", TIFF[:8]]), st.binary(max_size=400))
@example(b"II*\0", b"\x08\0\0\0\0\0\0\0\0\0\0\0")
def test_any_bytes_give_an_image_or_a_named_error(head: bytes, rest: bytes) -> None:
    _assert_image_or_error(head + rest)


def _assert_image_or_error(data: bytes) -> None:
    for samples in (1, 3):
        outcome = _outcome(data, samples)
        if isinstance(outcome, ImageError):
            assert outcome.what.startswith("x.tif: ")
            assert None not in (outcome.expected, outcome.got)
        else:
            assert outcome.dtype == np.uint8
            assert outcome.ndim == (3 if samples == 3 else 2)


def _outcome(data: bytes, samples: int) -> NDArray[np.uint8] | ImageError:
    try:
        return decode(data, "x.tif", samples=samples)
    except ImageError as error:
        return error


def test_a_damaged_file_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for data in (TIFF[:-1], patched(TIFF, 273, 2**32 - 1), TIFF):
            _assert_image_or_error(data)
    assert not caplog.records


def test_a_decoder_that_fails_all_the_same_is_reported_as_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("corrupt")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", fail)
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(DEFLATED, "x.tif", samples=3)


def test_a_decoder_that_returns_something_else_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *_, **__: np.zeros((2, 2), np.uint8))
    with pytest.raises(ImageError, match="something else"):
        decode(DEFLATED, "x.tif", samples=3)


def test_without_tifffile_the_data_sets_own_form_decodes_and_others_name_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert (decode(TIFF, "x.tif", samples=3) == PIXELS).all()
    with pytest.raises(MissingExtraError) as caught:
        decode(DEFLATED, "x.tif", samples=3)
    assert "brainseg-runtime[io]" in str(caught.value.remedy)
