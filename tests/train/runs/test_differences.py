"""What differs from the work that was begun is told by name, with what it was and is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brainseg_train.config import AugmentConfig, TrainConfig
from brainseg_train.data.dataset import DataSet
from brainseg_train.runs.differences import changed_settings, changed_slices, save_slices
from tests.train.arrays import make_dataset

DATASET = make_dataset()


def with_changed(row: int, *, mask: bool) -> DataSet:
    name = "mask_digests" if mask else "image_digests"
    digests = getattr(DATASET, name).copy()
    digests[row, 0] ^= 1
    return replace(DATASET, digest="f" * 64, **{name: digests})


def test_each_setting_that_differs_is_told_with_both_values() -> None:
    before, now = TrainConfig(), TrainConfig(rate=1e-3, augment=AugmentConfig(noise=0.5), patience=3)
    assert list(changed_settings(before.to_json(), now.to_json(), under="config.")) == [
        "config.rate: 0.0003, now 0.001",
        "config.patience: null, now 3",
        "config.augment.noise: 0.01, now 0.5",
    ]
    assert list(changed_settings(before.to_json(), TrainConfig().to_json())) == []
    assert list(changed_settings({"a": [1, 2]}, {"a": [1, 2], "b": 1})) == ["b: null, now 1"]


def test_a_changed_pixel_names_its_slice(tmp_path: Path) -> None:
    save_slices(tmp_path, DATASET)
    for mask in (False, True):
        told = changed_slices(tmp_path, DATASET.digest, with_changed(3, mask=mask))
        assert told == f"1 slice changed ({DATASET.slices[3].key})"


def test_slices_that_came_and_went_are_told(tmp_path: Path) -> None:
    save_slices(tmp_path, DATASET)
    moved = replace(DATASET.slices[0], image=DATASET.slices[0].image.with_name("new.tif"))
    now = replace(DATASET, slices=(moved, *DATASET.slices[1:]), digest="e" * 64)
    told = changed_slices(tmp_path, DATASET.digest, now)
    assert told == f"1 slice new ({moved.key}); 1 slice gone ({DATASET.slices[0].key})"


def test_where_nothing_was_kept_the_digests_are_told(tmp_path: Path) -> None:
    told = changed_slices(tmp_path, DATASET.digest, with_changed(0, mask=False))
    assert told == f"digest {DATASET.digest[:12]}, now ffffffffffff"
