"""Any bytes give pixels or a named error, in bounded time and memory, without a word on standard error."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import struct
import sys
import threading
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import ImageError, MissingExtraError
from brainseg_runtime.images import decode_image, decode_mask
from brainseg_runtime.images.formats import read_raster
from tests.runtime.images import made_tiffs as made
from tests.runtime.images.made_tiffs import LONG, SHORT, lzw, packbits, strips, tiles

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 37, 3), dtype=np.uint8)
SMOOTH = np.repeat(np.arange(48, dtype=np.uint8), 37 * 3).reshape(48, 37, 3)


def written(pixels: NDArray[Any], **form: Any) -> bytes:  # noqa: ANN401 - as imwrite takes them
    """A TIFF as tifffile writes it."""
    buffer = io.BytesIO()
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(buffer, pixels, **({"photometric": kind} | form))
    return buffer.getvalue()


def pixels_of(data: bytes, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """What the reader of the bytes' format gives."""
    return read_raster(data, "x.tif", limits).pixels


@pytest.mark.parametrize("side", [0, 2049])
def test_sides_out_of_limits_are_refused_with_what_to_do(side: int) -> None:
    data = strips(np.zeros((16, 16), np.uint8), tags={made.WIDTH: (SHORT, [side])})
    with pytest.raises(ImageError, match="size is out of range") as caught:
        pixels_of(data)
    assert "resize" in str(caught.value.remedy)


def test_an_image_smaller_than_a_model_takes_is_read_and_left_to_the_model() -> None:
    for height, width in ((1, 1), (1, 40), (15, 10)):
        pixels = PIXELS[:height, :width]
        assert np.array_equal(pixels_of(strips(np.ascontiguousarray(pixels))), pixels)


def test_a_host_can_lower_the_limits() -> None:
    with pytest.raises(ImageError, match="size is out of range"):
        pixels_of(strips(PIXELS), Limits(max_side=47))


def test_the_largest_and_smallest_images_are_taken() -> None:
    for height, width in itertools.product((16, 2048), repeat=2):
        assert pixels_of(strips(np.zeros((height, width), np.uint8))).shape == (height, width)


TIFF = strips(PIXELS)


@pytest.mark.parametrize(
    "data",
    [
        TIFF[:-60],
        TIFF[:8],
        strips(PIXELS, tags={made.OFFSETS: (2, [1])}),
        strips(PIXELS, tags={made.OFFSETS: (LONG, [])}),
        struct.pack("<2sHI", b"II", 42, 8) + bytes(64),
        struct.pack("<2sHI", b"II", 42, 2**32 - 1) + bytes(64),
        struct.pack("<2sHHHQ", b"II", 43, 4, 0, 16) + bytes(64),
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1) + bytes(64),
        struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 2) + struct.pack("<HHII", 256, 3, 1, 48) * 2 + bytes(64),
    ],
)
def test_a_damaged_directory_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        pixels_of(data)


def bombs() -> dict[str, bytes]:
    """64 MiB of zeros behind a few bytes of a 64 by 64 image."""
    small = np.zeros((64, 64), np.uint8)
    return {
        "deflate": strips(small, rows=64, compression=8, encode=lambda _: zlib.compress(bytes(64 << 20), 9)),
        "packbits": strips(small, rows=64, compression=32773, encode=lambda _: b"\x81\x00" * (1 << 19)),
        "packbits that stand for nothing": strips(
            small, rows=64, compression=32773, encode=lambda _: b"\x80" * (1 << 20)
        ),
        "lzw clear codes": strips(small, rows=64, compression=5, encode=lambda _: b"\x80\x40\x20\x10" * (1 << 18)),
        "a tile of 16 million pixels": tiles(
            PIXELS[:16, :16], 4096, 4096, compression=8, encode=lambda data: zlib.compress(data[: 16 * 4096 * 3])
        ),
    }


