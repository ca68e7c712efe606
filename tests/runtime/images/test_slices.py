"""Slices and masks to files and back, and what is wrong with a patient's pixels."""

from __future__ import annotations

import sys
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
    patient_problems,
    read_image,
    read_mask,
    read_slice,
    scan_dataset,
    write_mask,
)

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (32, 24, 3), dtype=np.uint8)
MASK = RNG.integers(0, 2, (32, 24), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return path


def test_an_image_reads_as_it_was_written(tmp_path: Path) -> None:
    assert (read_image(save(tmp_path / "a.tif", IMAGE)) == IMAGE).all()
    assert (read_image(str(tmp_path / "a.tif")) == IMAGE).all()


@pytest.mark.parametrize("high", [1, 255])
def test_masks_of_either_form_read_as_0_and_1(tmp_path: Path, high: int) -> None:
    mask = read_mask(save(tmp_path / "m.tif", MASK * np.uint8(high)))
    assert mask.dtype == np.uint8
    assert (mask == MASK).all()


@pytest.mark.parametrize("value", [0, 1])
def test_empty_and_full_masks_are_masks(tmp_path: Path, value: int) -> None:
    mask = np.full((16, 16), value, np.uint8)
    assert (read_mask(save(tmp_path / "m.tif", mask * np.uint8(255))) == mask).all()


@pytest.mark.parametrize("values", [(0, 128), (0, 1, 255), (254,), (0, 2, 255)])
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


def test_a_slice_is_its_image_and_its_mask(tmp_path: Path) -> None:
    image, mask = save(tmp_path / "a.tif", IMAGE), save(tmp_path / "a_mask.tif", MASK * np.uint8(255))
    pixels, truth = read_slice(SlicePaths(number=1, image=image, mask=mask))
    assert (pixels == IMAGE).all()
    assert (truth == MASK).all()


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
    save(tmp_path / "p_2_mask.tif", MASK * np.uint8(7))
    save(tmp_path / "p_3_mask.tif", MASK[1:])
    save(tmp_path / "p_4.tif", IMAGE[..., 0])
    save(tmp_path / "p_5.tif", IMAGE[:20])
    found = patient_problems(patient)
    named = ["p_1.tif", "p_1_mask.tif", "p_2_mask.tif", "p_3_mask.tif", "p_4.tif", "p_5.tif", "p_5_mask.tif"]
    assert [Path(problem.split(":")[0].split(" is ")[0].split(" does ")[0]).name for problem in found] == named


def test_without_tifffile_the_errors_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", compression="zlib")
    monkeypatch.setitem(sys.modules, "tifffile", None)
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
