"""Probability maps read as they were written; what is none, or damaged, is a named error."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.probability_map import encode_probability, read_probability


def test_a_probability_map_reads_as_it_was_written(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 30), np.float32)
    path = tmp_path / "p.tif"
    path.write_bytes(encode_probability(values))
    assert np.array_equal(read_probability(path), values)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "lzma", "packbits"])
@pytest.mark.parametrize("form", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"tile": (16, 16)}, {"rowsperstrip": 7}])
def test_maps_of_other_writers_read_alike(tmp_path: Path, compression: str | None, form: dict[str, Any]) -> None:
    values = np.random.default_rng(0).random((20, 30), np.float32)
    path = tmp_path / "p.tif"
    for predictor in (None, 3) if compression in ("zlib", "lzw", "lzma") and "byteorder" not in form else (None,):
        tifffile.imwrite(path, values, compression=compression, predictor=predictor, **form)
        assert np.array_equal(read_probability(path), values)


def test_a_map_of_horizontal_differences_reads_alike(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 30), np.float32)
    path = tmp_path / "p.tif"
    Image.fromarray(values).save(path, compression="tiff_adobe_deflate", tiffinfo={317: 2})
    with tifffile.TiffFile(path) as written:
        assert written.pages.first.predictor == 2
    assert np.array_equal(read_probability(path), values)


def test_settings_of_the_whole_process_are_neither_heeded_nor_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.tif"
    values = np.random.default_rng(0).random((64, 64), np.float32)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path.write_bytes(encode_probability(values))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, values) for found in pool.map(lambda _: read_probability(path), range(200)))
    assert warnings.filters == before
    path.write_bytes(encode_probability(values)[:-100])
    with pytest.raises(ImageError, match="truncated"):
        read_probability(path)


@pytest.mark.parametrize(
    "values",
    [
        np.full((20, 30), 1.5, np.float32),
        np.full((20, 30), np.nan, np.float32),
        np.zeros((20, 30), np.uint8),
        np.zeros((2, 20, 30), np.float32),
        np.zeros((3000, 20), np.float32),
    ],
    ids=["above 1", "NaN", "integers", "two pages", "too large"],
)
def test_what_is_no_probability_map_is_refused(tmp_path: Path, values: Any) -> None:  # noqa: ANN401 - of any type
    tifffile.imwrite(tmp_path / "p.tif", values)
    with pytest.raises(ImageError, match=r"p\.tif"):
        read_probability(tmp_path / "p.tif")


def test_a_damaged_probability_map_is_an_error_whatever_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, np.random.default_rng(0).random((20, 30), np.float32), compression="zlib")
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, len(damaged), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            found = read_probability(path)
        except ImageError:
            continue
        assert found.ndim == 2
        assert 0 <= found.min() <= found.max() <= 1