@pytest.mark.parametrize("name", ["deflate", "packbits", "packbits that stand for nothing", "lzw clear codes"])
def test_a_decompression_bomb_costs_no_memory_and_no_time(name: str) -> None:
    data = bombs()[name]
    begun = time.process_time()
    tracemalloc.start()
    with contextlib.suppress(ImageError):
        assert pixels_of(data).shape == (64, 64)  # its first 4096 bytes are the image
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data) + (8 << 20)  # the pixels would be 64 MiB
    assert time.process_time() - begun < 10  # 0.1 s where it was written; a bomb followed to its end takes minutes


def test_a_tile_far_larger_than_the_image_costs_its_rows_in_the_image_alone() -> None:
    data = bombs()["a tile of 16 million pixels"]
    tracemalloc.start()
    assert np.array_equal(pixels_of(data), PIXELS[:16, :16])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_pages_that_name_each_other_in_thousands_are_counted_no_further_than_the_cap() -> None:
    page = strips(PIXELS[:1, :1, 0])
    directory = page[int.from_bytes(page[4:8], "little") :]
    data = bytearray(page)
    pointer = len(data) - 4  # the values of every tag fit into the directory, so it ends with the pointer
    for _ in range(5000):
        struct.pack_into("<I", data, pointer, len(data))
        data += directory
        pointer = len(data) - 4
    with pytest.raises(ImageError, match="at least 100 pages"):
        pixels_of(bytes(data))


SEEDS = [
    strips(PIXELS[:32, :20]),
    strips(PIXELS[:32, :20], order=">", padded=True),
    strips(PIXELS[:32, :20], planar=2, compression=8, encode=zlib.compress),
    strips(SMOOTH[:32, :20], compression=32773, encode=packbits),
    strips(SMOOTH[:32, :20], compression=5, encode=lzw, tags={made.PREDICTOR: (SHORT, [2])}),
    strips(SMOOTH[:32, :20], compression=5, encode=made.old_lzw),
    tiles(PIXELS[:32, :20], 16, 16, compression=5, encode=lzw),
    tiles(PIXELS[:32, :20], 10, 13, compression=8, encode=zlib.compress, predicted=True),
    written(PIXELS[:32, :20], bigtiff=True, byteorder=">", rowsperstrip=5, compression="zlib"),
    written(PIXELS[:32, :20, 0] > 99),
]


