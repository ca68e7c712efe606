"""A slice with its mask from disk: the reader's own way for uncompressed strips, against the libraries'.

On patients of the set where BRAINSEG_DATA names their folder, else on a generated one in strips of 11 rows, as in
the set's files.
"""

from __future__ import annotations

import os
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from benchmarks.record import Label, label
from benchmarks.turns import in_turns
from brainseg_runtime.images import SlicePaths, read_slice, scan_dataset
from brainseg_train.phantom.patients import write_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

SLICES = 36
COMPRESSIONS = {"strips, uncompressed": None, "LZW": "tiff_lzw", "Deflate": "tiff_adobe_deflate"}


def _pillow(paths: SlicePaths) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    assert paths.mask is not None
    with Image.open(paths.image) as image, Image.open(paths.mask) as mask:
        return np.array(image), (np.array(mask) != 0).view(np.uint8)


def _tifffile(paths: SlicePaths) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    assert paths.mask is not None
    return tifffile.imread(paths.image), (tifffile.imread(paths.mask) != 0).view(np.uint8)


WAYS = {"brainseg": read_slice, "Pillow": _pillow, "tifffile": _tifffile}


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[SlicePaths]:
    """Slices in the form of the set's files."""
    if "BRAINSEG_DATA" in os.environ:
        return list(islice((each for p in scan_dataset(os.environ["BRAINSEG_DATA"]) for each in p.slices), SLICES))
    root = tmp_path_factory.mktemp("reading")
    found = scan_dataset(write_phantom(root / "one", patients=1, slices=(SLICES, SLICES)))[0].slices
    for paths in found:
        tifffile.imwrite(paths.image, tifffile.imread(paths.image), photometric="rgb", rowsperstrip=11)
    return list(found)


@pytest.fixture(scope="module")
def stored(slices: list[SlicePaths], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[SlicePaths]]:
    """The same slices under another compression."""

    def make(form: str) -> list[SlicePaths]:
        if COMPRESSIONS[form] is None:
            return slices
        folder = tmp_path_factory.mktemp(form)
        made = []
        for number, paths in enumerate(slices):
            image, mask = _pillow(paths)
            there = SlicePaths(number=number, image=folder / f"{number}.tif", mask=folder / f"{number}_mask.tif")
            for pixels, path in ((image, there.image), (mask * np.uint8(255), there.mask)):
                Image.fromarray(pixels).save(Path(str(path)), compression=COMPRESSIONS[form])
            made.append(there)
        return made

    return make


@pytest.mark.parametrize("form", COMPRESSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_reading(benchmark: BenchmarkFixture, stored: Callable[[str], list[SlicePaths]], way: str, form: str) -> None:
    paths = stored(form)
    if way == "tifffile" and form == "LZW":
        pytest.importorskip("imagecodecs")
    image, mask = WAYS[way](paths[SLICES // 2])
    for found, expected in zip((image, mask), _pillow(paths[SLICES // 2]), strict=True):
        assert np.array_equal(found, expected)
    ours, theirs = cycle(paths), cycle(paths)
    benchmark(lambda: WAYS[way](next(ours)))
    told: dict[str, float] = {}
    if benchmark.enabled and way != "Pillow":
        told = in_turns(lambda: _pillow(next(theirs)), lambda: WAYS[way](next(ours)))
    label(benchmark, Label(table="reading", way=way, case={"form": form}, reference=way == "Pillow"), **told)
