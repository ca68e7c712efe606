"""Pictures in the browser: the runtime's pixels, and no picture that the runtime refuses."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from brainseg_runtime import Segmenter
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.slices import decode_image
from tests.web.core.core_page import CorePage, files, folder
from tests.web.core.test_core_bundles import TINY

RNG = np.random.default_rng(1)
SLICE = np.clip(
    np.add.outer(np.arange(70), np.arange(53))[..., None] + RNG.integers(0, 60, (70, 53, 3)), 0, 255
).astype(np.uint8)
CORPUS = Path(os.environ.get("BRAINSEG_TIFF_CORPUS", "tiff-corpus"))


def by_tifffile(**options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, SLICE, photometric="rgb", **options)  # type: ignore[arg-type]
    return file.getvalue()


def by_pillow(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (image or Image.fromarray(SLICE)).save(file, kind, **options)
    return file.getvalue()


OPAQUE = Image.fromarray(np.dstack([SLICE, np.full(SLICE.shape[:2], 255, np.uint8)]))
MADE = {
    "plain.tif": by_tifffile(),
    "rows.tif": by_tifffile(rowsperstrip=7),
    "tiles.tif": by_tifffile(tile=(16, 32)),
    "big-endian.tif": by_tifffile(byteorder=">"),
    "bigtiff.tif": by_tifffile(bigtiff=True),
    "deflate.tif": by_tifffile(compression="zlib", rowsperstrip=9),
    "predicted.tif": by_tifffile(compression="zlib", predictor=True, tile=(32, 16)),
    "packbits.tif": by_tifffile(compression="packbits"),
    "lzw.tif": by_pillow("TIFF", compression="tiff_lzw"),
    "deflate-pillow.tif": by_pillow("TIFF", compression="tiff_adobe_deflate"),
    "opaque.tif": by_pillow("TIFF", OPAQUE),
    "slice.png": by_pillow("PNG"),
    "opaque.png": by_pillow("PNG", OPAQUE),
    "small.png": by_pillow("PNG", optimize=True),
    "named.tif": by_pillow("PNG"),
    "slice.jpg": by_pillow("JPEG", quality=90, subsampling=0),
    "subsampled.jpg": by_pillow("JPEG", quality=80),
    "progressive.jpg": by_pillow("JPEG", progressive=True),
}
LIKE = {"subsampled.jpg": 3, "progressive.jpg": 3, "slice.jpg": 2}
"""Grey levels by which decoders of JPEG may differ; the lossless formats may not."""


def opened(core: CorePage, path: Path) -> NDArray[np.uint8] | str:
    """The pixels, or the fault's code."""
    answer = core.ask("open", files=files([path]), save={"pixels": "pixels"})
    return answer["fault"] if "fault" in answer else core.values("pixels", "u1", answer["height"], answer["width"], 3)


@pytest.mark.parametrize("name", MADE)
def test_pixels_are_the_runtimes(core: CorePage, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MADE[name])
    pixels = opened(core, tmp_path / name)
    assert not isinstance(pixels, str), pixels
    apart = np.abs(pixels.astype(int) - decode_image(MADE[name], name).pixels)
    assert apart.max() <= LIKE.get(name, 0)


@pytest.mark.parametrize("name", [name for name in MADE if name != "named.tif"])
def test_a_cut_file_is_a_fault(core: CorePage, tmp_path: Path, name: str) -> None:
    for part in (0.0, 0.01, 0.3, 0.7, 0.97):
        data = MADE[name][: int(len(MADE[name]) * part)]
        (tmp_path / name).write_bytes(data)
        pixels = opened(core, tmp_path / name)
        if not isinstance(pixels, str):  # what is left holds all pixels: for the runtime too
            np.testing.assert_array_equal(pixels, decode_image(data, name).pixels)