def saved(pixels: NDArray[Any], kind: str, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow takes them
    """A file as Pillow writes it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


SEEDS += [
    saved(PIXELS[:32, :20], "TIFF", compression="jpeg"),
    saved(PIXELS[:32, :20], "TIFF", compression="tiff_lzma"),
    saved(PIXELS[:32, :20], "JPEG"),
    saved(PIXELS[:32, :20], "JPEG", progressive=True),
    saved(PIXELS[:32, :20], "PNG"),
    saved(np.dstack([PIXELS[:32, :20], np.full((32, 20), 255, np.uint8)]), "PNG"),
    saved(PIXELS[:32, :20, 0], "PNG", bits=4),
]
changes = st.lists(
    st.tuples(
        st.floats(-1, 1, exclude_max=True), st.sampled_from([0, 1, 2, 4, 8, 127, 128, 255]) | st.integers(0, 255)
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=2500)
@given(st.sampled_from(SEEDS), changes, st.floats(0, 1), st.booleans())
def test_mutants_of_real_files_give_an_image_or_a_named_error(
    data: bytes, bytes_changed: list[tuple[float, int]], end: float, cut: bool
) -> None:
    mutant = bytearray(data)
    for where, value in bytes_changed:
        # Mostly where the tags are, at the beginning or, counted from below 0, at the end.
        mutant[int(where**3 * (len(mutant) - 1))] = value
    assert_image_or_error(bytes(mutant[: int(end * len(mutant))] if cut else mutant))


@given(
    st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", TIFF[:8], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]),
    st.binary(max_size=400),
)
@example(b"II*\0", b"\x08\0\0\0\0\0\0\0\0\0\0\0")
@example(b"\xff\xd8\xff", b"\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0\xff\xda\0\x08\1\1\0\0?\0\xff\xd9")
def test_any_bytes_give_an_image_or_a_named_error(head: bytes, rest: bytes) -> None:
    assert_image_or_error(head + rest)


def assert_image_or_error(data: bytes) -> None:
    """Both doors give what they promise, in bounded time."""
    begun = time.process_time()
    image = outcome(lambda: decode_image(data, "x.tif").pixels)
    mask = outcome(lambda: decode_mask(data, "x.tif"))
    assert time.process_time() - begun < 20  # milliseconds in truth; a loop that does not end is what this finds
    for found, dimensions in ((image, 3), (mask, 2)):
        if isinstance(found, ImageError):
            assert found.what.startswith("x.tif: ")
            assert None not in (found.expected, found.got)
        else:
            assert found.dtype == np.uint8
            assert found.ndim == dimensions
            assert found.flags.writeable
            assert found.flags.c_contiguous


def outcome(call: Any) -> NDArray[np.uint8] | ImageError:  # noqa: ANN401 - a function without arguments
    """What a call returns, or the error that it may raise."""
    try:
        found: NDArray[np.uint8] = call()
    except ImageError as error:
        return error
    return found


def test_damaged_files_say_nothing_on_standard_error_or_in_a_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    random = np.random.default_rng(0)
    with caplog.at_level(logging.DEBUG):
        for seed in SEEDS:
            for _ in range(30):
                mutant = np.frombuffer(seed, np.uint8).copy()
                mutant[random.integers(8, len(mutant), 2)] = random.integers(0, 256, 2)
                assert_image_or_error(mutant.tobytes())
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_settings_of_pillow_that_are_the_processs_are_neither_heeded_nor_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = [seed[: len(seed) * 2 // 3] for seed in SEEDS]
    before = [isinstance(outcome(lambda data=data: pixels_of(data)), ImageError) for data in cut]
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [isinstance(outcome(lambda data=data: pixels_of(data)), ImageError) for data in cut] == before
        for seed in SEEDS:
            pixels_of(seed)
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == (True, 1)


def test_many_threads_read_the_same_pixels_as_one() -> None:
    expected = [pixels_of(seed) for seed in SEEDS]
    ready = threading.Barrier(4)

    def read_all(_: int) -> list[NDArray[np.uint8]]:
        ready.wait()
        return [pixels_of(seed) for _ in range(5) for seed in SEEDS]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(read_all, range(4)):
            assert all(np.array_equal(one, other) for one, other in zip(found, expected * 5, strict=True))


def test_without_pillow_the_data_sets_own_form_decodes_and_others_name_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert np.array_equal(pixels_of(TIFF), PIXELS)
    assert np.array_equal(pixels_of(strips(PIXELS, compression=8, encode=zlib.compress)), PIXELS)
    for data in (SEEDS[3], SEEDS[4], SEEDS[10], SEEDS[12], SEEDS[14]):
        with pytest.raises(MissingExtraError, match="pillow"):
            pixels_of(data)


def test_a_file_of_many_strips_is_read_in_time() -> None:
    pixels = np.zeros((2048, 64, 3), np.uint8)
    data = strips(pixels, rows=1, planar=2, compression=5, encode=lambda _: PACKED)
    begun = time.process_time()
    assert np.array_equal(pixels_of(data), pixels)
    assert time.process_time() - begun < 60  # 1 s where it was written: 6144 strips


PACKED = lzw(bytes(64))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs a list of the open files")  # noqa: PTH110
def test_no_file_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for seed in SEEDS:
        assert_image_or_error(seed)
        assert_image_or_error(seed[:-30])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_file_that_takes_absurdly_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(step=20)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    for compression, encode in ((5, lzw), (8, zlib.compress), (32773, packbits)):
        with pytest.raises(ImageError, match="too long"):
            pixels_of(strips(PIXELS, compression=compression, encode=encode))
