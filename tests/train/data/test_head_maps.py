"""The maps of a data set's heads are made once, read back as they were, and made again where they are damaged."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from brainseg_train.data import head_maps
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.head_maps import StoredMaps, make_maps, open_or_make
from brainseg_train.errors import CacheError
from brainseg_train.phantom.patients import write_phantom
from tests.train.drawn_heads import draw_head


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    folder = tmp_path_factory.mktemp("maps")
    patients = write_phantom(folder / "set", patients=2, seed=3, slices=(3, 3), side=64)
    return load_dataset(patients, cache=folder / "cache")


@pytest.fixture
def dataset(opened: DataSet, tmp_path: Path) -> DataSet:
    """The set, as if its cache entry lay in a folder of the test's own."""
    return dataclasses.replace(opened, folder=tmp_path / "entry")


def equal(one: StoredMaps, other: StoredMaps) -> bool:
    return all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_maps_are_made_once(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    made = open_or_make(dataset)
    assert made.brain.shape == made.depth.shape == dataset.masks.shape
    assert (made.brain > 128).any()
    monkeypatch.setattr(head_maps, "make_maps", lambda *_: pytest.fail("made again"))
    assert equal(open_or_make(dataset), made)


@pytest.mark.parametrize("ending", ["safetensors", "json"])
def test_damaged_maps_are_made_again(dataset: DataSet, ending: str) -> None:
    made = open_or_make(dataset)
    (file,) = dataset.folder.parent.glob(f"*.{ending}")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert equal(open_or_make(dataset), made)
    assert file.read_bytes() != content


def test_maps_of_other_pixels_are_not_taken(dataset: DataSet) -> None:
    made = open_or_make(dataset)
    other = dataclasses.replace(dataset, digest="0" * 64, images=np.ascontiguousarray(dataset.images[:, :, ::-1]))
    assert not equal(open_or_make(other), made)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_cache_that_cannot_be_written_is_named(dataset: DataSet, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="--cache"):
        open_or_make(dataclasses.replace(dataset, folder=tmp_path / "file" / "entry"))


def test_each_patient_s_midlines_are_its_own() -> None:
    turned = [draw_head(angle=angle).image for angle in (-12.0, -12.0, -12.0, 12.0, 12.0, 12.0)]
    images, masks = np.stack(turned), np.zeros((6, 128, 128), np.uint8)
    found = make_maps(images, masks, np.array([0, 0, 0, 1, 1, 1])).midlines.numpy()
    angles = np.degrees(np.arctan2(found[:, 1], found[:, 0]))
    assert angles == pytest.approx([-12, -12, -12, 12, 12, 12], abs=2.1)


def test_a_brain_s_edge_is_soft_and_its_inside_is_not() -> None:
    drawn = draw_head()
    maps = make_maps(drawn.image[None], np.zeros((1, 128, 128), np.uint8), np.array([0]))
    assert maps.brain[0, 64, 64] == 255
    assert maps.brain[0, 2, 2] == 0
    assert len(maps.brain.unique()) > 4
    assert maps.depth.max() == 15
