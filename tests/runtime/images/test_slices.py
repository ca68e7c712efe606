"""Slices and masks to files and back, and what is wrong with a patient's pixels."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import FileWriteError, ImageError, MissingExtraError
from brainseg_runtime.images import (
    Patient,
    SlicePaths,
    decode_image,
    decode_mask,
    patient_problems,
    read_image,
    read_mask,
    read_slice,
    scan_dataset,
    write_mask,
)
from tests.runtime.images import made_tiffs as made

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (32, 24, 3), dtype=np.uint8)
MASK = RNG.integers(0, 2, (32, 24), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return path


def test_an_image_reads_as_it_was_written(tmp_path: Path) -> None:
    assert (read_image(save(tmp_path / "a.tif", IMAGE)) == IMAGE).all()
    assert (read_image(str(tmp_path / "a.tif")) == IMAGE).all()


@pytest.mark.parametrize("high", [1, 2, 128, 254, 255])
def test_masks_of_0_and_any_other_value_read_as_0_and_1(tmp_path: Path, high: int) -> None:
    mask = read_mask(save(tmp_path / "m.tif", MASK * np.uint8(high)))
    assert mask.dtype == np.uint8
    assert (mask == MASK).all()


def _bool_by_tifffile(path: Path) -> None:
    tifffile.imwrite(path, MASK.astype(bool))  # marked as inverted, and stored as it is


def _bool_black_is_zero(path: Path) -> None:
    tifffile.imwrite(path, MASK.astype(bool), photometric="minisblack", software=False)


def _bilevel(compression: str) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(MASK * np.uint8(255)).convert("1").save(path, "TIFF", compression=compression)


def _inverted(path: Path) -> None:
    tifffile.imwrite(path, ~MASK.astype(bool), photometric="miniswhite", software=False)


def _palette(path: Path) -> None:
    picture = Image.fromarray(MASK)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(path, "TIFF")


def _palette_of_greys(path: Path) -> None:
    picture = Image.fromarray(MASK * np.uint8(200), "P")
    picture.putpalette([value for level in range(256) for value in (level,) * 3])
    picture.save(path, "TIFF", compression="tiff_lzw")


def _equal_channels(path: Path) -> None:
    Image.fromarray(np.dstack([MASK * np.uint8(255)] * 3)).save(path, "TIFF")


def _opaque(path: Path) -> None:
    Image.fromarray(np.dstack([MASK * np.uint8(255)] * 3 + [np.full_like(MASK, 255)])).save(path, "PNG")


def _png(path: Path) -> None:
    Image.fromarray(MASK * np.uint8(255)).convert("1").save(path, "PNG")


@pytest.mark.parametrize(
    "write",
    [
        _bool_by_tifffile,
        _bool_black_is_zero,
        *(pytest.param(_bilevel(name), id=name) for name in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")),
        *(pytest.param(_bilevel(name), id=name) for name in ("group4", "tiff_ccitt")),
        _inverted,
        _palette,
        _palette_of_greys,
        _equal_channels,
        _opaque,
        _png,
    ],
)
def test_a_mask_that_is_binary_in_any_form_is_read(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "m.tif")
    assert np.array_equal(read_mask(tmp_path / "m.tif"), MASK)


@pytest.mark.parametrize("tag", [266, 274, 284], ids=["fill order", "orientation", "planes"])
def test_a_mask_that_bears_the_name_of_tifffile_and_is_not_by_it_is_never_guessed(tag: int) -> None:
    # GraphicsMagick heeds the mark and copies the name; libtiff's tools copy both and leave the bits alone.
    packed = np.packbits(~MASK.astype(bool), axis=1)
    named = {256: (3, [MASK.shape[1]]), 258: (3, [1]), 262: (3, [0]), 305: (2, [*b"tifffile.py\0"])}
    assert np.array_equal(decode_mask(made.strips(packed, tags=named, without={284}), "m.tif"), 1 - MASK)
    with pytest.raises(ImageError, match="may be inverted") as caught:
        decode_mask(made.strips(packed, tags={**named, tag: (3, [1])}, without={284} - {tag}), "m.tif")
    assert "8-bit grey" in str(caught.value.remedy)


def test_a_mask_whose_writers_name_cannot_be_read_is_never_guessed() -> None:
    packed = np.packbits(~MASK.astype(bool), axis=1)
    software = {305: (2, [ord("x")] * 70_000)}  # longer than is read
    data = made.strips(packed, tags={256: (3, [MASK.shape[1]]), 258: (3, [1]), 262: (3, [0]), **software})
    with pytest.raises(ImageError, match="may be inverted"):
        decode_mask(data, "m.tif")


@pytest.mark.parametrize("compression", ["group4", "tiff_ccitt"])
def test_a_ccitt_mask_cut_off_is_an_error_and_never_filled_up(tmp_path: Path, compression: str) -> None:
    _bilevel(compression)(tmp_path / "m.tif")
    data = (tmp_path / "m.tif").read_bytes()
    with Image.open(tmp_path / "m.tif") as picture:
        at, count = (dict(picture.tag_v2)[tag][0] for tag in (273, 279))  # type: ignore[attr-defined]
    for length in range(count - 1):
        # Of group 4 the mark at the end may be missing, 24 bits and up to 7 of padding.
        allowed = contextlib.suppress(ImageError) if length >= count - 4 else pytest.raises(ImageError)
        with allowed:
            assert np.array_equal(
                MASK, decode_mask(data[:at] + data[at : at + length].ljust(count, b"\0") + data[at + count :], "m.tif")
            )


def test_a_colour_image_and_one_with_three_colours_are_no_masks(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([MASK * np.uint8(255), MASK, MASK])).save(tmp_path / "m.png")
    with pytest.raises(ImageError, match="channels differ"):
        read_mask(tmp_path / "m.png")
    picture = Image.fromarray(MASK + (MASK & np.uint8(1)) * (IMAGE[..., 0] > 128))
    picture.putpalette([0, 0, 0, 128, 128, 128, 255, 255, 255])
    picture.save(tmp_path / "p.png")
    with pytest.raises(ImageError, match="not binary"):
        read_mask(tmp_path / "p.png")


def test_a_grey_image_is_flair_alone_only_where_that_is_said(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", IMAGE[..., 0])
    with pytest.raises(ImageError, match="three channels") as caught:
        read_image(path)
    assert "--flair-only" in str(caught.value.remedy)
    assert np.array_equal(read_image(path, flair_only=True), np.repeat(IMAGE[..., :1], 3, axis=2))
    found = decode_image(path.read_bytes(), "a.tif", flair_only=True)
    assert any("FLAIR alone" in note for note in found.notes)


def test_equal_channels_are_flair_alone_and_others_are_not(tmp_path: Path) -> None:
    equal = np.repeat(IMAGE[..., :1], 3, axis=2)
    assert np.array_equal(read_image(save(tmp_path / "a.tif", equal), flair_only=True), equal)
    with pytest.raises(ImageError, match="channels differ") as caught:
        read_image(save(tmp_path / "b.tif", IMAGE), flair_only=True)
    assert "leave --flair-only" in str(caught.value.remedy)


@pytest.mark.parametrize("kind", ["tif", "png"])
def test_a_slice_is_read_from_any_lossless_format(tmp_path: Path, kind: str) -> None:
    Image.fromarray(IMAGE).save(tmp_path / f"a.{kind}")
    Image.fromarray(MASK * np.uint8(255)).save(tmp_path / f"a_mask.{kind}")
    paths = SlicePaths(number=1, image=tmp_path / f"a.{kind}", mask=tmp_path / f"a_mask.{kind}")
    image, mask = read_slice(paths)
    assert np.array_equal(image, IMAGE)
    assert np.array_equal(mask, MASK)


@pytest.mark.parametrize("value", [0, 1])
def test_empty_and_full_masks_are_masks(tmp_path: Path, value: int) -> None:
    mask = np.full((16, 16), value, np.uint8)
    assert (read_mask(save(tmp_path / "m.tif", mask * np.uint8(255))) == mask).all()


@pytest.mark.parametrize("values", [(1, 128), (0, 1, 255), (254,), (0, 2, 255)])
def test_a_mask_with_other_values_is_refused_and_they_are_named(tmp_path: Path, values: tuple[int, ...]) -> None:
    pixels = np.resize(np.array(values, np.uint8), (16, 16))
    with pytest.raises(ImageError, match="not binary") as caught:
        read_mask(save(tmp_path / "m.tif", pixels))
    assert caught.value.got == f"values {', '.join(map(str, values))}"
    assert "m.tif" in caught.value.what


@pytest.mark.parametrize(
    "mask", [MASK, MASK.astype(bool), np.repeat(MASK, 3, axis=1)[::-1, ::2], np.asfortranarray(MASK)]
)
def test_a_written_mask_reads_back_and_other_readers_see_0_and_255(tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    write_mask(tmp_path / "m.tif", mask)
    assert (read_mask(tmp_path / "m.tif") == mask).all()
    with Image.open(tmp_path / "m.tif") as picture:
        assert picture.mode == "L"
        assert (np.asarray(picture) == mask.astype(np.uint8) * 255).all()


@pytest.mark.parametrize(
    "mask", [MASK * np.uint8(255), MASK[None], MASK.astype(np.float32), np.zeros((0, 3), np.uint8)]
)
def test_what_is_no_mask_is_not_written(tmp_path: Path, mask: NDArray[np.generic]) -> None:
    with pytest.raises(ImageError, match="not a mask"):
        write_mask(tmp_path / "m.tif", mask)
    assert list(tmp_path.iterdir()) == []


def test_a_mask_that_cannot_be_written_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(FileWriteError):
        write_mask(tmp_path / "nowhere" / "m.tif", MASK)


@pytest.mark.parametrize("name", ["missing.tif", "a\0b.tif", "x" * 5000, "."])
def test_a_file_that_cannot_be_read_is_a_named_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(f"{tmp_path}/{name}")


def test_a_file_above_the_cap_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", IMAGE)
    with pytest.raises(ImageError, match="too large"):
        read_image(path, limits=Limits(max_image_file_bytes=path.stat().st_size - 1))
    assert read_image(path, limits=Limits(max_image_file_bytes=path.stat().st_size)).shape == (32, 24, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_are_followed_and_links_to_nothing_or_themselves_are_errors(tmp_path: Path) -> None:
    save(tmp_path / "real.tif", IMAGE)
    (tmp_path / "link.tif").symlink_to("real.tif")
    assert (read_image(tmp_path / "link.tif") == IMAGE).all()
    (tmp_path / "broken.tif").symlink_to("gone.tif")
    (tmp_path / "loop.tif").symlink_to("loop.tif")
    for name in ("broken.tif", "loop.tif"):
        with pytest.raises(ImageError, match="cannot be read"):
            read_image(tmp_path / name)


def test_a_slice_without_or_with_another_sized_mask_is_refused(tmp_path: Path) -> None:
    image, mask = save(tmp_path / "a.tif", IMAGE), save(tmp_path / "a_mask.tif", MASK[:, :20])
    with pytest.raises(ImageError, match="has no mask"):
        read_slice(SlicePaths(number=1, image=image, mask=None))
    with pytest.raises(ImageError, match="does not cover"):
        read_slice(SlicePaths(number=1, image=image, mask=mask))


def test_every_faulty_file_of_a_patient_is_told_at_once(tmp_path: Path) -> None:
    slices = []
    for number in range(1, 7):
        image = save(tmp_path / f"p_{number}.tif", IMAGE)
        mask = save(tmp_path / f"p_{number}_mask.tif", MASK * np.uint8(255))
        slices.append(SlicePaths(number=number, image=image, mask=mask))
    patient = Patient(id="p", site="", slices=tuple(slices))
    assert patient_problems(patient) == ()
    slices[0].image.write_bytes(slices[0].image.read_bytes()[:-7])
    slices[0].image.with_name("p_1_mask.tif").write_bytes(b"nothing of the kind")
    save(tmp_path / "p_2_mask.tif", MASK * np.uint8(7) + np.uint8(2))
    save(tmp_path / "p_3_mask.tif", MASK[1:])
    save(tmp_path / "p_4.tif", IMAGE[..., 0])
    save(tmp_path / "p_5.tif", IMAGE[:20])
    found = patient_problems(patient)
    named = ["p_1.tif", "p_1_mask.tif", "p_2_mask.tif", "p_3_mask.tif", "p_4.tif", "p_5.tif", "p_5_mask.tif"]
    assert [Path(problem.split(":")[0].split(" is ")[0].split(" does ")[0]).name for problem in found] == named


def test_without_the_libraries_the_errors_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(IMAGE).save(path, compression="tiff_lzw")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    patient = Patient(id="p", site="", slices=(SlicePaths(number=1, image=path, mask=None),))
    for call in (lambda: read_image(path), lambda: write_mask(path, MASK), lambda: patient_problems(patient)):
        with pytest.raises(MissingExtraError, match=r"brainseg-runtime\[io\]"):
            call()


@pytest.mark.real
def test_real_slices_read_as_another_reader_sees_them_and_masks_are_written_as_the_set_has_them(
    real_patients: Path, tmp_path: Path
) -> None:
    patient = scan_dataset(real_patients)[0]
    assert patient_problems(patient) == ()
    for paths in patient.slices:
        image, mask = read_slice(paths)
        assert paths.mask is not None
        with Image.open(paths.image) as picture, Image.open(paths.mask) as truth:
            assert (np.asarray(picture) == image).all()
            assert (np.asarray(truth) == mask * 255).all()
            write_mask(tmp_path / "m.tif", mask)
            with Image.open(tmp_path / "m.tif") as again:
                assert (again.mode, again.size, dict(again.tag_v2)[259]) == (truth.mode, truth.size, 1)  # type: ignore[attr-defined]
                assert (np.asarray(again) == np.asarray(truth)).all()
