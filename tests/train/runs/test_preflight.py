"""A training that cannot come to anything is refused before it begins, and an odd one is remarked on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_train.config import TrainConfig
from brainseg_train.data.dataset import DataSet
from brainseg_train.errors import ConfigError, SplitError
from brainseg_train.runs.preflight import foresee
from tests.train.arrays import make_dataset, make_split

CONFIG = TrainConfig(batch=8)
DATASET = make_dataset()
SPLIT = make_split(DATASET)


def without_tumour(rows: NDArray[np.intp]) -> DataSet:
    masks, tumour = DATASET.masks.copy(), DATASET.tumour_pixels.copy()
    masks[rows], tumour[rows] = 0, 0
    return replace(DATASET, masks=masks, tumour_pixels=tumour)


def test_an_ordinary_training_gives_no_remark() -> None:
    assert foresee(DATASET, SPLIT, CONFIG) == ()


def test_a_set_without_tumour_is_refused() -> None:
    with pytest.raises(SplitError, match="no slice of the data set has tumour"):
        foresee(without_tumour(np.arange(len(DATASET.slices))), SPLIT, CONFIG)


@pytest.mark.parametrize("subset", ["train", "validation"])
def test_a_subset_without_tumour_is_refused_by_name(subset: str) -> None:
    with pytest.raises(SplitError, match=f"no {subset} slice has tumour"):
        foresee(without_tumour(SPLIT.indices(DATASET, subset)), SPLIT, CONFIG)  # type: ignore[arg-type]


def test_a_test_subset_without_tumour_is_remarked_on() -> None:
    (told,) = foresee(without_tumour(SPLIT.indices(DATASET, "test")), SPLIT, CONFIG)
    assert "false positives" in told


def test_tumours_too_small_for_the_networks_size_leave_an_epoch_empty() -> None:
    masks = np.zeros_like(DATASET.masks)
    vanished = replace(DATASET, masks=masks)
    with pytest.raises(ConfigError, match=r"too few slices.*0 of the"):
        foresee(vanished, SPLIT, replace(CONFIG, empty_fraction=0.0))


def test_a_batch_larger_than_an_epoch_is_remarked_on() -> None:
    count = len(SPLIT.indices(DATASET, "train"))
    (told,) = foresee(DATASET, SPLIT, replace(CONFIG, batch=count + 1))
    assert f"{count} slices, fewer than a batch of {count + 1}" in told


def test_every_process_needs_a_slice() -> None:
    with pytest.raises(ConfigError, match="at least 1000"):
        foresee(DATASET, SPLIT, CONFIG, processes=1000)