REFUSED = {
    "grey.tif": (by_pillow("TIFF", Image.fromarray(SLICE[..., 0])), "image-grey"),
    "deep.tif": (by_pillow("TIFF", Image.fromarray(SLICE[..., 0].astype(np.uint16))), "image-kind"),
    "cmyk.tif": (by_pillow("TIFF", Image.fromarray(SLICE).convert("CMYK")), "image-kind"),
    "palette.png": (by_pillow("PNG", Image.fromarray(SLICE).quantize(16)), "image-kind"),
    "pages.tif": (by_pillow("TIFF", save_all=True, append_images=[Image.fromarray(SLICE)]), "image-kind"),
    "turned.tif": (by_pillow("TIFF", tiffinfo={274: 3}), "image-kind"),
    "transparent.png": (by_pillow("PNG", Image.fromarray(np.dstack([SLICE, SLICE[..., 0]]))), "image-kind"),
    "wide.png": (by_pillow("PNG", Image.new("RGB", (2049, 20))), "image-size"),
    "nothing.tif": (b"", "image-unknown"),
    "text.png": (b"no picture at all", "image-unknown"),
    "bitmap.tif": (by_pillow("BMP"), "image-unknown"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_runtime_refuses_is_refused(core: CorePage, tmp_path: Path, name: str) -> None:
    data, code = REFUSED[name]
    with pytest.raises(ImageError):
        decode_image(data, name)
    (tmp_path / name).write_bytes(data)
    assert opened(core, tmp_path / name) == code


def test_a_giant_is_refused_by_its_size_alone(core: CorePage, tmp_path: Path) -> None:
    with (tmp_path / "giant.tif").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert opened(core, tmp_path / "giant.tif") == "file-too-large"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="BRAINSEG_TIFF_CORPUS names no folder of TIFFs")
def test_other_projects_tiffs_are_read_as_by_the_runtime_or_not_at_all(core: CorePage, tmp_path: Path) -> None:
    read = 0
    for path in sorted(CORPUS.rglob("*.tif*"))[:400]:
        copy = tmp_path / "one.tif"
        copy.write_bytes(path.read_bytes())
        pixels = opened(core, copy)
        if isinstance(pixels, str):
            continue
        read += 1
        np.testing.assert_array_equal(pixels, decode_image(path.read_bytes(), path.name).pixels, err_msg=path.name)
    assert read > 0


def patient(tmp_path: Path, numbers: tuple[int, ...]) -> Path:
    made = tmp_path / "ann_20200101"
    made.mkdir()
    for number in numbers:
        Image.fromarray(SLICE // 2 + number % 100).save(made / f"ann_20200101_{number}.tif")
        Image.fromarray(np.full(SLICE.shape[:2], 255, np.uint8)).save(made / f"ann_20200101_{number}_mask.tif")
    return made


def test_a_patients_slices_come_by_number_without_masks(core: CorePage, tmp_path: Path) -> None:
    answer = core.ask("open", files=folder(patient(tmp_path, (10, 9, 2, 1))), save={"pixels": "pixels"})
    assert (answer["kind"], answer["count"], answer["name"]) == ("patient", 4, "")
    first = core.values("pixels", "u1", 4, 70, 53, 3)[:, 0, 0, 0]
    assert (first - first[0]).tolist() == [0, 1, 8, 9]
    assert [(each["code"], each["values"]["numbers"]) for each in answer["warnings"]] == [("missing-slices", "3–8")]


def test_many_missing_slices_are_shown_as_ranges_and_no_more_than_can_be_read(core: CorePage, tmp_path: Path) -> None:
    answer = core.ask("open", files=folder(patient(tmp_path, (1, 2000, *range(2002, 2030, 2)))))
    (numbers,) = [each["values"]["numbers"] for each in answer["warnings"] if each["code"] == "missing-slices"]
    assert numbers == "2–1999, " + ", ".join(str(number) for number in range(2001, 2019, 2)) + ", …"


def test_slices_of_two_sizes_are_a_fault(core: CorePage, tmp_path: Path) -> None:
    made = patient(tmp_path, (1, 2))
    Image.new("RGB", (32, 32)).save(made / "ann_20200101_3.tif")
    assert core.ask("open", files=folder(made))["fault"] == "slices-differ"


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_masks_are_the_runtimes(core: CorePage, tmp_path: Path, variant: str) -> None:
    made = patient(tmp_path, (1, 2, 3))
    images = np.stack([decode_image((made / f"ann_20200101_{n}.tif").read_bytes(), "x").pixels for n in (1, 2, 3)])
    expected = Segmenter.load(TINY, provider="cpu", variant=variant).predict_volume(images)
    answer = core.ask(
        "segment",
        bundle=folder(TINY),
        variant=variant,
        files=folder(made),
        save={"mask": "mask", "probability": "probability"},
    )
    assert (answer["steps"], answer["voxels"]) == (3, int(core.values("mask", "u1", 3, 70, 53).sum()))
    apart = np.abs(core.values("probability", "<f4", 3, 70, 53) - expected.probability).max()
    different = int((core.values("mask", "u1", 3, 70, 53) != expected.mask).sum())
    assert apart < (1e-5 if variant == "fp32" else 0.05)
    assert different <= (0 if variant == "fp32" else expected.mask.size * 1e-4)


def test_a_run_can_be_cancelled_and_another_follows(core: CorePage, tmp_path: Path) -> None:
    made = patient(tmp_path, tuple(range(1, 200)))
    answer = core.ask("cancel", bundle=folder(TINY), variant="fp32", files=folder(made))
    assert answer.get("fault") == "cancelled" or answer["steps"] == 199
    again = core.ask("segment", bundle=folder(TINY), variant="fp32", files=files([made / "ann_20200101_1.tif"]))
    assert again["steps"] == 1


def test_real_slices_give_the_runtimes_masks(core: CorePage, real_patients: Path) -> None:
    """90 slices with the first model of `models/` in fp32: no pixel may differ; BRAINSEG_WEB_SLICES takes fewer."""
    bundle = next((TINY.parents[2] / "models").glob("*/manifest.json")).parent
    many = int(os.environ.get("BRAINSEG_WEB_SLICES", "90"))
    paths = sorted(path for path in real_patients.rglob("*.tif") if "_mask" not in path.name)
    model = Segmenter.load(bundle, provider="cpu", variant="fp32")
    for path in paths[:: max(1, len(paths) // many)][:many]:
        expected = model.predict(decode_image(path.read_bytes(), path.name).pixels)
        answer = core.ask(
            "segment",
            bundle=folder(bundle),
            variant="fp32",
            files=files([path]),
            save={"mask": "mask", "pixels": "pixels"},
        )
        np.testing.assert_array_equal(core.values("mask", "u1", *expected.mask.shape), expected.mask, err_msg=path.name)
        np.testing.assert_array_equal(
            core.values("pixels", "u1", *expected.mask.shape, 3), decode_image(path.read_bytes(), path.name).pixels
        )
        assert len(answer["warnings"]) == len(expected.warnings), (answer["warnings"], expected.warnings)
